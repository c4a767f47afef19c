// A drawing as an SVG file, in the manner of the figures of "A guide to convolution arithmetic",
// for any parameters.
#ifndef CONVSERVE_CLIENT_EXPLAIN_SVG_H_
#define CONVSERVE_CLIENT_EXPLAIN_SVG_H_

#include <string>

#include "absl/status/statusor.h"
#include "client/explain/picture.h"

namespace convserve {

// A self-contained SVG document: on the left the input with its padding and the kernel on it, on
// the right the output with the number of taps that each element receives, below a legend of what
// occurs. One axis is a row, two are a grid, of three the slices that the kernel reads stand below
// each other. It follows the viewer's dark or light theme, and says in <title> and <desc> what it
// shows. Values are written into the cells where the request has them.
//
// Long axes are cropped (client/explain/picture.h), so the size of the file is bounded.
// INVALID_ARGUMENT when the request's index is no index of the output.
absl::StatusOr<std::string> DrawSvg(const DrawingRequest& request);

}  // namespace convserve

#endif  // CONVSERVE_CLIENT_EXPLAIN_SVG_H_
