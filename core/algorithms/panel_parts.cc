#include "core/algorithms/panel_parts.h"

#include <cstddef>

#include "core/algorithms/outputs_apart.h"
#include "core/algorithms/patches.h"

namespace convserve {
namespace {

// Tap `tap` of a phase alone.
Phase OneTap(Phase phase, std::int64_t tap) {
  phase.first_input = phase.Input(0, tap);
  phase.first_kernel += tap * phase.kernel_step;
  phase.taps = 1;
  return phase;
}

// A part for every tap of some outputs.
void AddTaps(const std::array<Phase, 3>& axes, const Geometry& g, std::vector<PanelPart>& parts) {
  const std::size_t first = parts.size();
  for (std::int64_t z = 0; z < axes[0].taps; ++z) {
    for (std::int64_t y = 0; y < axes[1].taps; ++y) {
      for (std::int64_t x = 0; x < axes[2].taps; ++x) {
        PanelPart& part = parts.emplace_back();
        part.axes = {OneTap(axes[0], z), OneTap(axes[1], y), OneTap(axes[2], x)};
        for (std::size_t axis = 0; axis < 3; ++axis) {
          part.first_tap = part.first_tap * g.axes[axis].kernel + part.axes[axis].first_kernel;
        }
        part.begins_sum = parts.size() == first + 1;
        part.ends_sum = false;
      }
    }
  }
  parts.back().ends_sum = true;
}

}  // namespace

std::vector<PanelPart> PanelParts(const Problem& problem, const Geometry& g) {
  constexpr double kProductsPerTap = 8;
  std::vector<PanelPart> parts;
  for (const auto& axes : OutputsApart(problem, g, kProductsPerTap)) AddTaps(axes, g, parts);
  if (!parts.empty()) return parts;
  std::int64_t taps = 0;
  ForEachPhase(problem, g, [&](const std::array<Phase, 3>& axes) {
    parts.push_back({.axes = axes, .first_tap = taps});
    taps += axes[0].taps * axes[1].taps * axes[2].taps;
    return true;
  });
  return parts;
}

}  // namespace convserve
