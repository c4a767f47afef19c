#include "core/describe.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "absl/container/inlined_vector.h"
#include "absl/numeric/int128.h"
#include "core/reach.h"

namespace convserve {
namespace {

using absl::int128;

int128 CeilDiv(int128 a, int128 b) {  // b > 0
  return a > 0 ? (a - 1) / b + 1 : -(-a / b);
}

std::int64_t ToInt64(int128 value) {
  return static_cast<std::int64_t>(
      std::min<int128>(value, std::numeric_limits<std::int64_t>::max()));
}

// A kernel put down `steps.placements` times over a line, of which only [begin, begin + size) is
// real.
struct Window {
  Steps steps;
  int128 begin = 0;
  int128 size = 0;

  // How many taps of the placement at `position` lie inside.
  int128 TapsInside(int128 position) const {
    const int128 k = steps.taps, d = steps.dilation;
    const int128 low = std::clamp<int128>(CeilDiv(begin - position, d), 0, k);
    const int128 high = std::clamp<int128>(CeilDiv(begin + size - position, d), 0, k);
    return high - low;
  }
};

// Placements of which no tap lies inside the window.
int128 PlacementsOutside(const Window& window) {
  const Steps& steps = window.steps;
  const int128 end = window.begin + window.size;
  if (steps.dilation >= window.size) {  // at most one tap of a placement fits
    return steps.placements - (PairsBelow(steps, end) - PairsBelow(steps, window.begin));
  }
  const int128 o = steps.placements, s = steps.stride;
  const int128 reach = int128{steps.taps - 1} * steps.dilation;
  const int128 before = std::clamp<int128>(CeilDiv(window.begin - reach, s), 0, o);
  const int128 up_to_end = std::clamp<int128>(CeilDiv(end, s), 0, o);
  return before + (o - up_to_end);
}

struct Range {
  int128 min;
  int128 max;
  void Include(int128 value) {
    min = std::min(min, value);
    max = std::max(max, value);
  }
};

// Fewest and most taps inside the window over all placements j.
//
// Where a placement overhangs one end only, or none, the count is monotone in j, and the ends of
// that range of j decide. Where it overhangs both ends (it is longer than the window), the count is
// floor(size/d) or one more, and a floor sum says whether both occur.
Range TapsInside(const Window& window) {
  const Steps& steps = window.steps;
  const int128 o = steps.placements, s = steps.stride, d = steps.dilation;
  const int128 reach = int128{steps.taps - 1} * d;
  const int128 starts_inside = std::clamp<int128>(CeilDiv(window.begin, s), 0, o);
  const int128 ends_outside =
      std::clamp<int128>(CeilDiv(window.begin + window.size - reach, s), 0, o);
  const auto taps = [&](int128 j) { return window.TapsInside(j * s); };
  Range range = {taps(0), taps(0)};
  for (const int128 j : {starts_inside - 1, starts_inside, ends_outside - 1, ends_outside, o - 1}) {
    if (j >= 0 && j < o) range.Include(taps(j));
  }
  if (ends_outside < starts_inside) {
    const int128 count = starts_inside - ends_outside;
    const int128 v = window.begin - 1 - (starts_inside - 1) * s;
    const int128 sum = FloorSum(count, s, v + window.size, d) - FloorSum(count, s, v, d);
    const int128 fewest = window.size / d;
    const int128 with_one_more = sum - fewest * count;
    range.Include(with_one_more < count ? fewest : fewest + 1);
    range.Include(with_one_more > 0 ? fewest + 1 : fewest);
  }
  return range;
}

// Of the input positions 0 .. bound-1 of a Conv, how many are read.
int128 InputsReadBelow(const Axis& axis, PaddingMode mode, int128 bound) {
  const Steps steps = {.placements = axis.output,
                       .stride = axis.stride,
                       .taps = axis.kernel,
                       .dilation = axis.dilation};
  const int128 n = axis.input, begin = axis.padding_begin, end = begin + n;
  const auto touched = [&](int128 from, int128 to) { return PositionsWithin(steps, from, to); };
  const auto in_any = [&](Image direct, Image left, Image right) {
    for (Image* image : {&direct, &left, &right}) image->end = std::min(image->end, bound);
    return PositionsInAny(steps, {direct, left, right});
  };
  const Image direct = {.sign = 1, .offset = -begin, .begin = 0, .end = n};
  switch (mode) {
    case PaddingMode::kReplicate: {
      const bool before = touched(0, begin) > 0, after = touched(end, end + axis.padding_end) > 0;
      const bool first = before || (n == 1 && after), last = after || (n == 1 && before);
      int128 read = touched(begin, begin + bound);
      if (bound > 0 && first && touched(begin, begin + 1) == 0) ++read;
      if (bound == n && n > 1 && last && touched(end - 1, end) == 0) ++read;
      return read;
    }
    case PaddingMode::kReflect:
      return in_any(direct, {.sign = -1, .offset = begin, .begin = 1, .end = begin + 1},
                    {.sign = -1,
                     .offset = begin + 2 * (n - 1),
                     .begin = n - 1 - axis.padding_end,
                     .end = n - 1});
    case PaddingMode::kCircular:
      return in_any(direct, {.sign = 1, .offset = n - begin, .begin = n - begin, .end = n},
                    {.sign = 1, .offset = -begin - n, .begin = 0, .end = axis.padding_end});
    default:
      return touched(begin, begin + bound);
  }
}

// The kernel's placements over what is real of the line that it moves on: a Conv's over the input,
// a ConvTranspose's over the output.
Window WindowOf(Operation operation, const Axis& axis) {
  const bool conv = operation == Operation::kConv;
  return {.steps = {.placements = conv ? axis.output : axis.input,
                    .stride = axis.stride,
                    .taps = axis.kernel,
                    .dilation = axis.dilation},
          .begin = axis.padding_begin,
          .size = conv ? axis.input : axis.output};
}

bool ReadsPadding(PaddingMode mode) {
  return mode != PaddingMode::kZeros && mode != PaddingMode::kUnspecified;
}

// The smallest input that the padding mode accepts.
std::int64_t SmallestInput(const Axis& axis, PaddingMode mode) {
  const std::int64_t padding = std::max(axis.padding_begin, axis.padding_end);
  if (mode == PaddingMode::kReflect) return padding + 1;
  if (mode == PaddingMode::kCircular) return std::max<std::int64_t>(1, padding);
  return 1;
}

void DescribeConv(PaddingMode mode, AxisDescription& description) {
  const Axis& axis = description.axis;
  description.restoring_output_padding = ToInt64(
      (int128{axis.input} + axis.padding_begin + axis.padding_end - axis.effective_kernel()) %
      axis.stride);
  if (ReadsPadding(mode)) {
    description.min_overlap = description.max_overlap = axis.kernel;
    return;
  }
  const Range taps = TapsInside(WindowOf(Operation::kConv, axis));
  description.min_overlap = ToInt64(taps.min);
  description.max_overlap = ToInt64(taps.max);
}

void DescribeConvTranspose(AxisDescription& description) {
  const Axis& axis = description.axis;
  const std::int64_t g = std::gcd(axis.stride, axis.dilation);
  // At least 1, which clang-tidy cannot know of a quotient.
  const std::int64_t reached_phases = std::max<std::int64_t>(axis.stride / g, 1);
  description.min_overlap = g > 1 ? 0 : axis.kernel / reached_phases;
  description.max_overlap = (axis.kernel - 1) / reached_phases + 1;
}

}  // namespace

std::int64_t UsedInputsBelow(Operation operation, PaddingMode mode, const Axis& axis,
                             std::int64_t bound) {
  bound = std::clamp<std::int64_t>(bound, 0, axis.input);
  if (operation == Operation::kConv) return ToInt64(InputsReadBelow(axis, mode, bound));
  Window output = WindowOf(operation, axis);
  output.steps.placements = bound;
  return ToInt64(bound - PlacementsOutside(output));
}

std::int64_t CoveredOutputsBelow(Operation operation, PaddingMode mode, const Axis& axis,
                                 std::int64_t bound) {
  bound = std::clamp<std::int64_t>(bound, 0, axis.output);
  Window window = WindowOf(operation, axis);
  if (operation == Operation::kConvTranspose) {
    return ToInt64(PositionsWithin(window.steps, window.begin, window.begin + bound));
  }
  if (ReadsPadding(mode)) return bound;
  window.steps.placements = bound;
  return ToInt64(bound - PlacementsOutside(window));
}

AxisDescription DescribeAxis(Operation operation, PaddingMode mode, const Axis& axis) {
  AxisDescription description = {.axis = axis};
  description.unused_inputs = axis.input - UsedInputsBelow(operation, mode, axis, axis.input);
  description.uncovered_outputs =
      axis.output - CoveredOutputsBelow(operation, mode, axis, axis.output);
  const bool conv = operation == Operation::kConv;
  if (conv) {
    DescribeConv(mode, description);
  } else {
    DescribeConvTranspose(description);
  }
  const int128 conv_output = conv ? axis.output : axis.input;
  const int128 smallest = (conv_output - 1) * axis.stride + axis.effective_kernel() -
                          axis.padding_begin - axis.padding_end;
  const int128 accepted = std::max<int128>(smallest, SmallestInput(axis, mode));
  const int128 largest = smallest + axis.stride - 1;
  if (accepted <= largest) {
    description.smallest_input_with_this_output = ToInt64(accepted);
    description.largest_input_with_this_output = ToInt64(largest);
  }
  return description;
}

AxisDescription DescribeAxis(const Problem& problem, std::size_t axis) {
  return DescribeAxis(problem.operation(), problem.padding_mode(), problem.axes()[axis]);
}

}  // namespace convserve
