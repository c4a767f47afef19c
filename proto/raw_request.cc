#include "proto/raw_request.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <utility>

#include "convserve/v1/convolution.pb.h"
#include "grpcpp/support/byte_buffer.h"
#include "proto/split_message.h"

namespace convserve {
namespace {

constexpr std::size_t kTensors = 3;

std::span<const std::byte> BytesOf(const TensorView& tensor) {
  return {tensor.data, static_cast<std::size_t>(ByteCount(tensor.data_type, tensor.shape).value())};
}

template <typename Message, typename Parameters>
grpc::ByteBuffer Write(const TensorRequest& request, const Parameters& parameters,
                       const Keeper& keeper) {
  MessageWriter writer;
  const auto append = [&](std::uint32_t field, const TensorView& tensor) {
    const v1::Tensor head = HeadToProto(tensor.data_type, tensor.shape);
    writer.AppendTensor(field, {head, v1::Tensor::kDataFieldNumber}, BytesOf(tensor), keeper);
  };
  append(Message::kInputFieldNumber, request.operands.input);
  append(Message::kWeightFieldNumber, request.operands.weight);
  if (request.operands.bias) append(Message::kBiasFieldNumber, *request.operands.bias);
  Message rest;
  *rest.mutable_parameters() = ToProto(parameters);
  rest.set_output_type(ToProto(request.output_type));
  writer.Append(rest.SerializeAsString());
  return writer.Finish();
}

bool IsAligned(const std::byte* data, DataType type) {
  return reinterpret_cast<std::uintptr_t>(data) % static_cast<std::uintptr_t>(SizeOf(type)) == 0;
}

}  // namespace

grpc::ByteBuffer WriteRequest(const TensorRequest& request, const Keeper& keeper) {
  if (const auto* conv = std::get_if<ConvParameters>(&request.parameters)) {
    return Write<v1::ConvRequest>(request, *conv, keeper);
  }
  return Write<v1::ConvTransposeRequest>(
      request, std::get<ConvTransposeParameters>(request.parameters), keeper);
}

struct ReceivedRequest::Parts {
  // Calls `function` with the message and its tensors, in the order of their fields; nullptr: no
  // such tensor.
  template <typename Function>
  decltype(auto) Visit(Function&& function) const {
    return std::visit([&](const auto& m) -> decltype(auto) { return function(m); }, message);
  }

  std::array<const v1::Tensor*, kTensors> Tensors() const {
    return Visit([](const auto& m) -> std::array<const v1::Tensor*, kTensors> {
      return {&m.input(), &m.weight(), m.has_bias() ? &m.bias() : nullptr};
    });
  }

  // The data of a tensor where its elements lie already; otherwise nullptr.
  const std::byte* InPlace(std::size_t index, DataType type) const {
    if (data[index].size() == 0 || !IsKnown(type)) return nullptr;
    const std::byte* found = bytes.Contiguous(data[index]);
    return found != nullptr && IsAligned(found, type) ? found : nullptr;
  }

  ByteChain bytes;
  std::array<ByteRange, kTensors> data;
  std::variant<v1::ConvRequest, v1::ConvTransposeRequest> message;  // without `data`
  std::array<Tensor, kTensors> storage;
};

ReceivedRequest::ReceivedRequest(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
ReceivedRequest::ReceivedRequest(ReceivedRequest&&) noexcept = default;
ReceivedRequest& ReceivedRequest::operator=(ReceivedRequest&&) noexcept = default;
ReceivedRequest::~ReceivedRequest() = default;

absl::StatusOr<ReceivedRequest> ReceivedRequest::Read(Operation operation, ByteChain bytes) {
  auto split = Split(bytes, kTensors);
  if (!split.ok()) return split.status();
  auto parts = std::make_unique<Parts>();
  if (operation == Operation::kConvTranspose) parts->message.emplace<v1::ConvTransposeRequest>();
  const bool parsed =
      std::visit([&](auto& m) { return m.ParseFromString(split->rest); }, parts->message);
  if (!parsed)
    return absl::InvalidArgumentError("expected a protobuf message, got a malformed one");
  parts->data = split->data;
  const auto is_empty = [](const ByteRange& data) { return data.size() == 0; };
  if (!std::all_of(parts->data.begin(), parts->data.end(), is_empty)) {
    parts->bytes = std::move(bytes);
  }
  return ReceivedRequest(std::move(parts));
}

DecodedProblem ReceivedRequest::Decode() const {
  const auto& data = parts_->data;
  const DataBytes sizes{data[0].size(), data[1].size(), data[2].size()};
  return parts_->Visit([&](const auto& message) { return FromProto(message, sizes); });
}

bool ReceivedRequest::wants_values() const {
  return parts_->Visit(
      [](const auto& message) { return message.output_encoding() == v1::TENSOR_ENCODING_VALUES; });
}

std::int64_t ReceivedRequest::message_bytes() const {
  std::int64_t total = parts_->bytes.size();
  for (const v1::Tensor* tensor : parts_->Tensors()) {
    if (tensor == nullptr) continue;
    total += static_cast<std::int64_t>(tensor->values().SpaceUsedExcludingSelfLong());
  }
  return total;
}

std::int64_t ReceivedRequest::memory_bytes() const {
  const auto tensors = parts_->Tensors();
  std::int64_t total = message_bytes();
  bool copies = false;
  for (std::size_t i = 0; i < kTensors; ++i) {
    if (tensors[i] == nullptr) continue;
    const DataType type = FromProto(tensors[i]->data_type());
    total += tensors[i]->values_size() * SizeOf(type);
    copies |= parts_->data[i].size() > 0 && parts_->InPlace(i, type) == nullptr;
  }
  return copies ? total + parts_->bytes.BytesInMotion() : total;
}

Operands ReceivedRequest::TakeOperands(const std::stop_token& stop) {
  const auto tensors = parts_->Tensors();
  std::array<std::optional<TensorView>, kTensors> views;
  std::array<ByteChain::Move, kTensors> moves;
  for (std::size_t i = 0; i < kTensors; ++i) {
    if (tensors[i] == nullptr) continue;
    Tensor& storage = parts_->storage[i];
    const ByteRange range = parts_->data[i];
    if (range.size() == 0) {
      views[i] = DecodeTensor(*tensors[i], storage);
      continue;
    }
    TensorView view = HeadFromProto(*tensors[i]);
    moves[i].range = range;
    view.data = parts_->InPlace(i, view.data_type);
    if (view.data == nullptr) {
      storage = Tensor(view.data_type, view.shape);
      moves[i].to = storage.data();
      view.data = storage.data();
    }
    views[i] = std::move(view);
  }
  parts_->bytes.MoveOut(moves, stop);
  return {*std::move(views[0]), *std::move(views[1]), std::move(views[2])};
}

}  // namespace convserve
