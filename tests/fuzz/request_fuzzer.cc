// Any bytes as the request of any RPC, through everything that a server does with it: read, decode,
// validate, plan or describe, compute, write. Only small problems are computed.
//
//   input = which RPC (1 byte)  the message
#include <cstdint>
#include <cstdlib>
#include <utility>

#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/slice.h"
#include "proto/raw_response.h"
#include "server/handler.h"
#include "server/methods.h"
#include "tests/fuzz/fuzzer.h"

namespace convserve {
namespace {

constexpr std::int64_t kMaxMessage = 64 << 10;
constexpr std::int64_t kMaxWork = 16 << 20;

template <typename Method>
void Serve(const grpc::Slice& bytes) {
  static const Handler handler(
      {.max_message_bytes = kMaxMessage, .max_multiply_adds = 1 << 16, .algorithm = {}});
  grpc::ByteBuffer buffer(&bytes, 1);
  auto request = Method::Read(buffer);
  if (!request.ok()) return;
  const auto work = handler.Prepare(*request);
  if (!work.ok() || work->bytes > kMaxWork) return;
  auto result = handler.Run(*work, *request, {});
  if (!result.ok()) return;
  grpc::ByteBuffer answer;
  if (!Method::Write(*request, *std::move(result), answer).ok()) std::abort();
  if (answer.Length() > static_cast<std::size_t>(kMaxMessage)) std::abort();
  if (Method::kConvolves && !ReadResponse(ByteChain(answer)).ok()) std::abort();
}

}  // namespace
}  // namespace convserve

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace convserve;
  if (size < 1) return 0;
  const grpc::Slice bytes(data + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      Serve<ConvMethod>(bytes);
      break;
    case 1:
      Serve<ConvTransposeMethod>(bytes);
      break;
    case 2:
      Serve<DescribeMethod>(bytes);
      break;
    default:
      Serve<ExplainMethod>(bytes);
  }
  return 0;
}
