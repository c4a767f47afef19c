// The parts of a convolution that kPanels multiplies one after another.
#ifndef CONVSERVE_CORE_ALGORITHMS_PANEL_PARTS_H_
#define CONVSERVE_CORE_ALGORITHMS_PANEL_PARTS_H_

#include <array>
#include <cstdint>
#include <vector>

#include "core/geometry.h"
#include "core/phases.h"
#include "core/problem.h"

namespace convserve {

// Some outputs, and the taps that they meet.
struct PanelPart {
  std::array<Phase, 3> axes;
  // Which of the taps whose weights are packed those are: the ones from `first_tap` on, or
  // `shared_taps`, where parts share weights.
  std::int64_t first_tap = 0;
  std::vector<std::int64_t> shared_taps = {};
};

// What kPanels multiplies: every phase with outputs, as a rule, or OutputsApart(), which share the
// weights of a kernel.
std::vector<PanelPart> PanelParts(const Problem& problem, const Geometry& g);

// The numbers of the taps of `axes`, in their order, among sizes[axis] taps along every axis of
// which tap t is number along(axis, t).
template <typename Along>
std::vector<std::int64_t> TapNumbers(const std::array<Phase, 3>& axes,
                                     const std::array<std::int64_t, 3>& sizes, Along along) {
  std::vector<std::int64_t> numbers;
  for (std::int64_t z = 0; z < axes[0].taps; ++z) {
    for (std::int64_t y = 0; y < axes[1].taps; ++y) {
      for (std::int64_t x = 0; x < axes[2].taps; ++x) {
        numbers.push_back((along(0, z) * sizes[1] + along(1, y)) * sizes[2] + along(2, x));
      }
    }
  }
  return numbers;
}

}  // namespace convserve

#endif  // CONVSERVE_CORE_ALGORITHMS_PANEL_PARTS_H_
