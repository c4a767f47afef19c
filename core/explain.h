// Where one output element comes from.
#ifndef CONVSERVE_CORE_EXPLAIN_H_
#define CONVSERVE_CORE_EXPLAIN_H_

#include <cstdint>
#include <optional>
#include <stop_token>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/problem.h"
#include "core/tensor.h"

namespace convserve {

// One product: input[input_index] * weight[weight_index]. Indices are in the tensors' own ranks and
// layouts: the channel last where it is last there, no batch index where the input has none, weight
// positions as stored (so a flipped kernel is read backwards). Under reflect, replicate and
// circular padding the input index is that of the element which the padding repeats. The values are
// 0 where no data was given.
struct Contribution {
  Shape input_index;
  Shape weight_index;
  double input_value = 0;
  double weight_value = 0;
};

struct Explanation {
  // Channel by channel, and within a channel tap by tap in the kernel's row-major order (before
  // flipping).
  std::vector<Contribution> contributions;
  // How many there are, listed or not.
  std::int64_t contribution_count = 0;
  double bias = 0;
  // The sum of all products and the bias (also of those not listed), in float64; before any
  // rounding to the output type. Exact for int8 and uint8. 0 unless both input and weight data were
  // given.
  double value = 0;
  // Kernel taps, over all input channels of the group, that fall on zero padding (Conv) or outside
  // the input or between strides (ConvTranspose): what is left of (C/g)*prod(k) after the
  // contributions.
  std::int64_t padded_taps = 0;
  // More contributions than `max_contributions` exist.
  bool truncated = false;
};

// The tensors that came with the question; each may be absent (a view without data counts as
// absent). Those that are there have the types and shapes of the problem.
struct ExplainOperands {
  std::optional<TensorView> input = {};
  std::optional<TensorView> weight = {};
  std::optional<TensorView> bias = {};
};

inline constexpr std::int64_t kMaxContributions = 4096;

struct ExplainOptions {
  std::int64_t max_contributions = kMaxContributions;
  std::stop_token stop = {};  // looked at every few thousand taps
};

// INVALID_ARGUMENT when `output_index` has the wrong length (field `output_index`) or lies outside
// the output (`output_index[i]`); an empty batch has no valid index. CANCELLED when a stop was
// requested before the end.
//
// Memory is proportional to the contributions listed. Time is too when the input or the weight has
// no data; when both have, it is proportional to the taps of one output element. Thread-safe.
absl::StatusOr<Explanation> Explain(const Problem& problem,
                                    absl::Span<const std::int64_t> output_index,
                                    const ExplainOperands& operands = {},
                                    const ExplainOptions& options = {});

// What one kernel tap meets along one axis.
enum class TapKind {
  kInput,    // an input position
  kPadding,  // Conv: padding, or beyond the edge that padding would have covered. ConvTranspose:
             // outside the input
  kBetweenStrides,  // ConvTranspose: one of the holes that the stride leaves between inputs
};

struct TapSource {
  TapKind kind = TapKind::kInput;
  // The input position read. With kPadding under reflect, replicate or circular padding: the
  // position that the padding repeats there. Otherwise -1.
  std::int64_t input = -1;
};

// Along one axis: what tap `tap` (before flipping) of output position `output` reads.
//   Conv            input position output*s + tap*d - pl
//   ConvTranspose   input position (output + pl - tap*d) / s, where that is whole and inside the
//   input
TapSource SourceOfTap(Operation operation, PaddingMode mode, const Axis& axis, std::int64_t output,
                      std::int64_t tap);

// The taps of one axis that bring an input to one output position: first, first + step, ...,
// `count` of them.
struct TapRange {
  std::int64_t first = 0;
  std::int64_t step = 1;
  std::int64_t count = 0;
};

// O(log). With zero padding and for a ConvTranspose their inputs are strictly monotone in the tap.
TapRange TapsThatRead(Operation operation, PaddingMode mode, const Axis& axis, std::int64_t output);

}  // namespace convserve

#endif  // CONVSERVE_CORE_EXPLAIN_H_
