#include "client/messages.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "convserve/v1/convolution.pb.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/slice.h"
#include "gtest/gtest.h"
#include "proto/wire_reader.h"

namespace convserve {
namespace {

void AppendVarint(std::uint64_t value, std::string& text) {
  for (; value >= 0x80; value >>= 7) text.push_back(static_cast<char>(value | 0x80));
  text.push_back(static_cast<char>(value));
}

// An answer of `pieces` MiB that takes one.
grpc::ByteBuffer Answer(std::size_t pieces) {
  static const std::string mebibyte(1 << 20, '\1');
  const std::size_t bytes = pieces * mebibyte.size();
  v1::Tensor output;
  output.set_data_type(v1::DATA_TYPE_UINT8);
  output.add_shape(static_cast<std::int64_t>(bytes));
  std::string tensor = output.SerializeAsString();
  AppendVarint(MakeTag(v1::Tensor::kDataFieldNumber, WireType::kBytes), tensor);
  AppendVarint(bytes, tensor);
  std::string head;
  AppendVarint(MakeTag(v1::ConvResponse::kOutputFieldNumber, WireType::kBytes), head);
  AppendVarint(tensor.size() + bytes, head);
  std::vector<grpc::Slice> slices = {grpc::Slice(head + tensor)};
  for (std::size_t i = 0; i < pieces; ++i) {
    slices.emplace_back(mebibyte.data(), mebibyte.size(), grpc::Slice::STATIC_SLICE);
  }
  return {slices.data(), slices.size()};
}

// What the process may take in all, until the end: `bytes` more than it has.
class MemoryLimit {
 public:
  explicit MemoryLimit(rlim_t bytes) {
    rlim_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    getrlimit(RLIMIT_AS, &before_);
    const rlimit limit{pages * static_cast<rlim_t>(sysconf(_SC_PAGESIZE)) + bytes,
                       before_.rlim_max};
    EXPECT_EQ(setrlimit(RLIMIT_AS, &limit), 0);
  }
  ~MemoryLimit() { setrlimit(RLIMIT_AS, &before_); }
  MemoryLimit(const MemoryLimit&) = delete;
  MemoryLimit& operator=(const MemoryLimit&) = delete;

 private:
  rlimit before_{};
};

TEST(Messages, AnAnswerWithoutMemoryForItIsAStatus) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers end a process that is out of memory";
#endif
  grpc::ByteBuffer small = Answer(1);
  EXPECT_TRUE(ReadAnswer(small).ok());
  grpc::ByteBuffer large = Answer(512);
  const MemoryLimit limit(64 << 20);
  EXPECT_EQ(ReadAnswer(large).status().code(), absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace convserve
