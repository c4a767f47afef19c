// Convolutions with results that other people's programs computed: tests/data/golden, where
// golden.py describes the file format and make_*.py made the files.
#ifndef CONVSERVE_TESTS_SUPPORT_GOLDEN_H_
#define CONVSERVE_TESTS_SUPPORT_GOLDEN_H_

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/convolve.h"
#include "core/problem.h"
#include "core/tensor.h"

namespace convserve::testing {

struct GoldenCase {
  std::string name;
  Tensor input;
  Tensor weight;
  std::optional<Tensor> bias;
  std::variant<ConvParameters, ConvTransposeParameters> parameters;
  DataType output_type = DataType::kUnspecified;
  Tensor expected;
  // Empty: `expected` holds bit by bit. Otherwise sum |x||w| + |bias| of every output element, the
  // scale of the error bound.
  std::vector<double> magnitude;

  Operands operands() const;
  ProblemSpec spec() const;
};

// Reads `file_name` in tests/data/golden. Throws when it cannot be read or says something unknown.
std::vector<GoldenCase> ReadGoldenFile(const std::string& file_name);

}  // namespace convserve::testing

#endif  // CONVSERVE_TESTS_SUPPORT_GOLDEN_H_
