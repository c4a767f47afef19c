// A drawing in characters, for those without a browser.
#ifndef CONVSERVE_CLIENT_EXPLAIN_TERMINAL_H_
#define CONVSERVE_CLIENT_EXPLAIN_TERMINAL_H_

#include <string>

#include "absl/status/statusor.h"
#include "client/explain/picture.h"

namespace convserve {

// Input and kernel on the left, output on the right, in Unicode blocks of two columns a cell, at
// most 12 cells an axis; a legend of the signs that occur. Colours nothing, so it may be written to
// a file. Three axes: one slice below the other, as DrawSvg has them. INVALID_ARGUMENT when the
// request's index is no index of the output.
absl::StatusOr<std::string> DrawTerminal(const DrawingRequest& request);

}  // namespace convserve

#endif  // CONVSERVE_CLIENT_EXPLAIN_TERMINAL_H_
