// What a problem's shapes and one of its numbers mean, in words.
#ifndef CONVSERVE_CLIENT_EXPLAIN_WORDS_H_
#define CONVSERVE_CLIENT_EXPLAIN_WORDS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/explain.h"
#include "core/problem.h"
#include "core/solve.h"

namespace convserve {

// "width" for one axis, "height" and "width" for two, "depth" before them for three.
std::string AxisName(std::size_t axes, std::size_t axis);

// The output size with the formula filled in: "floor((5 + 1 + 1 - 3) / 2) + 1 = 3".
std::string SizeFormula(Operation operation, const Axis& axis);

// Which positions of an axis are unused (or uncovered): the first ranges of them, found by
// bisection, so that the size of the axis does not matter.
struct PositionList {
  std::vector<Interval> ranges;  // ascending
  bool more = false;             // there are further ones
};
PositionList UnusedInputs(const Problem& problem, std::size_t axis, std::size_t most_ranges = 8);
PositionList UncoveredOutputs(const Problem& problem, std::size_t axis,
                              std::size_t most_ranges = 8);

// "2-3, 6-7, 11, ..."; empty for none.
std::string ToString(const PositionList& positions);

// The equal direct convolution of a ConvTranspose, in one sentence. Empty for a Conv.
std::string EqualDirectConvolution(const Problem& problem);

// Everything that describe says of sizes, axis by axis, in lines of at most about 110 columns. Axes
// that are alike are described once.
std::string DescribeInWords(const Problem& problem);

// How the taps of one output element fare, all axes taken together, in one input channel.
struct TapCounts {
  std::int64_t all = 0;
  std::int64_t on_input = 0;         // including those on padding that repeats an input
  std::int64_t on_padding = 0;       // Conv: zero padding. ConvTranspose: outside the input
  std::int64_t between_strides = 0;  // ConvTranspose
};
TapCounts CountTaps(const Problem& problem, const Shape& output_index);

// Per axis the first and last input position that the output element depends on; empty when it
// depends on none.
std::vector<Interval> ReceptiveField(const Problem& problem, const Shape& output_index);

// The equation as people write it,
//
//   y[0,0,0,0] = x[0,0,0,0]*w[0,0,1,1] = 1*6 = 6
//
// over several lines where one would be too long; at most `most_terms` products are written out.
// Without `values`, only the names. The sum is that of `explanation`.
struct EquationOptions {
  bool values = true;
  std::size_t most_terms = 12;
};
std::string Equation(const Problem& problem, const Shape& output_index,
                     const Explanation& explanation, const EquationOptions& options = {});

// Receptive field and taps of one output element, one fact a line: which taps fell on padding or
// between strides.
std::string ExplainInWords(const Problem& problem, const Shape& output_index);

}  // namespace convserve

#endif  // CONVSERVE_CLIENT_EXPLAIN_WORDS_H_
