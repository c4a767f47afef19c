#include "core/algorithms/outputs_apart.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "core/algorithms/patches.h"

namespace convserve {
namespace {

using Stretches = std::array<std::vector<Phase>, 3>;

// Taps of an axis at most that is split.
constexpr std::int64_t kMostTaps = 5;

// What the phase of an axis may be split into: itself where some outputs would meet no tap.
std::vector<Phase> Split(const Phase& phase, std::int64_t input) {
  if (phase.taps > kMostTaps) return {phase};
  std::vector<Phase> stretches = SplitByTaps(phase, input);
  if (std::any_of(stretches.begin(), stretches.end(),
                  [](const Phase& stretch) { return stretch.taps == 0; })) {
    return {phase};
  }
  return stretches;
}

// Taps of all outputs that are apart, at most.
constexpr double kMostParts = 128;

// Of all combinations of the stretches of each axis: the multiply-adds for one filter and channel,
// and the taps. Sizes may be too large for integers: a plan allocates nothing.
struct Work {
  double products = 1;
  double taps = 1;
};
Work WorkOf(const Stretches& stretches) {
  Work work;
  for (const std::vector<Phase>& axis : stretches) {
    double products = 0;
    double taps = 0;
    for (const Phase& stretch : axis) {
      products += static_cast<double>(stretch.outputs) * static_cast<double>(stretch.taps);
      taps += static_cast<double>(stretch.taps);
    }
    work.products *= products;
    work.taps *= taps;
  }
  return work;
}

// Whether outputs that meet the same taps are worth it to be apart: a sixth less to do, where every
// tap costs as much as so many products more. Nothing may meet padding then.
bool Pays(const Stretches& whole, const Stretches& split, const Geometry& g, double tap) {
  for (std::size_t axis = 0; axis < 3; ++axis) {
    for (const Phase& stretch : split[axis]) {
      const auto [first, last] =
          std::minmax({stretch.Input(0, 0), stretch.Input(0, stretch.taps - 1)});
      if (first < 0 || last + (stretch.outputs - 1) * stretch.input_step >= g.axes[axis].input) {
        return false;
      }
    }
  }
  const Work all = WorkOf(whole);
  const Work less = WorkOf(split);
  return less.taps <= kMostParts &&
         less.products + tap * less.taps < (all.products + tap * all.taps) * 5 / 6;
}

}  // namespace

std::vector<std::array<Phase, 3>> OutputsApart(const Problem& problem, const Geometry& g,
                                               double products_per_tap) {
  std::vector<std::array<Phase, 3>> apart;
  if (problem.operation() != Operation::kConv || problem.padding_mode() != PaddingMode::kZeros) {
    return apart;
  }
  const std::array<Phase, 3> phases = FirstPhases(problem, g);
  Stretches split;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    split[axis] = Split(phases[axis], g.axes[axis].input);
  }
  if (!Pays({{{phases[0]}, {phases[1]}, {phases[2]}}}, split, g, products_per_tap)) {
    return apart;
  }
  for (const Phase& z : split[0]) {
    for (const Phase& y : split[1]) {
      for (const Phase& x : split[2]) apart.push_back({z, y, x});
    }
  }
  return apart;
}

}  // namespace convserve
