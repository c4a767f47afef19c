#include "proto/convert.h"

#include <bit>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "convserve/v1/convolution.pb.h"
#include "fmt/format.h"

namespace convserve {
namespace {

static_assert(std::endian::native == std::endian::little, "tensors travel little-endian");

constexpr int kListedValues = 8;

using Integers = google::protobuf::RepeatedField<std::int64_t>;

template <typename List>
List FromRepeated(const Integers& integers) {
  return List(integers.begin(), integers.end());
}

void Assign(absl::Span<const std::int64_t> list, Integers* integers) {
  integers->Assign(list.begin(), list.end());
}

template <typename To, typename From>
To Recast(From enumerator) {
  return static_cast<To>(static_cast<int>(enumerator));
}

// What Conv's and ConvTranspose's parameters share.
template <typename Parameters, typename Message>
Parameters CommonFromProto(const Message& message) {
  Parameters parameters;
  parameters.stride = FromRepeated<AxisList>(message.stride());
  parameters.dilation = FromRepeated<AxisList>(message.dilation());
  parameters.padding = FromRepeated<AxisList>(message.padding());
  parameters.auto_pad = Recast<AutoPad>(message.auto_pad());
  if (message.has_groups()) parameters.groups = message.groups();
  parameters.flip_kernel = message.flip_kernel();
  parameters.tensor_layout = Recast<TensorLayout>(message.tensor_layout());
  parameters.weight_layout = Recast<WeightLayout>(message.weight_layout());
  return parameters;
}

template <typename Message, typename Parameters>
Message CommonToProto(const Parameters& parameters) {
  Message message;
  Assign(parameters.stride, message.mutable_stride());
  Assign(parameters.dilation, message.mutable_dilation());
  Assign(parameters.padding, message.mutable_padding());
  message.set_auto_pad(Recast<v1::AutoPad>(parameters.auto_pad));
  if (parameters.groups) message.set_groups(*parameters.groups);
  message.set_flip_kernel(parameters.flip_kernel);
  message.set_tensor_layout(Recast<v1::TensorLayout>(parameters.tensor_layout));
  message.set_weight_layout(Recast<v1::WeightLayout>(parameters.weight_layout));
  return message;
}

void CheckValues(const v1::Tensor& message, std::string_view field, Violations& found) {
  const DataType type = FromProto(message.data_type());
  const Shape shape = FromRepeated<Shape>(message.shape());
  const std::string path = fmt::format("{}.values", field);
  const auto expected = ElementCount(shape);
  if (expected && *expected != message.values_size()) {
    found.push_back({path, fmt::format("expected {} numbers (shape {}), got {}", *expected,
                                       ToString(shape), message.values_size())});
  }
  if (!IsKnown(type)) return;
  int misfits = 0;
  for (int i = 0; i < message.values_size(); ++i) {
    if (Represents(type, message.values(i))) continue;
    if (++misfits > kListedValues) continue;
    found.push_back(
        {fmt::format("{}[{}]", path, i),
         fmt::format("expected a value that {} can hold, got {}", Name(type), message.values(i))});
  }
  if (misfits > kListedValues) {
    found.push_back(
        {path, fmt::format("{} more values do not fit {}", misfits - kListedValues, Name(type))});
  }
}

// A tensor without elements has no byte count where `elements_required` is false.
TensorSpec DecodeSpec(const v1::Tensor& message, std::string_view field, bool elements_required,
                      Violations& found) {
  TensorSpec spec{FromProto(message.data_type()), FromRepeated<Shape>(message.shape()), {}};
  if (!message.data().empty() && !message.values().empty()) {
    found.push_back({fmt::format("{}.values", field),
                     fmt::format("expected none beside `data` ({} bytes), got {}",
                                 message.data().size(), message.values_size())});
  }
  if (!message.values().empty()) CheckValues(message, field, found);
  if (!message.data().empty() || (message.values().empty() && elements_required)) {
    spec.byte_count = static_cast<std::int64_t>(message.data().size());
  }
  return spec;
}

bool HasElements(const v1::Tensor& message) {
  return !message.data().empty() || !message.values().empty();
}

void StoreValues(const v1::Tensor& message, Tensor& tensor) {
  for (int i = 0; i < message.values_size(); ++i) {
    StoreFromDouble(tensor.data_type(), tensor.data(), i, message.values(i));
  }
}

TensorView DecodeView(const v1::Tensor& message, Tensor& storage) {
  const DataType type = FromProto(message.data_type());
  Shape shape = FromRepeated<Shape>(message.shape());
  if (message.values().empty()) {
    return AlignedView(type, std::move(shape), message.data(), storage);
  }
  storage = Tensor(type, std::move(shape));
  StoreValues(message, storage);
  return storage.view();
}

constexpr char kNoTensor[] = "expected a tensor, got none";

// `prefix` is the path of the request itself: empty, or "conv." within an ExplainRequest.
template <typename Request>
DecodedProblem DecodeRequest(const Request& message, const std::string& prefix,
                             bool elements_required) {
  DecodedProblem decoded;
  auto& [spec, paths, found] = decoded;
  for (std::string* path :
       {&paths.input_shape, &paths.input_type, &paths.input_data, &paths.weight_shape,
        &paths.weight_type, &paths.weight_data, &paths.bias_shape, &paths.bias_type,
        &paths.bias_data, &paths.output_type, &paths.parameters}) {
    path->insert(0, prefix);
  }

  const auto decode = [&](bool present, const v1::Tensor& tensor, const char* name) {
    const std::string field = prefix + name;
    if (!present) found.push_back({field, kNoTensor});
    return DecodeSpec(tensor, field, elements_required, found);
  };
  spec.input = decode(message.has_input(), message.input(), "input");
  spec.weight = decode(message.has_weight(), message.weight(), "weight");
  if (message.has_bias()) spec.bias = decode(true, message.bias(), "bias");
  spec.parameters = FromProto(message.parameters());
  spec.output_type = FromProto(message.output_type());
  if (!v1::TensorEncoding_IsValid(message.output_encoding())) {
    found.push_back({prefix + "output_encoding",
                     fmt::format("expected one of DATA, VALUES, got unknown value {}",
                                 static_cast<int>(message.output_encoding()))});
  }
  return decoded;
}

// Describe states no type for a bias: the one that the operation takes is meant.
DataType UsualBiasType(DataType input, DataType weight) {
  if (!IsKnown(weight)) return DataType::kFloat32;
  return IsInteger(input) && IsInteger(weight) ? DataType::kInt32 : weight;
}

constexpr char kOperation[] = "operation";

DecodedProblem WithoutOperation() {
  DecodedProblem decoded;
  decoded.found.push_back({kOperation, "expected `conv` or `conv_transpose`, got neither"});
  return decoded;
}

}  // namespace

DataType FromProto(v1::DataType type) { return Recast<DataType>(type); }
v1::DataType ToProto(DataType type) { return Recast<v1::DataType>(type); }

ConvParameters FromProto(const v1::ConvParameters& message) {
  auto parameters = CommonFromProto<ConvParameters>(message);
  parameters.padding_mode = Recast<PaddingMode>(message.padding_mode());
  return parameters;
}

ConvTransposeParameters FromProto(const v1::ConvTransposeParameters& message) {
  auto parameters = CommonFromProto<ConvTransposeParameters>(message);
  parameters.output_padding = FromRepeated<AxisList>(message.output_padding());
  parameters.output_size = FromRepeated<AxisList>(message.output_size());
  return parameters;
}

v1::ConvParameters ToProto(const ConvParameters& parameters) {
  auto message = CommonToProto<v1::ConvParameters>(parameters);
  message.set_padding_mode(Recast<v1::PaddingMode>(parameters.padding_mode));
  return message;
}

v1::ConvTransposeParameters ToProto(const ConvTransposeParameters& parameters) {
  auto message = CommonToProto<v1::ConvTransposeParameters>(parameters);
  Assign(parameters.output_padding, message.mutable_output_padding());
  Assign(parameters.output_size, message.mutable_output_size());
  return message;
}

v1::Tensor ToProto(const TensorView& tensor, TensorEncoding encoding) {
  v1::Tensor message;
  message.set_data_type(ToProto(tensor.data_type));
  Assign(tensor.shape, message.mutable_shape());
  const std::int64_t elements = ElementCount(tensor.shape).value_or(0);
  if (encoding == TensorEncoding::kValues) {
    message.mutable_values()->Reserve(static_cast<int>(elements));
    for (std::int64_t i = 0; i < elements; ++i) {
      message.mutable_values()->AddAlreadyReserved(LoadAsDouble(tensor.data_type, tensor.data, i));
    }
  } else if (elements > 0) {
    message.set_data(tensor.data, static_cast<std::size_t>(elements * SizeOf(tensor.data_type)));
  }
  return message;
}

absl::StatusOr<Tensor> FromProto(const v1::Tensor& message, std::string_view field) {
  Violations found;
  const TensorSpec spec = DecodeSpec(message, field, /*elements_required=*/true, found);
  const auto bytes = ByteCount(spec.data_type, spec.shape);
  if (!IsKnown(spec.data_type)) {
    found.push_back({fmt::format("{}.data_type", field),
                     fmt::format("expected one of {}, got {}", DataTypeNames(),
                                 static_cast<int>(spec.data_type))});
  } else if (!bytes) {
    found.push_back(
        {fmt::format("{}.shape", field),
         fmt::format("expected sizes whose product fits 63 bits, got {}", ToString(spec.shape))});
  } else if (spec.byte_count && *spec.byte_count != *bytes) {
    found.push_back({fmt::format("{}.data", field),
                     fmt::format("expected {} bytes ({} {}), got {}", *bytes, Name(spec.data_type),
                                 ToString(spec.shape), *spec.byte_count)});
  }
  if (!found.empty()) return InvalidArgument(found);

  Tensor tensor(spec.data_type, spec.shape);
  if (!message.values().empty()) {
    StoreValues(message, tensor);
  } else if (*bytes > 0) {
    std::memcpy(tensor.data(), message.data().data(), message.data().size());
  }
  return tensor;
}

TensorView AlignedView(DataType type, Shape shape, std::string_view bytes, Tensor& storage) {
  const auto address = reinterpret_cast<std::uintptr_t>(bytes.data());
  if (address % static_cast<std::uintptr_t>(SizeOf(type)) == 0) {
    return {type, std::move(shape), reinterpret_cast<const std::byte*>(bytes.data())};
  }
  storage = Tensor(type, std::move(shape));
  std::memcpy(storage.data(), bytes.data(), bytes.size());
  return storage.view();
}

DecodedProblem FromProto(const v1::ConvRequest& message) {
  return DecodeRequest(message, "", /*elements_required=*/true);
}

DecodedProblem FromProto(const v1::ConvTransposeRequest& message) {
  return DecodeRequest(message, "", /*elements_required=*/true);
}

DecodedProblem FromProto(const v1::DescribeRequest& message) {
  if (message.operation_case() == v1::DescribeRequest::OPERATION_NOT_SET) return WithoutOperation();
  const bool transposed = message.has_conv_transpose();
  DecodedProblem decoded;
  auto& [spec, paths, found] = decoded;
  paths.input_shape = "input_shape";
  paths.input_type = "input_type";
  paths.weight_shape = "weight_shape";
  paths.weight_type = "weight_type";
  paths.bias_shape = "bias_shape";
  paths.output_type = "output_type";
  paths.parameters = transposed ? "conv_transpose" : "conv";

  spec.input = {FromProto(message.input_type()), FromRepeated<Shape>(message.input_shape()), {}};
  spec.weight = {FromProto(message.weight_type()), FromRepeated<Shape>(message.weight_shape()), {}};
  if (!message.bias_shape().empty()) {
    spec.bias = TensorSpec{UsualBiasType(spec.input.data_type, spec.weight.data_type),
                           FromRepeated<Shape>(message.bias_shape()),
                           {}};
  }
  spec.output_type = FromProto(message.output_type());
  if (transposed) {
    spec.parameters = FromProto(message.conv_transpose());
  } else {
    spec.parameters = FromProto(message.conv());
  }
  return decoded;
}

DecodedProblem FromProto(const v1::ExplainRequest& message) {
  switch (message.operation_case()) {
    case v1::ExplainRequest::kConv:
      return DecodeRequest(message.conv(), "conv.", /*elements_required=*/false);
    case v1::ExplainRequest::kConvTranspose:
      return DecodeRequest(message.conv_transpose(), "conv_transpose.",
                           /*elements_required=*/false);
    case v1::ExplainRequest::OPERATION_NOT_SET:
      break;
  }
  return WithoutOperation();
}

absl::StatusOr<Problem> MakeProblem(const DecodedProblem& decoded, const Limits& limits) {
  const auto& [spec, paths, found] = decoded;
  if (!found.empty() && found.front().field == kOperation) return InvalidArgument(found);
  auto problem = MakeProblem(spec, limits, paths, found);
  if (problem.ok()) return problem;

  Violations kept = ViolationsOf(problem.status());
  std::size_t dropped = 0;
  for (const FieldViolation& missing : found) {
    if (missing.description != kNoTensor) continue;
    dropped += std::erase_if(kept, [prefix = missing.field + "."](const FieldViolation& violation) {
      return violation.field.starts_with(prefix);
    });
  }
  if (dropped == 0) return problem;
  return InvalidArgument(kept);
}

template <typename Request>
void DecodedOperands::Decode(const Request& message, bool elements_required) {
  const auto decode = [&](Role role, const v1::Tensor& tensor) {
    if (elements_required || HasElements(tensor)) {
      tensors_[role] = DecodeView(tensor, storage_[role]);
    }
  };
  decode(kInput, message.input());
  decode(kWeight, message.weight());
  if (message.has_bias()) decode(kBias, message.bias());
}

DecodedOperands::DecodedOperands(const v1::ConvRequest& message) { Decode(message, true); }

DecodedOperands::DecodedOperands(const v1::ConvTransposeRequest& message) { Decode(message, true); }

DecodedOperands::DecodedOperands(const v1::ExplainRequest& message) {
  if (message.has_conv()) {
    Decode(message.conv(), false);
  } else {
    Decode(message.conv_transpose(), false);
  }
}

}  // namespace convserve
