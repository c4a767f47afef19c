#include "client/messages.h"

#include <limits>
#include <new>
#include <optional>
#include <string>
#include <string_view>

#include "core/violation.h"
#include "fmt/format.h"
#include "grpcpp/support/byte_buffer.h"
#include "proto/byte_chain.h"
#include "proto/raw_response.h"

namespace convserve {
namespace {

// What a request takes beside its tensors' elements is far less.
constexpr std::int64_t kFieldBytes = 4096;

}  // namespace

absl::Status CheckOperands(const Operands& operands, std::int64_t allowed) {
  Violations violations;
  std::int64_t bytes = kFieldBytes;
  const auto add = [&](const TensorView& tensor, std::string_view name) {
    const std::optional<std::int64_t> size = ByteCount(tensor.data_type, tensor.shape);
    if (!size) {
      violations.push_back({fmt::format("{}.shape", name),
                            fmt::format("expected sizes of at least 0 that a tensor in memory can "
                                        "have, got {}",
                                        ToString(tensor.shape))});
    } else if (*size > 0 && tensor.data == nullptr) {
      violations.push_back(
          {fmt::format("{}.data", name), fmt::format("expected {} bytes, got none", *size)});
    } else {
      bytes = *size > std::numeric_limits<std::int64_t>::max() - bytes
                  ? std::numeric_limits<std::int64_t>::max()
                  : bytes + *size;
    }
  };
  add(operands.input, "input");
  add(operands.weight, "weight");
  if (operands.bias) add(*operands.bias, "bias");
  if (!violations.empty()) return InvalidArgument(violations);
  if (bytes > allowed) {
    return absl::ResourceExhaustedError(fmt::format(
        "the request would take {} bytes: expected at most {}; send fewer images at a time", bytes,
        allowed));
  }
  return absl::OkStatus();
}

absl::Status CheckMessageSize(std::size_t bytes, std::int64_t allowed) {
  if (bytes <= static_cast<std::size_t>(allowed)) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      fmt::format("the request would take {} bytes: expected at most {}", bytes, allowed));
}

absl::StatusOr<ConvResult> ReadAnswer(grpc::ByteBuffer& answer) try {
  absl::StatusOr<ConvResult> result = ReadResponse(ByteChain(answer));
  if (!result.ok()) {
    return absl::InternalError(
        fmt::format("the server's answer is damaged: {}", std::string(result.status().message())));
  }
  return result;
} catch (const std::bad_alloc&) {
  return absl::ResourceExhaustedError("there is no memory for the server's answer");
}

}  // namespace convserve
