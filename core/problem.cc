#include "core/problem.h"

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "core/axis.h"
#include "fmt/format.h"

namespace convserve {
namespace {

// The names that the wire gives to the enumerators, by number.
constexpr std::array<std::string_view, 4> kAutoPadNames = {"UNSPECIFIED", "VALID", "SAME_UPPER",
                                                           "SAME_LOWER"};
constexpr std::array<std::string_view, 5> kPaddingModeNames = {"UNSPECIFIED", "ZEROS", "REFLECT",
                                                               "REPLICATE", "CIRCULAR"};
constexpr std::array<std::string_view, 3> kLayoutNames = {"UNSPECIFIED", "CHANNELS_FIRST",
                                                          "CHANNELS_LAST"};

// "float32", or the number of a type that has no name.
std::string TypeText(DataType type) {
  if (IsKnown(type) || type == DataType::kUnspecified) return std::string(Name(type));
  return fmt::format("unknown value {}", static_cast<int>(type));
}

bool IsByte(DataType type) { return type == DataType::kInt8 || type == DataType::kUInt8; }

// Both operations' parameters, under one roof. What an operation lacks is empty.
struct Common {
  AxisList stride, dilation, padding, output_padding, output_size;
  AutoPad auto_pad;
  PaddingMode padding_mode;
  std::optional<std::int64_t> groups;
  bool flip_kernel;
  TensorLayout tensor_layout;
  WeightLayout weight_layout;
};

Common Unify(const std::variant<ConvParameters, ConvTransposeParameters>& parameters) {
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

// The product of all factors, or nothing past 2^63 - 1.
std::optional<std::int64_t> Product(std::initializer_list<std::int64_t> factors) {
  return ElementCount(absl::MakeSpan(factors.begin(), factors.size()));
}

}  // namespace

// Runs the checks in order and collects what they find. A check that needs the outcome of an
// earlier one is left out when that one failed; all others run.
class ProblemBuilder {
 public:
  ProblemBuilder(const ProblemSpec& spec, const Limits& limits, const FieldPaths& paths,
                 Violations found)
      : spec_(spec),
        limits_(limits),
        paths_(paths),
        common_(Unify(spec.parameters)),
        violations_(std::move(found)) {}

  absl::StatusOr<Problem> Build() {
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

 private:
  bool transposed() const { return problem_.operation_ == Operation::kConvTranspose; }

  void Refuse(std::string field, std::string description) {
    violations_.push_back({std::move(field), std::move(description)});
  }

  std::string Parameter(std::string_view name) const {
    return fmt::format("{}.{}", paths_.parameters, name);
  }

  // The path of the entry of a per-axis list that speaks for `axis`.
  std::string Entry(std::string_view name, const AxisList& list, std::size_t axis) const {
    if (list.empty()) return Parameter(name);
    return fmt::format("{}[{}]", Parameter(name), list.size() == 1 ? 0 : axis);
  }

  void CheckTypes() {
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
      Refuse(paths_.output_type, fmt::format("expected one of {}, got {}", DataTypeNames(),
                                             TypeText(spec_.output_type)));
    }
  }

  template <typename Enum, std::size_t N>
  void CheckEnum(Enum value, const std::array<std::string_view, N>& names, std::string_view name) {
    const int number = static_cast<int>(value);
    if (number < 0 || number >= static_cast<int>(N)) {
      Refuse(Parameter(name), fmt::format("expected one of {}, got unknown value {}",
                                          fmt::join(names.begin() + 1, names.end(), ", "), number));
    }
  }

  void CheckEnums() {
    CheckEnum(common_.auto_pad, kAutoPadNames, "auto_pad");
    CheckEnum(common_.padding_mode, kPaddingModeNames, "padding_mode");
    CheckEnum(common_.tensor_layout, kLayoutNames, "tensor_layout");
    CheckEnum(common_.weight_layout, kLayoutNames, "weight_layout");
    problem_.padding_mode_ = common_.padding_mode == PaddingMode::kUnspecified
                                 ? PaddingMode::kZeros
                                 : common_.padding_mode;
    problem_.tensor_layout_ = common_.tensor_layout == TensorLayout::kUnspecified
                                  ? TensorLayout::kChannelsFirst
                                  : common_.tensor_layout;
    problem_.weight_layout_ = common_.weight_layout == WeightLayout::kUnspecified
                                  ? WeightLayout::kChannelsFirst
                                  : common_.weight_layout;
  }

