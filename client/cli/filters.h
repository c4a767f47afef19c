// Kernels with names, for pictures.
//
//   box:K             K x K cells of 1 / K^2
//   gaussian:K[:S]    exp(-(y^2 + x^2) / (2 S^2)), scaled to the sum 1; S defaults to 0.3 ((K - 1)
//   / 2 - 1) + 0.8 sharpen           0 -1 0 / -1 5 -1 / 0 -1 0 unsharp           the 5 x 5 unsharp
//   mask: twice the picture less its binomial blur sobel-x, sobel-y  -1 0 1 / -2 0 2 / -1 0 1, and
//   transposed laplacian         0 1 0 / 1 -4 1 / 0 1 0 bilinear:F        for ConvTranspose with
//   stride F: linear interpolation onto F times the size
#ifndef CONVSERVE_CLIENT_CLI_FILTERS_H_
#define CONVSERVE_CLIENT_CLI_FILTERS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace convserve::cli {

// The largest K and F.
inline constexpr std::int64_t kMaxFilterSize = 1023;

struct Filter {
  std::string name;            // as typed
  std::int64_t size = 0;       // rows and columns
  std::vector<double> values;  // size * size, row by row
  // bilinear:F alone: F, and the padding that makes the result exactly F times as large.
  std::int64_t upsampling = 0;
  std::int64_t padding = 0;
};

// Whether the part of `text` before a colon is the name of a filter.
bool IsFilter(std::string_view text);

// INVALID_ARGUMENT for an unknown name and for a size or a parameter that is missing, of the wrong
// kind or not wanted.
absl::StatusOr<Filter> ParseFilter(std::string_view text);

// "box:K, gaussian:K[:SIGMA], ...", for messages and help.
std::string FilterForms();

// The bare names, for suggestions.
std::vector<std::string_view> FilterNames();

}  // namespace convserve::cli

#endif  // CONVSERVE_CLIENT_CLI_FILTERS_H_
