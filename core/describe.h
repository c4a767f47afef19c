// Everything that follows from shapes and parameters alone, by closed formulas.
#ifndef CONVSERVE_CORE_DESCRIBE_H_
#define CONVSERVE_CORE_DESCRIBE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "core/planner.h"
#include "core/problem.h"

namespace convserve {

// One spatial axis, resolved, and what the arithmetic says about it. Counts are along this axis
// alone.
struct AxisDescription {
  Axis axis;
  std::int64_t unused_inputs = 0;      // input positions that reach no output
  std::int64_t uncovered_outputs = 0;  // output positions that no input reaches
  // Fewest and most taps that one output position receives from real input positions.
  // Unequal in a transposed convolution: checkerboard.
  std::int64_t min_overlap = 0;
  std::int64_t max_overlap = 0;
  // The output_padding of the matching ConvTranspose that restores input_size (Conv); 0 for a
  // ConvTranspose.
  std::int64_t restoring_output_padding = 0;
  // The smallest and largest input of a Conv with these parameters that gives this output size. For
  // a ConvTranspose: of the Conv that it is the adjoint of, whose output is this operation's input.
  std::int64_t smallest_input_with_this_output = 0;
  std::int64_t largest_input_with_this_output = 0;
};

AxisDescription DescribeAxis(const Problem& problem, std::size_t axis);

}  // namespace convserve

#endif  // CONVSERVE_CORE_DESCRIBE_H_
