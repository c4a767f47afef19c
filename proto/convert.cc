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
struct SpecOptions {
  std::string_view field;
  std::int64_t data_bytes = 0;
  bool elements_required = true;
};
TensorSpec DecodeSpec(const v1::Tensor& message, const SpecOptions& options, Violations& found) {
  TensorSpec spec{FromProto(message.data_type()), FromRepeated<Shape>(message.shape()), {}};
  const std::int64_t bytes = options.data_bytes;
  if (bytes > 0 && !message.values().empty()) {
    found.push_back({fmt::format("{}.values", options.field),
                     fmt::format("expected none beside `data` ({} bytes), got {}", bytes,
                                 message.values_size())});
  }
  if (!message.values().empty()) CheckValues(message, options.field, found);
  if (bytes > 0 || (message.values().empty() && options.elements_required)) {
    spec.byte_count = bytes;
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

std::int64_t BytesOfData(const v1::Tensor& message) {
  return static_cast<std::int64_t>(message.data().size());
}

template <typename Request>
DataBytes DataBytesOf(const Request& message) {
  return {BytesOfData(message.input()), BytesOfData(message.weight()), BytesOfData(message.bias())};
}

constexpr char kNoTensor[] = "expected a tensor, got none";

struct RequestOptions {
  std::string prefix = {};  // the path of the request itself: empty, or "conv."
  bool elements_required = true;
};
template <typename Request>
DecodedProblem DecodeRequest(const Request& message, const DataBytes& data,
                             const RequestOptions& options = {}) {
  DecodedProblem decoded;
  ProblemSpec& spec = decoded.spec;
  FieldPaths& paths = decoded.paths;
  Violations& found = decoded.found;
  for (std::string* path :
       {&paths.input_shape, &paths.input_type, &paths.input_data, &paths.weight_shape,
        &paths.weight_type, &paths.weight_data, &paths.bias_shape, &paths.bias_type,
        &paths.bias_data, &paths.output_type, &paths.parameters}) {
    path->insert(0, options.prefix);
  }

  const auto decode = [&](const v1::Tensor& tensor, const char* name, std::int64_t bytes) {
    return DecodeSpec(tensor, {options.prefix + name, bytes, options.elements_required}, found);
  };
  if (!message.has_input()) found.push_back({options.prefix + "input", kNoTensor});
  spec.input = decode(message.input(), "input", data.input);
  if (!message.has_weight()) found.push_back({options.prefix + "weight", kNoTensor});
  spec.weight = decode(message.weight(), "weight", data.weight);
  if (message.has_bias()) spec.bias = decode(message.bias(), "bias", data.bias);
  spec.parameters = FromProto(message.parameters());
  spec.output_type = FromProto(message.output_type());
  if (!v1::TensorEncoding_IsValid(message.output_encoding())) {
    found.push_back({options.prefix + "output_encoding",
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

v1::Tensor HeadToProto(DataType type, absl::Span<const std::int64_t> shape) {
  v1::Tensor message;
  message.set_data_type(ToProto(type));
  Assign(shape, message.mutable_shape());
  return message;
}

TensorView HeadFromProto(const v1::Tensor& message) {
  return {FromProto(message.data_type()), FromRepeated<Shape>(message.shape()), nullptr};
}

v1::Tensor ToProto(const TensorView& tensor, TensorEncoding encoding) {
  v1::Tensor message = HeadToProto(tensor.data_type, tensor.shape);
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
  const auto spec = CheckTensor(message, BytesOfData(message), field);
  if (!spec.ok()) return spec.status();
  Tensor tensor;
  const TensorView view = DecodeTensor(message, tensor);
  if (tensor.data() == nullptr) {
    tensor = Tensor(view.data_type, view.shape);
    std::memcpy(tensor.data(), view.data, message.data().size());
  }
  return tensor;
}

absl::StatusOr<TensorSpec> CheckTensor(const v1::Tensor& message, std::int64_t data_bytes,
                                       std::string_view field) {
  Violations found;
  const TensorSpec spec = DecodeSpec(message, {field, data_bytes}, found);
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
  return spec;
}

TensorView DecodeTensor(const v1::Tensor& message, Tensor& storage) {
  TensorView head = HeadFromProto(message);
  if (message.values().empty()) {
    return AlignedView(head.data_type, std::move(head.shape), message.data(), storage);
  }
  storage = Tensor(head.data_type, std::move(head.shape));
  StoreValues(message, storage);
  return storage.view();
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
  return DecodeRequest(message, DataBytesOf(message));
}

DecodedProblem FromProto(const v1::ConvRequest& message, const DataBytes& data) {
  return DecodeRequest(message, data);
}

DecodedProblem FromProto(const v1::ConvTransposeRequest& message) {
  return DecodeRequest(message, DataBytesOf(message));
}

DecodedProblem FromProto(const v1::ConvTransposeRequest& message, const DataBytes& data) {
  return DecodeRequest(message, data);
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
      return DecodeRequest(message.conv(), DataBytesOf(message.conv()), {"conv.", false});
    case v1::ExplainRequest::kConvTranspose:
      return DecodeRequest(message.conv_transpose(), DataBytesOf(message.conv_transpose()),
                           {"conv_transpose.", false});
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

DecodedOperands::DecodedOperands(const v1::ExplainRequest& message) {
  const auto decode_all = [this](const auto& request) {
    const auto decode = [](const v1::Tensor& tensor, Tensor& storage) {
      return HasElements(tensor) ? std::optional(DecodeTensor(tensor, storage)) : std::nullopt;
    };
    operands_ = {decode(request.input(), storage_[0]), decode(request.weight(), storage_[1]),
                 decode(request.bias(), storage_[2])};
  };
  if (message.has_conv()) {
    decode_all(message.conv());
  } else {
    decode_all(message.conv_transpose());
  }
}

}  // namespace convserve