  // The weight's rank says how many spatial axes there are; the input's must follow. Sets where
  // each dimension stands.
  void CheckRanks() {
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

  void CheckList(const AxisList& list, std::string_view name, std::int64_t least) {
    const bool both_ends = name == "padding";
    const std::size_t size = list.size();
    if (size > 1 && size != axes_ && !(both_ends && size == 2 * axes_)) {
      Refuse(
          Parameter(name),
          fmt::format("expected 0, 1 or {} entries{}, got {}", axes_,
                      both_ends ? fmt::format(" (or {}: all beginnings, then all ends)", 2 * axes_)
                                : std::string(),
                      size));
      lists_good_ = false;
    }
    for (std::size_t i = 0; i < size; ++i) {
      if (list[i] < least) {
        Refuse(fmt::format("{}[{}]", Parameter(name), i),
               fmt::format("expected at least {}, got {}", least, list[i]));
        lists_good_ = false;
      }
    }
  }

  void CheckLists() {
    CheckList(common_.stride, "stride", 1);
    CheckList(common_.dilation, "dilation", 1);
    CheckList(common_.padding, "padding", 0);
    CheckList(common_.output_padding, "output_padding", 0);
    CheckList(common_.output_size, "output_size", 1);
    const int auto_pad = static_cast<int>(common_.auto_pad);
    const bool known = auto_pad >= 0 && auto_pad < static_cast<int>(kAutoPadNames.size());
    if (auto_pad != 0 && known && !common_.padding.empty()) {
      Refuse(Parameter("padding"), fmt::format("expected none together with auto_pad {}, got {}",
                                               kAutoPadNames[static_cast<std::size_t>(auto_pad)],
                                               ToString(common_.padding)));
      lists_good_ = false;
    }
    const bool same = auto_pad > static_cast<int>(AutoPad::kValid);
    if (!common_.output_size.empty() && !same && !common_.output_padding.empty()) {
      Refuse(Parameter("output_padding"),
             fmt::format("expected none together with output_size, which selects it, got {}",
                         ToString(common_.output_padding)));
      lists_good_ = false;
    }
    lists_good_ = lists_good_ && known;
  }

  // Conv weight [M, C/g]; ConvTranspose weight [C, M/g].
  void CheckChannels() {
    const std::int64_t groups = common_.groups.value_or(1);
    if (groups < 1) {
      Refuse(Parameter("groups"), fmt::format("expected at least 1, got {}", groups));
    }
    if (groups < 1 || !shapes_positive_) return;
    const std::int64_t channels = spec_.input.shape[input_channel_];
    const std::int64_t outer = spec_.weight.shape[outer_channel_];
    const std::int64_t inner = spec_.weight.shape[inner_channel_];
    const std::string outer_path = fmt::format("{}[{}]", paths_.weight_shape, outer_channel_);
    const std::string inner_path = fmt::format("{}[{}]", paths_.weight_shape, inner_channel_);
    problem_.groups_ = groups;
    problem_.input_channels_ = channels;
    if (channels % groups != 0) {
      Refuse(Parameter("groups"),
             fmt::format("expected a divisor of the {} input channels, got {}", channels, groups));
    }
    if (transposed()) {
      if (outer != channels) {
        Refuse(outer_path, fmt::format("expected {} (input channels), got {}", channels, outer));
      }
      const auto outputs = Product({inner, groups});
      if (!outputs) {
        Refuse(inner_path, fmt::format("expected output channels below 2^63, got {} * {} groups",
                                       inner, groups));
        return;
      }
      problem_.output_channels_ = *outputs;
    } else {
      if (channels % groups == 0 && inner != channels / groups) {
        Refuse(inner_path, fmt::format("expected {} (input channels {} / groups {}), got {}",
                                       channels / groups, channels, groups, inner));
      }
      if (outer % groups != 0) {
        Refuse(outer_path, fmt::format("expected a multiple of groups {}, got {}", groups, outer));
      }
      problem_.output_channels_ = outer;
    }
    if (spec_.bias &&
        (spec_.bias->shape.size() != 1 || spec_.bias->shape[0] != problem_.output_channels_)) {
      Refuse(paths_.bias_shape,
             fmt::format("expected [{}] (output channels), got {}", problem_.output_channels_,
                         ToString(spec_.bias->shape)));
    }
  }

  std::string AxisPath(AxisField field, std::size_t axis) const {
    switch (field) {
      case AxisField::kInput:
        return fmt::format("{}[{}]", paths_.input_shape, input_spatial_ + axis);
      case AxisField::kKernel:
        return fmt::format("{}[{}]", paths_.weight_shape, weight_spatial_ + axis);
      case AxisField::kStride:
        return Entry("stride", common_.stride, axis);
      case AxisField::kDilation:
        return Entry("dilation", common_.dilation, axis);
      case AxisField::kOutputPadding:
        return Entry("output_padding", common_.output_padding, axis);
      case AxisField::kOutputSize:
        return Entry("output_size", common_.output_size, axis);
      case AxisField::kPaddingBegin:
      case AxisField::kPaddingEnd:
        break;
    }
    if (common_.padding.empty()) {
      return Parameter(common_.auto_pad == AutoPad::kUnspecified ? "padding" : "auto_pad");
    }
    const bool end = field == AxisField::kPaddingEnd && common_.padding.size() == 2 * axes_;
    if (axes_ == 1 && common_.padding.size() == 2) {
      return fmt::format("{}[{}]", Parameter("padding"), end ? 1 : 0);
    }
    return Entry("padding", common_.padding, end ? axes_ + axis : axis);
  }

  void CheckAxes() {
    if (!shapes_positive_ || !lists_good_) return;
    const auto entry = [](const AxisList& list, std::size_t axis, std::int64_t absent) {
      return list.empty() ? absent : list.size() == 1 ? list[0] : list[axis];
    };
    for (std::size_t i = 0; i < axes_; ++i) {
      const bool both_ends = common_.padding.size() == 2 * axes_;
      AxisRequest request;
      request.input = spec_.input.shape[input_spatial_ + i];
      request.kernel = spec_.weight.shape[weight_spatial_ + i];
      request.stride = entry(common_.stride, i, 1);
      request.dilation = entry(common_.dilation, i, 1);
      request.padding_begin = entry(common_.padding, i, 0);
      request.padding_end = both_ends ? common_.padding[axes_ + i] : request.padding_begin;
      request.auto_pad = common_.auto_pad;
      request.padding_mode = problem_.padding_mode_;
      request.output_padding = entry(common_.output_padding, i, 0);
      if (!common_.output_size.empty()) request.output_size = entry(common_.output_size, i, 0);
      std::vector<AxisRefusal> refusals;
      problem_.axes_.push_back(ResolveAxis(problem_.operation_, request, refusals));
      for (AxisRefusal& refusal : refusals) {
        FieldViolation violation{AxisPath(refusal.field, i), std::move(refusal.description)};
        // One padding that serves both ends, or all axes, is refused once.
        if (std::find(violations_.begin(), violations_.end(), violation) == violations_.end()) {
          violations_.push_back(std::move(violation));
        }
      }
    }
  }

  void CheckData(const TensorSpec& tensor, const std::string& shape_path,
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

  // The problem is valid: its output shape, and whether it is too large.
  absl::StatusOr<Problem> Finish() {
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

  std::optional<std::int64_t> CountMultiplyAdds() const {
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

  const ProblemSpec& spec_;
  const Limits& limits_;
  const FieldPaths& paths_;
  const Common common_;
  Violations violations_;
  Problem problem_;

  std::size_t axes_ = 0;  // set once the ranks are good
  bool batched_ = false;
  std::size_t input_channel_ = 0, input_spatial_ = 0;
  std::size_t outer_channel_ = 0, inner_channel_ = 0, weight_spatial_ = 0;
  bool shapes_positive_ = false;
  bool lists_good_ = true;
};

absl::StatusOr<Problem> MakeProblem(const ProblemSpec& spec, const Limits& limits,
                                    const FieldPaths& paths, Violations found) {
  return ProblemBuilder(spec, limits, paths, std::move(found)).Build();
}

std::int64_t Problem::input_bytes() const { return *ByteCount(input_type_, input_shape_); }
std::int64_t Problem::weight_bytes() const { return *ByteCount(weight_type_, weight_shape_); }
std::int64_t Problem::output_bytes() const { return *ByteCount(output_type_, output_shape_); }

Problem Problem::WithBatch(std::int64_t batch) const {
  Problem problem = *this;
  problem.multiply_adds_ = batch_ == 0 ? 0 : multiply_adds_ / batch_ * batch;
  problem.batch_ = problem.input_shape_[0] = problem.output_shape_[0] = batch;
  return problem;
}

std::string Problem::ToString() const {
  const auto list = [&](auto member) {
    std::vector<std::int64_t> values;
    for (const Axis& axis : axes_) values.push_back(axis.*member);
    return fmt::format("{}", fmt::join(values, ","));
  };
  const bool transposed = operation_ == Operation::kConvTranspose;
  std::string text = fmt::format(
      "{}{} {} * {} {} -> {} {}, stride {}, dilation {}, padding {} / {}",
      transposed ? "conv_transpose " : "conv ", Name(input_type_),
      convserve::ToString(input_shape_), Name(weight_type_), convserve::ToString(weight_shape_),
      Name(output_type_), convserve::ToString(output_shape_), list(&Axis::stride),
      list(&Axis::dilation), list(&Axis::padding_begin), list(&Axis::padding_end));
  if (transposed)
    fmt::format_to(std::back_inserter(text), ", output padding {}", list(&Axis::output_padding));
  fmt::format_to(std::back_inserter(text), ", groups {}", groups_);
  if (padding_mode_ != PaddingMode::kZeros) {
    fmt::format_to(std::back_inserter(text), ", {}",
                   kPaddingModeNames[static_cast<std::size_t>(padding_mode_)]);
  }
  if (flip_kernel_) fmt::format_to(std::back_inserter(text), ", flipped kernel");
  return text;
}

}  // namespace convserve
