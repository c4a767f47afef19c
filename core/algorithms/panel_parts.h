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

// Some taps of some outputs.
struct PanelPart {
  std::array<Phase, 3> axes;
  std::int64_t first_tap = 0;  // among those whose weights are packed
  // Whether no part before it, and none after it, adds to the same outputs.
  bool begins_sum = true;
  bool ends_sum = true;
};

// What kPanels multiplies: one part for every phase with outputs, as a rule. Of OutputsApart()
// every tap is a part: parts with the same tap share its weights.
std::vector<PanelPart> PanelParts(const Problem& problem, const Geometry& g);

}  // namespace convserve

#endif  // CONVSERVE_CORE_ALGORITHMS_PANEL_PARTS_H_
