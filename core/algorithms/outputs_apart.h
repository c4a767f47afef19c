// Outputs of dilated convolutions that are computed apart, without taps that meet padding alone.
#ifndef CONVSERVE_CORE_ALGORITHMS_OUTPUTS_APART_H_
#define CONVSERVE_CORE_ALGORITHMS_OUTPUTS_APART_H_

#include <array>
#include <vector>

#include "core/geometry.h"
#include "core/phases.h"
#include "core/problem.h"

namespace convserve {

// Where dilated taps reach so far that many of them meet zero padding: outputs that meet the same
// taps within the input, with these taps alone. Nothing where that does not pay, given the products
// of one filter and channel in the time that a tap takes besides. Follows from the problem alone,
// and not from its batch.
std::vector<std::array<Phase, 3>> OutputsApart(const Problem& problem, const Geometry& g,
                                               double products_per_tap);

}  // namespace convserve

#endif  // CONVSERVE_CORE_ALGORITHMS_OUTPUTS_APART_H_
