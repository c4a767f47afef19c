// Everything that follows from shapes and parameters alone, by closed formulas.
#ifndef CONVSERVE_CORE_DESCRIBE_H_
#define CONVSERVE_CORE_DESCRIBE_H_

#include <cstddef>
#include <cstdint>

#include "core/problem.h"

namespace convserve {

// One spatial axis, resolved, and what the arithmetic says about it. Counts are along this axis
// alone: an input cell of a 2-D problem is unused when its row is or its column is.
//
// Notation as in core/problem.h; g = gcd(s, d), s' = s/g.
struct AxisDescription {
  Axis axis;

  // Input positions that reach no output.
  //   Conv: no tap of any placed kernel reads them. In the interior every input is read iff gcd(s,
  //   d) = 1 and k >= s, else a share of min(k, s')/s. Under reflect, replicate and circular
  //   padding a tap on the padding reads the input position that is repeated there, and that counts
  //   as reading it. ConvTranspose: everything that they would be added to is cropped (for d = 1
  //   only where padding >= k).
  std::int64_t unused_inputs = 0;

  // Output positions that no input reaches; they hold the bias, or 0.
  //   Conv: every tap falls on zero padding. None under the other padding modes.
  //   ConvTranspose: positions between strides (gcd(s, d) > 1 or k < s), and revealed output
  //   padding.
  std::int64_t uncovered_outputs = 0;

  // Fewest and most taps that one output position receives.
  //   Conv: counted over the output positions that exist; a tap on zero padding brings nothing and
  //   does not count, a tap on any other padding reads an input and counts (so both are k there).
  //   ConvTranspose: counted over the s phases of the output, away from its borders, as if the
  //   input went on beyond both ends: phase r receives #{t < k : t*d = r mod s}. Unequal: a
  //   checkerboard. Equal iff g = 1 and s divides k. (At the borders fewer taps arrive for every s
  //   < ek; that is no checkerboard.)
  std::int64_t min_overlap = 0;
  std::int64_t max_overlap = 0;

  // The output_padding with which the ConvTranspose of the same s, p, d, k gives input_size back
  // from this output: (n + pl + pr - ek) mod s. 0 for a ConvTranspose.
  std::int64_t restoring_output_padding = 0;

  // The smallest and largest input of a Conv with this k, s, d and resolved padding that gives this
  // output size:
  // [(o-1)s + ek - pl - pr, that + s-1], of which sizes below 1, and below what the padding mode
  // accepts, are left out; the largest is capped at 2^63 - 1. For a ConvTranspose: of the Conv that
  // it is the adjoint of, whose output is this operation's input. A ConvTranspose output size
  // beyond the largest (s <= op < d) is one that the Conv maps to a larger output; where no size is
  // left (the padding crops more than there is, and s <= op), both are 0.
  std::int64_t smallest_input_with_this_output = 0;
  std::int64_t largest_input_with_this_output = 0;
};

// Exact for every Problem, in O(log) steps and without allocating, however large its sizes are.
// `axis` counts from the outermost spatial axis, 0 <= axis < problem.axes().size().
AxisDescription DescribeAxis(const Problem& problem, std::size_t axis);

// The same for an axis by itself, which must be one that a Problem can hold. `mode` is kZeros for a
// ConvTranspose.
AxisDescription DescribeAxis(Operation operation, PaddingMode mode, const Axis& axis);

// Of the input positions 0 .. bound-1, how many reach an output; of the output positions 0 ..
// bound-1, how many an input reaches. They tell which positions unused_inputs and uncovered_outputs
// count. O(log), exact, as above.
std::int64_t UsedInputsBelow(Operation operation, PaddingMode mode, const Axis& axis,
                             std::int64_t bound);
std::int64_t CoveredOutputsBelow(Operation operation, PaddingMode mode, const Axis& axis,
                                 std::int64_t bound);

}  // namespace convserve

#endif  // CONVSERVE_CORE_DESCRIBE_H_
