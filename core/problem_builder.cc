#include "core/problem_builder.h"

#include <algorithm>
#include <type_traits>

#include "absl/status/status.h"
#include "core/parameter_names.h"
#include "fmt/format.h"

namespace convserve {
namespace {

// "float32", or the number of a type that has no name.
std::string TypeText(DataType type) {
  if (IsKnown(type) || type == DataType::kUnspecified) return std::string(Name(type));
  return fmt::format("unknown value {}", static_cast<int>(type));
}

bool IsByte(DataType type) { return type == DataType::kInt8 || type == DataType::kUInt8; }

}  // namespace

ProblemBuilder::Common ProblemBuilder::Unify(
    const std::variant<ConvParameters, ConvTransposeParameters>& parameters) {
  return std::visit(
      [](const auto& p) {
        Common common{p.stride,
                      p.dilation,
                      p.padding,
                      {},
                      {},
                      p.auto_pad,
                      PaddingMode::kZeros,
                      p.groups,
                      p.flip_kernel,
                      p.tensor_layout,
                      p.weight_layout};
        if constexpr (std::is_same_v<std::decay_t<decltype(p)>, ConvParameters>) {
          common.padding_mode = p.padding_mode;
        } else {
          common.output_padding = p.output_padding;
          common.output_size = p.output_size;
        }
        return common;
      },
      parameters);
}

ProblemBuilder::ProblemBuilder(const ProblemSpec& spec, const Limits& limits,
                               const FieldPaths& paths, Violations found)
    : spec_(spec),
      limits_(limits),
      paths_(paths),
      common_(Unify(spec.parameters)),
      violations_(std::move(found)) {}

absl::StatusOr<Problem> ProblemBuilder::Build() {
  problem_.operation_ = std::holds_alternative<ConvParameters>(spec_.parameters)
                            ? Operation::kConv
                            : Operation::kConvTranspose;
  problem_.input_shape_ = spec_.input.shape;
  problem_.weight_shape_ = spec_.weight.shape;
  problem_.flip_kernel_ = common_.flip_kernel;
  CheckTypes();
  CheckEnums();
  CheckRanks();
  if (axes_ > 0) {
    CheckLists();
    CheckChannels();
    CheckAxes();
  }
  CheckData(spec_.input, paths_.input_shape, paths_.input_data);
  CheckData(spec_.weight, paths_.weight_shape, paths_.weight_data);
  if (spec_.bias) CheckData(*spec_.bias, paths_.bias_shape, paths_.bias_data);
  if (!violations_.empty()) return InvalidArgument(violations_);
  return Finish();
}

void ProblemBuilder::Refuse(std::string field, std::string description) {
  violations_.push_back({std::move(field), std::move(description)});
}

std::string ProblemBuilder::Parameter(std::string_view name) const {
  return fmt::format("{}.{}", paths_.parameters, name);
}

void ProblemBuilder::CheckTypes() {
  const DataType input = spec_.input.data_type;
  const DataType weight = spec_.weight.data_type;
  problem_.input_type_ = input;
  problem_.weight_type_ = weight;
  constexpr std::string_view kOperandTypes = "float32, float64, float16, bfloat16, int8, uint8";
  const auto operand = [&](DataType type, const std::string& path) {
    const bool known = IsKnown(type) && type != DataType::kInt32;
    if (!known) {
      Refuse(path, fmt::format("expected one of {}, got {}", kOperandTypes, TypeText(type)));
    }
    return known;
  };
  const bool input_known = operand(input, paths_.input_type);
  const bool weight_known = operand(weight, paths_.weight_type);
  const bool integers = IsByte(input) && IsByte(weight);
  const bool image = input == DataType::kUInt8 && weight == DataType::kFloat32;
  if (input_known && weight_known) {
    if (!integers && !image && input != weight) {
      const std::string_view expected =
          input == DataType::kUInt8  ? "int8, uint8 or float32 (for a uint8 input)"
          : input == DataType::kInt8 ? "int8 or uint8 (for an int8 input)"
                                     : "";
      Refuse(paths_.weight_type,
             expected.empty()
                 ? fmt::format("expected {} like the input, got {}", Name(input), Name(weight))
                 : fmt::format("expected {}, got {}", expected, Name(weight)));
    }
    problem_.arithmetic_ = integers                      ? Arithmetic::kInteger
                           : input == DataType::kFloat64 ? Arithmetic::kFloat64
                                                         : Arithmetic::kFloat32;
  }
  if (spec_.bias) {
    const DataType bias = spec_.bias->data_type;
    problem_.bias_type_ = bias;
    if (!IsKnown(bias)) {
      Refuse(paths_.bias_type,
             fmt::format("expected one of {}, got {}", DataTypeNames(), TypeText(bias)));
    } else if (integers && !IsInteger(bias)) {
      Refuse(paths_.bias_type, fmt::format("expected int8, uint8 or int32, got {}", Name(bias)));
    } else if (weight_known && !integers && bias != weight) {
      Refuse(paths_.bias_type,
             fmt::format("expected {} like the weight, got {}", Name(weight), Name(bias)));
    }
  }
  problem_.output_type_ = spec_.output_type;
  if (spec_.output_type == DataType::kUnspecified) {
    problem_.output_type_ = integers ? DataType::kInt32 : weight;
  } else if (!IsKnown(spec_.output_type)) {
    Refuse(paths_.output_type,
           fmt::format("expected one of {}, got {}", DataTypeNames(), TypeText(spec_.output_type)));
  }
}

template <typename Enum, std::size_t N>
void ProblemBuilder::CheckEnum(Enum value, const std::array<std::string_view, N>& names,
                               std::string_view name) {
  const int number = static_cast<int>(value);
  if (number < 0 || number >= static_cast<int>(N)) {
    Refuse(Parameter(name), fmt::format("expected one of {}, got unknown value {}",
                                        fmt::join(names.begin() + 1, names.end(), ", "), number));
  }
}

void ProblemBuilder::CheckEnums() {
  CheckEnum(common_.auto_pad, kAutoPadNames, "auto_pad");
  CheckEnum(common_.padding_mode, kPaddingModeNames, "padding_mode");
  CheckEnum(common_.tensor_layout, kLayoutNames, "tensor_layout");
  CheckEnum(common_.weight_layout, kLayoutNames, "weight_layout");
  problem_.padding_mode_ = common_.padding_mode == PaddingMode::kUnspecified ? PaddingMode::kZeros
                                                                             : common_.padding_mode;
  problem_.tensor_layout_ = common_.tensor_layout == TensorLayout::kUnspecified
                                ? TensorLayout::kChannelsFirst
                                : common_.tensor_layout;
  problem_.weight_layout_ = common_.weight_layout == WeightLayout::kUnspecified
                                ? WeightLayout::kChannelsFirst
                                : common_.weight_layout;
}

void ProblemBuilder::CheckRanks() {
  const std::size_t weight_rank = spec_.weight.shape.size();
  const std::size_t input_rank = spec_.input.shape.size();
  if (weight_rank < 3 || weight_rank > 5) {
    Refuse(paths_.weight_shape,
           fmt::format(
               "expected 3 to 5 dimensions (two of channels and 1 to 3 spatial ones), got {}: {}",
               weight_rank, ToString(spec_.weight.shape)));
    return;
  }
  const std::size_t axes = weight_rank - 2;
  if (input_rank != axes + 1 && input_rank != axes + 2) {
    Refuse(paths_.input_shape,
           fmt::format("expected {} dimensions (or {} without a batch) for a weight with {} "
                       "spatial axes, got {}: {}",
                       axes + 2, axes + 1, axes, input_rank, ToString(spec_.input.shape)));
    return;
  }
  axes_ = axes;
  const bool input_last = problem_.tensor_layout_ == TensorLayout::kChannelsLast;
  const bool weight_last = problem_.weight_layout_ == WeightLayout::kChannelsLast;
  batched_ = input_rank == axes + 2;
  const std::size_t first = batched_ ? 1 : 0;
  input_channel_ = input_last ? input_rank - 1 : first;
  input_spatial_ = input_last ? first : first + 1;
  // Channels first: [M, C/g] or [C, M/g]. Channels last: the same two from the other end.
  outer_channel_ = weight_last ? weight_rank - 1 : 0;
  inner_channel_ = weight_last ? weight_rank - 2 : 1;
  weight_spatial_ = weight_last ? 0 : 2;

  shapes_positive_ = true;
  const auto positive = [&](const Shape& shape, std::size_t skip, const std::string& path) {
    for (std::size_t i = 0; i < shape.size(); ++i) {
      const std::int64_t least = i == skip ? 0 : 1;
      if (shape[i] < least) {
        Refuse(fmt::format("{}[{}]", path, i),
               fmt::format("expected a size of at least {}, got {}", least, shape[i]));
        shapes_positive_ = false;
      }
    }
  };
  positive(spec_.input.shape, batched_ ? 0 : input_rank, paths_.input_shape);
  positive(spec_.weight.shape, weight_rank, paths_.weight_shape);
}

void ProblemBuilder::CheckData(const TensorSpec& tensor, const std::string& shape_path,
                               const std::string& data_path) {
  const std::int64_t size = IsKnown(tensor.data_type) ? SizeOf(tensor.data_type) : 1;
  const auto count = ElementCount(tensor.shape);
  std::int64_t bytes = 0;
  if (!count || __builtin_mul_overflow(*count, size, &bytes)) {
    const bool negative = std::any_of(tensor.shape.begin(), tensor.shape.end(),
                                      [](std::int64_t extent) { return extent < 0; });
    if (!negative) {
      Refuse(shape_path, fmt::format("expected fewer than 2^63 bytes of elements, got {}",
                                     ToString(tensor.shape)));
    }
    return;
  }
  if (tensor.byte_count && IsKnown(tensor.data_type) && *tensor.byte_count != bytes) {
    Refuse(data_path,
           fmt::format("expected {} bytes ({} of {}), got {}", bytes, ToString(tensor.shape),
                       Name(tensor.data_type), *tensor.byte_count));
  }
}

absl::StatusOr<Problem> ProblemBuilder::Finish() {
  problem_.batch_ = batched_ ? spec_.input.shape[0] : 1;
  problem_.output_shape_ = spec_.input.shape;
  problem_.output_shape_[input_channel_] = problem_.output_channels_;
  for (std::size_t i = 0; i < axes_; ++i) {
    problem_.output_shape_[input_spatial_ + i] = problem_.axes_[i].output;
  }
  const auto bytes = ByteCount(problem_.output_type_, problem_.output_shape_);
  if (!bytes || *bytes > limits_.max_output_bytes) {
    return absl::ResourceExhaustedError(fmt::format(
        "output: expected at most {} bytes, got {} ({} of {})", limits_.max_output_bytes,
        bytes ? fmt::format("{}", *bytes) : "more than 2^63 - 1",
        convserve::ToString(problem_.output_shape_), Name(problem_.output_type_)));
  }
  const auto multiply_adds = CountMultiplyAdds();
  if (!multiply_adds || *multiply_adds > limits_.max_multiply_adds) {
    return absl::ResourceExhaustedError(
        fmt::format("multiply-adds: expected at most {}, got {}", limits_.max_multiply_adds,
                    multiply_adds ? fmt::format("{}", *multiply_adds) : "more than 2^63 - 1"));
  }
  problem_.multiply_adds_ = *multiply_adds;
  return std::move(problem_);
}

std::optional<std::int64_t> ProblemBuilder::CountMultiplyAdds() const {
  // Every cell of the strided side meets every tap and every channel of the other side in its
  // group.
  Shape factors = {problem_.batch_, problem_.input_channels_,
                   problem_.output_channels_ / problem_.groups_};
  for (const Axis& axis : problem_.axes_) {
    factors.push_back(transposed() ? axis.input : axis.output);
    factors.push_back(axis.kernel);
  }
  return ElementCount(factors);
}

absl::StatusOr<Problem> MakeProblem(const ProblemSpec& spec, const Limits& limits,
                                    const FieldPaths& paths, Violations found) {
  return ProblemBuilder(spec, limits, paths, std::move(found)).Build();
}

}  // namespace convserve
