// The small languages of convctl's arguments. All of them refuse with INVALID_ARGUMENT, saying what
// was expected.
#ifndef CONVSERVE_CLIENT_CLI_ARGUMENT_SYNTAX_H_
#define CONVSERVE_CLIENT_CLI_ARGUMENT_SYNTAX_H_

#include <chrono>
#include <string_view>

#include "absl/status/statusor.h"
#include "core/data_type.h"
#include "core/parameters.h"
#include "core/tensor.h"

namespace convserve::cli {

// "2" or "2,1".
absl::StatusOr<AxisList> ParseAxisList(std::string_view text);

// "1,3,224,224", also with brackets and spaces.
absl::StatusOr<Shape> ParseShape(std::string_view text);

struct Padding {
  AxisList list;
  AutoPad auto_pad = AutoPad::kUnspecified;
};

// "0", "1,2", "0,1,2,3" (beginnings, then ends), or valid, same (the same as same-upper),
// same-upper, same-lower.
absl::StatusOr<Padding> ParsePadding(std::string_view text);

// zeros, reflect, replicate, circular.
absl::StatusOr<PaddingMode> ParsePaddingMode(std::string_view text);

// channels-first, channels-last.
absl::StatusOr<TensorLayout> ParseTensorLayout(std::string_view text);
absl::StatusOr<WeightLayout> ParseWeightLayout(std::string_view text);

// One of DataTypeNames().
absl::StatusOr<DataType> ParseType(std::string_view text);

// A time from 1ms to 366 days: "2" (seconds), "1.5s", "500ms", "2m".
absl::StatusOr<std::chrono::milliseconds> ParseTimeout(std::string_view text);

}  // namespace convserve::cli

#endif  // CONVSERVE_CLIENT_CLI_ARGUMENT_SYNTAX_H_
