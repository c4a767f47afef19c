// A drawing as an interactive page.
#ifndef CONVSERVE_CLIENT_EXPLAIN_PAGE_H_
#define CONVSERVE_CLIENT_EXPLAIN_PAGE_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "client/explain/picture.h"

namespace convserve {

// The largest axis, kernel and number of output elements that a page works with.
inline constexpr std::int64_t kMaxPageSize = 1024;
inline constexpr std::int64_t kMaxPageKernel = 64;
inline constexpr std::int64_t kMaxPageOutputs = 4'000'000;

// A self-contained HTML document that starts with the request: one steps through the output
// elements, sees the products and the running sum, and changes every parameter. It loads nothing,
// from anywhere.
//
// Elements of the request's input and weight, those of all channels that the output element reads,
// are taken along where there are at most 65536 of each, all finite; otherwise, and after sizes
// were changed, the page shows small whole numbers, and says so.
//
// INVALID_ARGUMENT when the request's index is no index of the output, or the problem exceeds what
// a page works with (an SVG has no such bounds).
absl::StatusOr<std::string> DrawPage(const DrawingRequest& request);

// The page's arithmetic, JavaScript that a test runs by itself.
std::string_view PageArithmetic();

}  // namespace convserve

#endif  // CONVSERVE_CLIENT_EXPLAIN_PAGE_H_
