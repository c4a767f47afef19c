#include "core/phases.h"

#include <algorithm>
#include <numeric>

#include "absl/numeric/int128.h"
#include "core/divide.h"

namespace convserve {
namespace {

// Leaves out taps that lie outside [0, input) for every output of the phase. Coordinates are
// monotonic in the tap, so what remains is an interval.
void TrimPaddedTaps(std::int64_t input, Phase& phase) {
  if (phase.outputs == 0 || phase.taps == 0) return;
  const std::int64_t reach = (phase.outputs - 1) * phase.input_step;
  // Tap j is useful when low <= j*tap_step <= high.
  const std::int64_t low = -reach - phase.first_input;
  const std::int64_t high = input - 1 - phase.first_input;
  std::int64_t first = 0;
  std::int64_t last = 0;
  if (phase.tap_step > 0) {
    first = -FloorDivide(-low, phase.tap_step);
    last = FloorDivide(high, phase.tap_step);
  } else {
    first = -FloorDivide(high, -phase.tap_step);
    last = FloorDivide(-low, -phase.tap_step);
  }
  first = std::max<std::int64_t>(first, 0);
  last = std::min(last, phase.taps - 1);
  phase.taps = std::max<std::int64_t>(last - first + 1, 0);
  if (phase.taps == 0) return;
  phase.first_kernel += first * phase.kernel_step;
  phase.first_input += first * phase.tap_step;
}

// Taps this far apart fall on the same residue.
std::int64_t TapPeriod(const Axis& axis) {
  return axis.stride / std::gcd(axis.stride, axis.dilation);
}

}  // namespace

std::int64_t PhaseCount(Operation operation, const Axis& axis) {
  if (operation == Operation::kConv) return 1;
  return std::min(axis.kernel, TapPeriod(axis));
}

Phase PhaseAt(Operation operation, const Axis& axis, PaddingMode mode, std::int64_t index) {
  Phase phase;
  if (operation == Operation::kConv) {
    phase.outputs = axis.output;
    phase.taps = axis.kernel;
    phase.first_input = -axis.padding_begin;
    phase.input_step = axis.stride;
    phase.tap_step = axis.dilation;
  } else {
    // Tap `index` and every TapPeriod-th after it share the residue of index * dilation.
    const std::int64_t period = TapPeriod(axis);
    const std::int64_t offset = index * axis.dilation;  // below the effective kernel
    const auto first = static_cast<std::int64_t>(
        (absl::int128(offset) - axis.padding_begin % axis.stride + axis.stride) % axis.stride);
    phase.first_output = first;
    phase.output_step = axis.stride;
    phase.outputs = first < axis.output ? (axis.output - 1 - first) / axis.stride + 1 : 0;
    phase.first_kernel = index;
    phase.kernel_step = period;
    phase.taps = (axis.kernel - 1 - index) / period + 1;
    phase.first_input = static_cast<std::int64_t>(
        (absl::int128(first) + axis.padding_begin - offset) / axis.stride);
    phase.tap_step = -(axis.dilation / (axis.stride / period));
  }
  if (mode == PaddingMode::kZeros) TrimPaddedTaps(axis.input, phase);
  return phase;
}

std::vector<Phase> SplitByTaps(const Phase& phase, std::int64_t input) {
  std::vector<std::int64_t> ends = {phase.outputs};
  for (std::int64_t tap = 0; tap < phase.taps; ++tap) {
    const std::int64_t at = phase.Input(0, tap);
    // The first outputs that meet the tap at 0 or past it, and at `input` or past it.
    for (const std::int64_t limit : {-at, input - at}) {
      ends.push_back(
          std::clamp<std::int64_t>(CeilDivide(limit, phase.input_step), 0, phase.outputs));
    }
  }
  std::sort(ends.begin(), ends.end());
  std::vector<Phase> stretches;
  std::int64_t begin = 0;
  for (const std::int64_t end : ends) {
    if (end == begin) continue;
    Phase& stretch = stretches.emplace_back(phase);
    stretch.outputs = end - begin;
    stretch.first_output += begin * phase.output_step;
    stretch.first_input += begin * phase.input_step;
    TrimPaddedTaps(input, stretch);
    begin = end;
  }
  return stretches;
}

Phase Union(const std::vector<Phase>& phases) {
  Phase all = phases.front();
  if (phases.size() == 1 && all.tap_step > 0) return all;
  std::int64_t last = all.first_input;
  for (const Phase& phase : phases) {
    const std::int64_t end = phase.Input(0, phase.taps - 1);
    all.first_input = std::min({all.first_input, phase.first_input, end});
    last = std::max({last, phase.first_input, end});
    all.outputs = std::max(all.outputs, phase.outputs);
  }
  all.tap_step = 1;
  all.taps = last - all.first_input + 1;
  return all;
}

bool HasUncoveredOutputs(Operation operation, const Axis& axis) {
  return operation == Operation::kConvTranspose &&
         (axis.kernel < axis.stride || std::gcd(axis.stride, axis.dilation) > 1);
}

}  // namespace convserve
