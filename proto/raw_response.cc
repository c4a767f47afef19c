#include "proto/raw_response.h"

#include <memory>
#include <span>
#include <utility>

#include "convserve/v1/convolution.pb.h"
#include "grpcpp/support/byte_buffer.h"
#include "proto/convert.h"
#include "proto/message_writer.h"
#include "proto/split_message.h"

namespace convserve {
namespace {

constexpr std::uint32_t kOutput = v1::ConvResponse::kOutputFieldNumber;
constexpr std::uint32_t kExecution = v1::ConvResponse::kExecutionFieldNumber;

std::span<const std::byte> BytesOf(const Tensor& tensor) {
  return {tensor.data(), static_cast<std::size_t>(tensor.byte_count())};
}

// The elements as numbers: what a packed list of them holds.
Tensor ToValues(const Tensor& tensor) {
  Tensor values(DataType::kFloat64, tensor.shape());
  for (std::int64_t i = 0; i < tensor.size(); ++i) {
    values.As<double>()[i] = LoadAsDouble(tensor.data_type(), tensor.data(), i);
  }
  return values;
}

}  // namespace

grpc::ByteBuffer WriteResponse(ConvResult result, bool as_values) {
  MessageWriter writer;
  // First, so that the tensor's elements are the end of the message.
  writer.AppendMessage(kExecution, ToProto(result.execution).SerializeAsString());
  const v1::Tensor head = HeadToProto(result.output.data_type(), result.output.shape());
  if (as_values) {
    const auto values = std::make_shared<const Tensor>(ToValues(result.output));
    writer.AppendTensor(kOutput, {head, v1::Tensor::kValuesFieldNumber}, BytesOf(*values), values);
  } else {
    const auto output = std::make_shared<const Tensor>(std::move(result.output));
    writer.AppendTensor(kOutput, {head, v1::Tensor::kDataFieldNumber}, BytesOf(*output), output);
  }
  return writer.Finish();
}

absl::StatusOr<ConvResult> ReadResponse(ByteChain bytes) {
  auto split = Split(bytes, 1);
  if (!split.ok()) return split.status();
  v1::ConvResponse message;
  if (!message.ParseFromString(split->rest)) {
    return absl::InvalidArgumentError("expected a protobuf message, got a malformed one");
  }
  ConvResult result{{}, FromProto(message.execution())};
  const ByteRange data = split->data[0];
  if (data.size() == 0) {
    auto output = FromProto(message.output(), "output");
    if (!output.ok()) return output.status();
    result.output = *std::move(output);
    return result;
  }
  const auto spec = CheckTensor(message.output(), data.size(), "output");
  if (!spec.ok()) return spec.status();
  result.output = Tensor(spec->data_type, spec->shape);
  const ByteChain::Move move{data, result.output.data()};
  bytes.MoveOut({&move, 1});
  return result;
}

}  // namespace convserve
