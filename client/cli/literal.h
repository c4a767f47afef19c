// Tensors typed by hand: '[[1,2],[3,4]]'.
#ifndef CONVSERVE_CLIENT_CLI_LITERAL_H_
#define CONVSERVE_CLIENT_CLI_LITERAL_H_

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/tensor.h"

namespace convserve::cli {

struct Literal {
  Shape shape;  // empty for a single number
  std::vector<double> values;
};

// Whether `text` is meant as a literal: it begins with a bracket, or is one number.
bool LooksLikeLiteral(std::string_view text);

// Nested lists of numbers, or one number; at most eight levels deep. inf and nan are numbers.
// INVALID_ARGUMENT says where:
// "[1]: expected 2 elements like [0], got 3" or "character 9: expected ...".
absl::StatusOr<Literal> ParseLiteral(std::string_view text);

// INVALID_ARGUMENT names the first element that `type` cannot hold.
absl::StatusOr<Tensor> ToTensor(const Literal& literal, DataType type);

}  // namespace convserve::cli

#endif  // CONVSERVE_CLIENT_CLI_LITERAL_H_
