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

}  // namespace convserve

#endif  // CONVSERVE_CORE_ALGORITHMS_PANEL_PARTS_H_
