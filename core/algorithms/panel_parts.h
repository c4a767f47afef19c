// The parts of a convolution that kPanels computes one after another.
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
  // Of each axis, those that are computed together; none without outputs.
  std::vector<std::array<Phase, 3>> phases;
  // Parts that there are, itself included, of whose tasks none has to wait for another's.
  std::int64_t parts = 1;
};

// One part with all phases, as a rule. Where dilated taps reach so far that many of them meet zero
// padding, outputs that meet the same taps within the input are a part, with these taps alone.
// Follows from the problem alone, and not from its batch.
std::vector<PanelPart> PanelParts(const Problem& problem, const Geometry& g);

}  // namespace convserve

#endif  // CONVSERVE_CORE_ALGORITHMS_PANEL_PARTS_H_
