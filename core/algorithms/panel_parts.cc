#include "core/algorithms/panel_parts.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>

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

// Multiply-adds for one filter and channel, about, with the time that it takes to pack the weights
// of every part. Sizes may be too large for integers: a plan allocates nothing.
double Cost(const Stretches& stretches) {
  constexpr double kProductsPerWeight = 64;
  double products = 1;
  double weights = 1;
  for (const std::vector<Phase>& axis : stretches) {
    double axis_products = 0;
    double axis_weights = 0;
    for (const Phase& stretch : axis) {
      const auto taps = static_cast<double>(stretch.taps);
      axis_products += static_cast<double>(stretch.outputs) * taps;
      axis_weights += taps;
    }
    products *= axis_products;
    weights *= axis_weights;
  }
  return products + kProductsPerWeight * weights;
}

// The way of splitting some axes, or none, that costs least; one that splits has to gain a sixth.
Stretches Cheapest(const std::array<Phase, 3>& phases, const Geometry& g) {
  const Stretches whole = {{{phases[0]}, {phases[1]}, {phases[2]}}};
  Stretches split;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    split[axis] = Split(phases[axis], g.axes[axis].input);
  }
  Stretches best = whole;
  double least = Cost(whole) * 5 / 6;
  for (unsigned choice = 1; choice < 8; ++choice) {
    Stretches some = whole;
    for (std::size_t axis = 0; axis < 3; ++axis) {
      if ((choice >> axis & 1) != 0) some[axis] = split[axis];
    }
    if (Cost(some) > least) continue;
    least = Cost(some);
    best = some;
  }
  return best;
}

}  // namespace

std::vector<PanelPart> PanelParts(const Problem& problem, const Geometry& g) {
  std::vector<PanelPart> parts;
  if (problem.operation() == Operation::kConv && problem.padding_mode() == PaddingMode::kZeros) {
    const Stretches stretches = Cheapest(FirstPhases(problem, g), g);
    for (const Phase& z : stretches[0]) {
      for (const Phase& y : stretches[1]) {
        for (const Phase& x : stretches[2]) parts.push_back({.phases = {{z, y, x}}});
      }
    }
    for (PanelPart& part : parts) part.parts = std::ssize(parts);
    return parts;
  }
  PanelPart& all = parts.emplace_back();
  ForEachPhase(problem, g, [&](const std::array<Phase, 3>& axes) {
    all.phases.push_back(axes);
    return true;
  });
  return parts;
}

}  // namespace convserve
