#include "client/explain/words.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <string_view>
#include <utility>

#include "core/describe.h"
#include "fmt/format.h"

namespace convserve {
namespace {

bool IsConv(const Problem& problem) { return problem.operation() == Operation::kConv; }

// The positions that `counted_below` leaves out, of `size`. counted_below(b) is how many of 0 ..
// b-1 count.
PositionList Missing(std::int64_t size, std::size_t most_ranges,
                     const std::function<std::int64_t(std::int64_t)>& counted_below) {
  PositionList list;
  const std::int64_t all = size - counted_below(size);
  std::int64_t missing = 0;  // in the ranges found so far
  std::int64_t from = 0;
  while (missing < all) {
    if (list.ranges.size() == most_ranges) {
      list.more = true;
      break;
    }
    // The smallest position >= from that is left out, then the first after it that is not.
    std::int64_t low = from, high = size - 1;
    while (low < high) {
      const std::int64_t middle = low + (high - low) / 2;
      if (middle + 1 - counted_below(middle + 1) > missing) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    const std::int64_t first = low, counted = counted_below(first);
    high = size;
    while (low < high) {
      const std::int64_t middle = low + (high - low) / 2;
      if (counted_below(middle + 1) > counted) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    list.ranges.push_back({first, std::min(low, size) - 1});
    missing += list.ranges.back().max - first + 1;
    from = low;
  }
  return list;
}

std::string Plural(std::int64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string InputsLine(const Problem& problem, std::size_t a, const AxisDescription& axis) {
  if (axis.unused_inputs == 0) return fmt::format("all {} reach an output", axis.axis.input);
  std::string text = fmt::format("{} of {} reach no output: {}", axis.unused_inputs,
                                 axis.axis.input, ToString(UnusedInputs(problem, a)));
  if (!IsConv(problem)) return text + " (all they add to is cropped)";
  if (axis.axis.kernel < axis.axis.stride) {
    text += fmt::format(" (stride {} steps over them with a kernel of {})", axis.axis.stride,
                        axis.axis.kernel);
  } else if (std::gcd(axis.axis.stride, axis.axis.dilation) > 1) {
    text += fmt::format(" (stride {} and dilation {} share a factor)", axis.axis.stride,
                        axis.axis.dilation);
  } else {
    text += " (the last step leaves them over)";
  }
  return text;
}

std::string OutputsLine(const Problem& problem, std::size_t a, const AxisDescription& axis) {
  const std::string_view holds = problem.has_bias() ? "hold the bias" : "are 0";
  if (axis.uncovered_outputs == 0) {
    return fmt::format("all {} are reached by an input", axis.axis.output);
  }
  return fmt::format("{} of {} are reached by no input and {}: {}", axis.uncovered_outputs,
                     axis.axis.output, holds, ToString(UncoveredOutputs(problem, a)));
}

std::string OverlapLine(const Problem& problem, const AxisDescription& axis) {
  const std::int64_t least = axis.min_overlap, most = axis.max_overlap;
  if (IsConv(problem)) {
    if (least == most) return fmt::format("every output receives {}", Plural(most, "tap"));
    return fmt::format(
        "an output receives {} to {} taps, fewest where the kernel overhangs the input", least,
        most);
  }
  if (least == most) {
    return fmt::format("even, no checkerboard: an output away from the borders receives {}",
                       Plural(most, "tap"));
  }
  const std::int64_t s = axis.axis.stride;
  std::string text = fmt::format(
      "uneven, a checkerboard: of every {} neighbouring outputs some receive {}, some {}", s,
      Plural(least, "tap"), most);
  if (std::gcd(s, axis.axis.dilation) > 1) {
    return text + fmt::format("; stride {} and dilation {} share a factor", s, axis.axis.dilation);
  }
  const std::int64_t below = axis.axis.kernel / s * s;
  return text + (below > 0 ? fmt::format("; a kernel of {} or {} would be even", below, below + s)
                           : fmt::format("; a kernel of {} would be even", s));
}

std::string PaddingLine(const Problem& problem, const Axis& axis) {
  constexpr std::string_view kModes[] = {"zeros", "zeros", "reflect", "replicate", "circular"};
  if (IsConv(problem)) {
    return fmt::format("{} before, {} after ({})", axis.padding_begin, axis.padding_end,
                       kModes[static_cast<std::size_t>(problem.padding_mode())]);
  }
  return fmt::format("{} before, {} after: cropped from the full {} positions; output padding {}",
                     axis.padding_begin, axis.padding_end,
                     (axis.input - 1) * axis.stride + axis.effective_kernel(), axis.output_padding);
}

std::string WayBackLine(const Problem& problem, const AxisDescription& axis) {
  const Interval sizes = {axis.smallest_input_with_this_output,
                          axis.largest_input_with_this_output};
  const std::string range = sizes.min == sizes.max ? fmt::format("{}", sizes.min)
                                                   : fmt::format("{} to {}", sizes.min, sizes.max);
  if (IsConv(problem)) {
    return fmt::format(
        "inputs of {} give {} outputs; conv-transpose with output padding {} restores {}", range,
        axis.axis.output, axis.restoring_output_padding, axis.axis.input);
  }
  if (sizes.max == 0) return fmt::format("no conv of this padding gives {}", axis.axis.input);
  return fmt::format("a conv with this kernel, stride and padding gives {1} for inputs of {0}",
                     range, axis.axis.input);
}

std::string KernelLine(const Axis& axis) {
  if (axis.dilation == 1)
    return fmt::format("{}, in steps of {}", Plural(axis.kernel, "tap"), axis.stride);
  return fmt::format("{}, {} apart: spans {}*({} - 1) + 1 = {}; in steps of {}",
                     Plural(axis.kernel, "tap"), axis.dilation, axis.dilation, axis.kernel,
                     axis.effective_kernel(), axis.stride);
}

std::string_view GeneralFormula(Operation operation) {
  return operation == Operation::kConv
             ? "floor((input + padding - effective kernel) / stride) + 1"
             : "(input - 1)*stride - padding + effective kernel + output padding";
}

}  // namespace

std::string AxisName(std::size_t axes, std::size_t axis) {
  constexpr std::string_view kNames[] = {"depth", "height", "width"};
  return std::string(kNames[3 - axes + axis]);
}

std::string SizeFormula(Operation operation, const Axis& axis) {
  if (operation == Operation::kConv) {
    return fmt::format("floor(({} + {} + {} - {}) / {}) + 1 = {}", axis.input, axis.padding_begin,
                       axis.padding_end, axis.effective_kernel(), axis.stride, axis.output);
  }
  return fmt::format("({} - 1)*{} - {} - {} + {} + {} = {}", axis.input, axis.stride,
                     axis.padding_begin, axis.padding_end, axis.effective_kernel(),
                     axis.output_padding, axis.output);
}

PositionList UnusedInputs(const Problem& problem, std::size_t axis, std::size_t most_ranges) {
  const Axis& a = problem.axes()[axis];
  return Missing(a.input, most_ranges, [&](std::int64_t bound) {
    return UsedInputsBelow(problem.operation(), problem.padding_mode(), a, bound);
  });
}

PositionList UncoveredOutputs(const Problem& problem, std::size_t axis, std::size_t most_ranges) {
  const Axis& a = problem.axes()[axis];
  return Missing(a.output, most_ranges, [&](std::int64_t bound) {
    return CoveredOutputsBelow(problem.operation(), problem.padding_mode(), a, bound);
  });
}

std::string ToString(const PositionList& positions) {
  std::string text;
  for (const Interval range : positions.ranges) {
    text += fmt::format("{}{}", text.empty() ? "" : ", ", range.min);
    if (range.max > range.min) text += fmt::format("-{}", range.max);
  }
  return text + (positions.more ? ", ..." : "");
}

std::string EqualDirectConvolution(const Problem& problem) {
  if (IsConv(problem)) return "";
  const auto numbers = [&](const std::function<std::int64_t(const Axis&)>& number) {
    std::vector<std::int64_t> list;
    for (const Axis& axis : problem.axes()) list.push_back(number(axis));
    const bool alike = std::all_of(list.begin(), list.end(), [&](auto n) { return n == list[0]; });
    return alike ? fmt::format("{}", list[0]) : fmt::format("{}", fmt::join(list, " x "));
  };
  std::string text;
  if (std::any_of(problem.axes().begin(), problem.axes().end(),
                  [](const Axis& a) { return a.stride > 1; })) {
    text = fmt::format("put {} zeros between neighbouring inputs (size {}), ",
                       numbers([](const Axis& a) { return a.stride - 1; }),
                       numbers([](const Axis& a) { return (a.input - 1) * a.stride + 1; }));
  }
  text += fmt::format(
      "pad {} before and {} after, rotate the kernel by 180 degrees and swap its channels, "
      "convolve with stride 1",
      numbers([](const Axis& a) { return a.effective_kernel() - 1 - a.padding_begin; }),
      numbers([](const Axis& a) {
        return a.effective_kernel() - 1 - a.padding_end + a.output_padding;
      }));
  const bool crops = std::any_of(problem.axes().begin(), problem.axes().end(), [](const Axis& a) {
    return std::max(a.padding_begin, a.padding_end - a.output_padding) > a.effective_kernel() - 1;
  });
  return text + (crops ? " (a negative padding cuts cells off)" : "");
}

std::string DescribeInWords(const Problem& problem) {
  const std::size_t axes = problem.axes().size();
  std::string text;
  std::vector<bool> told(axes, false);
  for (std::size_t a = 0; a < axes; ++a) {
    if (told[a]) continue;
    std::string names;
    for (std::size_t b = a; b < axes; ++b) {
      if (!(problem.axes()[b] == problem.axes()[a])) continue;
      told[b] = true;
      names += (names.empty() ? "" : " and ") + AxisName(axes, b);
    }
    const AxisDescription axis = DescribeAxis(problem, a);
    const std::pair<std::string_view, std::string> lines[] = {
        {"size", fmt::format("{}", GeneralFormula(problem.operation()))},
        {"", "= " + SizeFormula(problem.operation(), axis.axis)},
        {"kernel", KernelLine(axis.axis)},
        {"padding", PaddingLine(problem, axis.axis)},
        {"inputs", InputsLine(problem, a, axis)},
        {"outputs", OutputsLine(problem, a, axis)},
        {"overlap", OverlapLine(problem, axis)},
        {"way back", WayBackLine(problem, axis)},
    };
    text += names + '\n';
    for (const auto& [label, line] : lines) text += fmt::format("  {:<9} {}\n", label, line);
  }
  return text;
}

}  // namespace convserve
