// Memory that cannot be had, at every point of a request's way: the request is refused with
// RESOURCE_EXHAUSTED, nothing leaks (AddressSanitizer looks), and the next one works. A program of
// its own: it replaces operator new and aligned_alloc.
#include <atomic>
#include <cstdlib>
#include <limits>
#include <new>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "proto/status.h"
#include "server/handler.h"
#include "server/methods.h"
#include "tests/server/fixture.h"
#include "tests/support/pieces.h"

namespace {

constexpr long kNever = std::numeric_limits<long>::max();

// How many allocations of this thread succeed before one fails.
thread_local long allocations_left = kNever;

// One in this many tensors of all threads finds no memory; 0: none.
std::atomic<int> tensor_failure_rate = 0;
std::atomic<unsigned> tensors = 0;

bool Fails() {
  if (allocations_left == kNever) return false;
  if (allocations_left > 0) {
    --allocations_left;
    return false;
  }
  return true;
}

}  // namespace

// Libraries may have bound to AddressSanitizer's operator new before this one. The name is the
// sanitizer's.
// NOLINTBEGIN(bugprone-reserved-identifier)
extern "C" const char* __asan_default_options();
extern "C" const char* __asan_default_options() { return "alloc_dealloc_mismatch=0"; }
// NOLINTEND(bugprone-reserved-identifier)

// GCC inlines one of a pair and misses the other.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"

void* operator new(std::size_t size) {
  void* const memory = Fails() ? nullptr : std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

// Only tensors and workspaces come from here.
extern "C" void* aligned_alloc(std::size_t alignment, std::size_t size) {
  const int rate = tensor_failure_rate;
  if (rate > 0 && tensors++ % static_cast<unsigned>(rate) == 0) return nullptr;
  void* memory = nullptr;
  if (Fails() || posix_memalign(&memory, alignment, size) != 0) return nullptr;
  return memory;
}

namespace convserve {
namespace {

grpc::ByteBuffer Buffer(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

// What a server does with a request, between gRPC and gRPC.
template <typename Method>
absl::Status Serve(const Handler& handler, grpc::ByteBuffer& request_bytes,
                   grpc::ByteBuffer& answer) {
  auto request = Method::Read(request_bytes);
  if (!request.ok()) return request.status();
  const auto work = handler.Prepare(*request);
  if (!work.ok()) return work.status();
  auto result = handler.Run(*work, *request, {});
  if (!result.ok()) return result.status();
  return Method::Write(*request, *std::move(result), answer);
}

// Serves these bytes again and again, the first time with no memory at all, each time with one
// allocation more, until they are enough. Returns how many that is.
template <typename Method>
long ServeWithEverMoreMemory(const std::string& bytes, absl::StatusCode expected) {
  const Handler handler({});
  // What oneTBB allocates once it never gets over: a server starts with it.
  grpc::ByteBuffer first = Buffer(bytes);
  grpc::ByteBuffer ignored;
  (void)Serve<Method>(handler, first, ignored);
  for (long allowed = 0; allowed < 100'000; ++allowed) {
    grpc::ByteBuffer request = Buffer(bytes);
    grpc::ByteBuffer answer;
    absl::StatusCode code = absl::StatusCode::kUnknown;
    bool exhausted = false;
    allocations_left = allowed;
    try {
      code = Serve<Method>(handler, request, answer).code();
    } catch (const std::bad_alloc&) {
      exhausted = true;
    }
    allocations_left = kNever;
    if (exhausted) continue;
    EXPECT_EQ(code, expected) << "with " << allowed << " allocations";
    return allowed;
  }
  ADD_FAILURE() << "there is never enough";
  return 0;
}

v1::ConvRequest WithData() {
  v1::ConvRequest request = SlowConv({2, 3});
  request.mutable_parameters()->add_stride(1);
  return request;
}

TEST(AllocationFailure, AtEveryPointOfARequestEndsThatRequestAlone) {
  const auto ok = absl::StatusCode::kOk;
  EXPECT_GT(ServeWithEverMoreMemory<ConvMethod>(WithData().SerializeAsString(), ok), 5);
  EXPECT_GT(ServeWithEverMoreMemory<ConvMethod>(SmallConv().SerializeAsString(), ok), 5);
  EXPECT_GT(
      ServeWithEverMoreMemory<ConvTransposeMethod>(SpreadConvTranspose().SerializeAsString(), ok),
      5);
  v1::ExplainRequest explain;
  *explain.mutable_conv() = SmallConv();
  explain.mutable_output_index()->Resize(4, 0);
  EXPECT_GT(ServeWithEverMoreMemory<ExplainMethod>(explain.SerializeAsString(), ok), 5);
}

TEST(AllocationFailure, AtEveryPointOfARefusalEndsThatRequestAlone) {
  const auto refused = absl::StatusCode::kInvalidArgument;
  EXPECT_GT(ServeWithEverMoreMemory<ConvMethod>("\x0a\x7f", refused), 0);
  v1::ConvRequest request = SmallConv();
  request.mutable_parameters()->add_stride(0);
  EXPECT_GT(ServeWithEverMoreMemory<ConvMethod>(request.SerializeAsString(), refused), 5);
}

TEST(AllocationFailure, OfATensorIsResourceExhaustedAndTheNextRequestWorks) {
  const auto server = StartServer();
  std::atomic<int> good = 0;
  std::atomic<int> exhausted = 0;
  const auto call = [&] {
    Caller caller(ChannelTo(server->addresses()[0]));
    for (int i = 0; i < 50; ++i) {
      v1::ConvResponse response;
      const absl::Status status = caller.Conv(i % 2 == 0 ? WithData() : SmallConv(), response);
      if (status.ok()) {
        ++good;
      } else if (status.code() == absl::StatusCode::kResourceExhausted) {
        EXPECT_EQ(ReasonOf(status), "OUT_OF_MEMORY") << status;
        ++exhausted;
      } else {
        ADD_FAILURE() << status;
      }
    }
  };
  tensor_failure_rate = 7;
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i) callers.emplace_back(call);
  for (std::thread& caller : callers) caller.join();
  tensor_failure_rate = 0;
  EXPECT_GT(good, 0);
  EXPECT_GT(exhausted, 0);

  good = 0;
  call();
  EXPECT_EQ(good, 50);
}

}  // namespace
}  // namespace convserve
