// The checks of parameters against the shapes that they are for.
#include <algorithm>
#include <initializer_list>
#include <utility>
#include <vector>

#include "core/parameter_names.h"
#include "core/problem_builder.h"
#include "fmt/format.h"

namespace convserve {
namespace {

// The product of all factors, or nothing past 2^63 - 1.
std::optional<std::int64_t> Product(std::initializer_list<std::int64_t> factors) {
  return ElementCount(absl::MakeSpan(factors.begin(), factors.size()));
}

}  // namespace

void ProblemBuilder::CheckList(const AxisList& list, std::string_view name, std::int64_t least) {
  const bool both_ends = name == "padding";
  const std::size_t size = list.size();
  if (size > 1 && size != axes_ && !(both_ends && size == 2 * axes_)) {
    Refuse(Parameter(name),
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

void ProblemBuilder::CheckLists() {
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
void ProblemBuilder::CheckChannels() {
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
      Refuse(inner_path,
             fmt::format("expected output channels below 2^63, got {} * {} groups", inner, groups));
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
    Refuse(paths_.bias_shape, fmt::format("expected [{}] (output channels), got {}",
                                          problem_.output_channels_, ToString(spec_.bias->shape)));
  }
}

void ProblemBuilder::CheckAxes() {
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

std::string ProblemBuilder::Entry(std::string_view name, const AxisList& list,
                                  std::size_t axis) const {
  if (list.empty()) return Parameter(name);
  return fmt::format("{}[{}]", Parameter(name), list.size() == 1 ? 0 : axis);
}

std::string ProblemBuilder::AxisPath(AxisField field, std::size_t axis) const {
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

}  // namespace convserve
