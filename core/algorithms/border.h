// Outputs near the border with padded taps skipped.
//
// A blocked product multiplies padding as zeros. That is the same as skipping it, except where a
// weight is infinite or NaN: 0 * Inf is NaN. Such weights are rare, so the product is computed as
// always and what it can have spoilt is computed again: outputs near the border, of the filters
// that have such weights. The order is that of the matrix kernels' sums (kDirect ends its parts
// with rows of taps, and pairs of bfloat16 have an order of their own: these outputs may differ in
// rounding).
#ifndef CONVSERVE_CORE_ALGORITHMS_BORDER_H_
#define CONVSERVE_CORE_ALGORITHMS_BORDER_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/algorithms/algorithm.h"
#include "core/algorithms/patches.h"
#include "core/convert.h"
#include "core/geometry.h"

namespace convserve {

// Products that are summed before they join the total, themselves in parts of kRunningSum.
inline constexpr std::int64_t kDepthBlock = 256;

// One bias an output channel in the type of the sums; zeros without a bias.
template <typename Sum>
std::vector<Sum> LoadBias(const Run& run) {
  std::vector<Sum> bias(static_cast<std::size_t>(run.problem.output_channels()), Sum{0});
  if (!run.operands.bias) return bias;
  VisitDataType(run.operands.bias->data_type, [&](auto zero) {
    const auto* values = run.operands.bias->As<decltype(zero)>();
    for (std::size_t i = 0; i < bias.size(); ++i) bias[i] = Widen<Sum>(values[i]);
  });
  return bias;
}

// Whether floats add such biases exactly to sums of up to kDepthBlock products of 8-bit integers.
inline bool AddExactlyInFloat(const std::vector<std::int64_t>& bias) {
  constexpr std::int64_t kMost = (1 << 24) - kDepthBlock * 255 * 255;
  return std::all_of(bias.begin(), bias.end(),
                     [](std::int64_t b) { return -kMost <= b && b <= kMost; });
}

// Where output q of the phases stands, within one batch element and channel.
inline std::int64_t OutputOffset(const Geometry& g, const std::array<Phase, 3>& phases,
                                 const std::array<std::int64_t, 3>& q) {
  std::int64_t offset = 0;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const Phase& phase = phases[axis];
    offset += (phase.first_output + q[axis] * phase.output_step) * g.output.spatial[axis];
  }
  return offset;
}

// Whether any output of the phases meets a padded tap.
bool MeetsPadding(const Patches& patches);

// Computes again, with padded taps skipped, the outputs of the phases that meet any, for every
// filter that has an infinity or NaN. `depth_block` products are summed before they join the total;
// `bias` is that of the first filter, or null. On the threads of the arena that the caller is in.
template <typename Sum>
void RepairBorder(const Run& run, const Patches& patches, const Sum* bias,
                  std::int64_t depth_block = kDepthBlock);

extern template void RepairBorder(const Run&, const Patches&, const float*, std::int64_t);
extern template void RepairBorder(const Run&, const Patches&, const double*, std::int64_t);

}  // namespace convserve

#endif  // CONVSERVE_CORE_ALGORITHMS_BORDER_H_
