#include "server/methods.h"

#include <utility>

#include "fmt/format.h"
#include "grpcpp/impl/codegen/proto_utils.h"
#include "proto/byte_chain.h"
#include "proto/raw_response.h"
#include "proto/split_message.h"
#include "proto/status.h"

namespace convserve {
namespace {

template <typename Message>
absl::StatusOr<Message> Parse(grpc::ByteBuffer& bytes) {
  Message message;
  if (!bytes.Valid() || !grpc::SerializationTraits<Message>::Deserialize(&bytes, &message).ok()) {
    return absl::InvalidArgumentError(
        fmt::format("expected a {}, got a malformed message", message.GetTypeName()));
  }
  return message;
}

// The same bytes, which stay where they are.
ByteChain PiecesOf(const grpc::ByteBuffer& bytes) {
  grpc::ByteBuffer pieces(bytes);
  return ByteChain(pieces);
}

template <typename Message>
absl::Status Serialize(const Message& message, grpc::ByteBuffer& bytes) {
  bool own = false;
  return FromGrpc(grpc::SerializationTraits<Message>::Serialize(message, &bytes, &own));
}

}  // namespace

absl::StatusOr<std::int64_t> TensorMethod::BytesToRead(const grpc::ByteBuffer& bytes) {
  return BytesToReadRequest(PiecesOf(bytes));
}

absl::StatusOr<ReceivedRequest> TensorMethod::Read(Operation operation, grpc::ByteBuffer& bytes) {
  return ReceivedRequest::Read(operation, ByteChain(bytes));
}

absl::Status TensorMethod::Write(const Request& request, Result result, grpc::ByteBuffer& bytes) {
  grpc::ByteBuffer written = WriteResponse(std::move(result), request.wants_values());
  bytes.Swap(&written);
  return absl::OkStatus();
}

absl::StatusOr<std::int64_t> DescribeMethod::BytesToRead(const grpc::ByteBuffer& bytes) {
  const std::size_t size = bytes.Length();
  if (size <= static_cast<std::size_t>(kMaxFieldBytes)) return 0;
  absl::Status status = absl::ResourceExhaustedError(
      fmt::format("expected a message of at most {} bytes, got {}", kMaxFieldBytes, size));
  SetReason(status, "REQUEST_LIMIT");
  return status;
}

absl::StatusOr<v1::DescribeRequest> DescribeMethod::Read(grpc::ByteBuffer& bytes) {
  if (const auto size = BytesToRead(bytes); !size.ok()) return size.status();
  return Parse<v1::DescribeRequest>(bytes);
}

absl::Status DescribeMethod::Write(const Request&, const Result& result, grpc::ByteBuffer& bytes) {
  return Serialize(result, bytes);
}

absl::StatusOr<std::int64_t> ExplainMethod::BytesToRead(const grpc::ByteBuffer& bytes) {
  return BytesToReadExplainRequest(PiecesOf(bytes));
}

absl::StatusOr<v1::ExplainRequest> ExplainMethod::Read(grpc::ByteBuffer& bytes) {
  if (const auto size = BytesToRead(bytes); !size.ok()) return size.status();
  return Parse<v1::ExplainRequest>(bytes);
}

absl::Status ExplainMethod::Write(const Request&, const Result& result, grpc::ByteBuffer& bytes) {
  return Serialize(result, bytes);
}

}  // namespace convserve
