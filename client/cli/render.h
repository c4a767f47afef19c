// Tensors as text: for people, and as JSON.
#ifndef CONVSERVE_CLIENT_CLI_RENDER_H_
#define CONVSERVE_CLIENT_CLI_RENDER_H_

#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>

#include "core/tensor.h"

namespace convserve::cli {

// The shortest decimal text that reads back as the same value: "6", "0.1", "1.5e-07", "inf", "nan".
std::string FormatNumber(double value);
std::string FormatNumber(float value);

// "1048576" as "1,048,576".
std::string FormatCount(std::int64_t value);

// 1536 as "1.5 KiB".
std::string FormatBytes(std::int64_t bytes);

// Nested brackets, columns aligned, one line a row:
//
//   [[1, 2],
//    [3, 4]]
//
// Above 1000 elements only the first and last three of every dimension are shown, the others as
// "...", and a line with the least, mean and greatest value follows.
void PrintValues(std::ostream& out, const TensorView& tensor);

// Nested lists, all elements. What JSON has no number for is a string: its JsonName.
void PrintJsonValues(std::ostream& out, const TensorView& tensor);

// "NaN", "Infinity" or "-Infinity". The value must be one of them.
std::string_view JsonName(double value);

// "[1, 3]" and the quoted, escaped form of a text.
void PrintJsonShape(std::ostream& out, absl::Span<const std::int64_t> shape);
std::string JsonString(std::string_view text);

}  // namespace convserve::cli

#endif  // CONVSERVE_CLIENT_CLI_RENDER_H_
