// What a drawing of a convolution shows, one axis at a time, before it is ink or characters.
//
// Left stands the line that the kernel moves over, right the output. For a Conv the left line is
// the input between its padding, and the kernel moves in steps of the stride. A ConvTranspose is
// shown as the direct convolution that it equals: the input with s-1 holes between its cells,
// d(k-1)-pl cells around it, and the kernel, rotated, moving in steps of one.
//
//   position   Conv: -pl .. n-1+pr, input i at i               ConvTranspose: input i at i*s
//   output j   window of ek positions from j*s - pl            window from j + pl - d(k-1)
//
// Long lines are cropped: both ends and the surroundings of the window stay, what is left out
// becomes one gap.
#ifndef CONVSERVE_CLIENT_EXPLAIN_PICTURE_H_
#define CONVSERVE_CLIENT_EXPLAIN_PICTURE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/explain.h"
#include "core/problem.h"

namespace convserve {

// A drawing of one problem with the kernel at one output element.
struct DrawingRequest {
  const Problem& problem;
  // One entry for every output dimension. Empty: the first element.
  Shape output_index = {};
  // Values to write into the cells; any may be absent.
  ExplainOperands operands = {};
};

// The request with an index. INVALID_ARGUMENT as Explain has it.
absl::StatusOr<DrawingRequest> Checked(DrawingRequest request);

enum class SourceKind {
  kInput,
  kHole,     // between strides (ConvTranspose)
  kPadding,  // zero padding, and what lies outside the input of a ConvTranspose
  kRepeat,   // padding that repeats an input cell (reflect, replicate, circular)
  kGap,      // stands for positions that are left out
};

struct SourceCell {
  SourceKind kind = SourceKind::kGap;
  std::int64_t position = 0;
  std::int64_t input = -1;  // of kInput and kRepeat
  bool in_window = false;   // between the first and last tap
  std::int64_t tap = -1;    // the tap that lies here (before flipping), or -1
  bool unused = false;      // an input that reaches no output
};

enum class OutputKind {
  kOutput,
  kRevealed,  // output that output_padding adds
  kCropped,   // cut off by a ConvTranspose's padding
  kGap,
};

struct OutputCell {
  OutputKind kind = OutputKind::kGap;
  std::int64_t position = 0;
  std::int64_t taps = 0;  // how many taps bring an input
  bool selected = false;
};

struct AxisPicture {
  std::vector<SourceCell> source;
  std::vector<OutputCell> output;
};

// `most_cells` (at least 8) bounds each of the two lines.
AxisPicture MakeAxisPicture(const Problem& problem, std::size_t axis, std::int64_t output,
                            std::size_t most_cells);

// The kind of a cell that lies on several axes: a gap on any of them is a gap, then padding, then a
// hole.
SourceKind Combined(SourceKind a, SourceKind b);
OutputKind Combined(OutputKind a, OutputKind b);

// The spatial part of an output index, outermost first.
Shape SpatialIndex(const Problem& problem, absl::Span<const std::int64_t> output_index);

// The value of an input cell, and of a weight tap, in the `channel`-th of the input channels that
// the output element reads. Nothing without data. Positions are spatial, outermost first; taps
// before flipping.
std::optional<double> InputValue(const DrawingRequest& request, std::int64_t channel,
                                 absl::Span<const std::int64_t> position);
std::optional<double> WeightValue(const DrawingRequest& request, std::int64_t channel,
                                  absl::Span<const std::int64_t> taps);

// "conv, 2-D: input 5 x 5, kernel 3 x 3, stride 2, padding 1 -> output 3 x 3". Axes that are alike
// share a number.
std::string Title(const Problem& problem);

}  // namespace convserve

#endif  // CONVSERVE_CLIENT_EXPLAIN_PICTURE_H_
