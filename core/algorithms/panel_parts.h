// The parts that kPanels cuts a convolution into before anything else.
#ifndef CONVSERVE_CORE_ALGORITHMS_PANEL_PARTS_H_
#define CONVSERVE_CORE_ALGORITHMS_PANEL_PARTS_H_

#include <array>
#include <cstdint>
#include <vector>

#include "core/geometry.h"
#include "core/phases.h"
#include "core/problem.h"

namespace convserve {

struct PanelPart {
  // Of each axis; none without outputs. They share windows and weights.
  std::vector<std::array<Phase, 3>> phases;
  std::int64_t parts = 1;  // of the convolution, itself included: their tasks run side by side
};

// One part with all phases, as a rule. Where dilated taps reach so far that many of them meet zero
// padding, outputs that meet the same taps within the input are a part, with these taps alone.
// Follows from the problem alone, and not from its batch.
std::vector<PanelPart> PanelParts(const Problem& problem, const Geometry& g);

}  // namespace convserve

#endif  // CONVSERVE_CORE_ALGORITHMS_PANEL_PARTS_H_
