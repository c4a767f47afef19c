#include "core/algorithms/panel_parts.h"

#include <cstddef>

#include "core/algorithms/outputs_apart.h"
#include "core/algorithms/patches.h"

namespace convserve {
namespace {

// The taps of some outputs among all taps of the kernel.
std::vector<std::int64_t> KernelTaps(const std::array<Phase, 3>& axes, const Geometry& g) {
  return TapNumbers(axes, {g.axes[0].kernel, g.axes[1].kernel, g.axes[2].kernel},
                    [&](std::size_t axis, std::int64_t t) {
                      return axes[axis].first_kernel + t * axes[axis].kernel_step;
                    });
}

}  // namespace

std::vector<PanelPart> PanelParts(const Problem& problem, const Geometry& g) {
  constexpr double kProductsPerTap = 8;
  std::vector<PanelPart> parts;
  for (const auto& axes : OutputsApart(problem, g, kProductsPerTap)) {
    parts.push_back({.axes = axes, .shared_taps = KernelTaps(axes, g)});
  }
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
