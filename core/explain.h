// Where one output element comes from.
#ifndef CONVSERVE_CORE_EXPLAIN_H_
#define CONVSERVE_CORE_EXPLAIN_H_

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/problem.h"
#include "core/tensor.h"

namespace convserve {

// One product: input[input_index] * weight[weight_index]. Indices are in the tensors' own layouts.
// The values are 0 where no data was given.
struct Contribution {
  Shape input_index;
  Shape weight_index;
  double input_value = 0;
  double weight_value = 0;
};

struct Explanation {
  std::vector<Contribution> contributions;
  double bias = 0;
  // The sum of all products and the bias (also of those not listed), in float64; before any
  // rounding to the output type. Only when input and weight data were given.
  double value = 0;
  // Kernel taps, over all input channels of the group, that fall on zero padding (Conv) or outside
  // the input or between strides (ConvTranspose).
  std::int64_t padded_taps = 0;
  // More contributions than `max_contributions` exist.
  bool truncated = false;
};

// The tensors that came with the question; each may be absent.
struct ExplainOperands {
  std::optional<TensorView> input = {};
  std::optional<TensorView> weight = {};
  std::optional<TensorView> bias = {};
};

inline constexpr std::int64_t kMaxContributions = 4096;

// INVALID_ARGUMENT when `output_index` has the wrong length or lies outside the output (field
// `output_index`). Time is proportional to the taps of one output element; memory to the
// contributions listed.
absl::StatusOr<Explanation> Explain(const Problem& problem,
                                    absl::Span<const std::int64_t> output_index,
                                    const ExplainOperands& operands = {},
                                    std::int64_t max_contributions = kMaxContributions);

}  // namespace convserve

#endif  // CONVSERVE_CORE_EXPLAIN_H_
