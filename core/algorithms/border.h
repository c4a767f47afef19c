// Outputs near the border, one by one, with padded taps skipped.
//
// A blocked product multiplies padding as zeros. That is the same as skipping it, except where a
// weight is infinite or NaN: 0 * Inf is NaN. Such weights are rare, so the product is computed as
// always and the few outputs that it can have spoilt are computed again, in the order of the matrix
// kernels' sums (kDirect ends its parts with rows of taps, and pairs of bfloat16 have an order of
// their own: their outputs may differ in rounding).
#ifndef CONVSERVE_CORE_ALGORITHMS_BORDER_H_
#define CONVSERVE_CORE_ALGORITHMS_BORDER_H_

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <vector>

#include "core/algorithms/algorithm.h"
#include "core/algorithms/patches.h"
#include "core/convert.h"
#include "core/geometry.h"
#include "core/kernels/running_sum.h"
#include "tbb/parallel_for.h"

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

template <typename Sum>
class BorderRepair {
 public:
  // `depth_block` products are summed before they join the total.
  BorderRepair(const Run& run, const Geometry& g, const Patches& patches,
               const std::vector<Sum>& bias, std::int64_t depth_block = kDepthBlock)
      : run_(run), g_(g), patches_(patches), bias_(bias), depth_block_(depth_block) {}

  // Whether any output meets a padded tap.
  bool Needed() const {
    for (std::size_t axis = 0; axis < 3; ++axis) {
      if (MeetsPadding(axis, 0) || MeetsPadding(axis, patches_.phases[axis].outputs - 1)) {
        return true;
      }
    }
    return false;
  }

  // Computes again, with padded taps skipped, every output of the phases that meets a padded tap.
  void Compute() const {
    const std::int64_t rows = patches_.phases[0].outputs * patches_.phases[1].outputs;
    tbb::parallel_for(std::int64_t{0}, g_.batch * rows, [&](std::int64_t item) {
      const std::int64_t z = item % rows / patches_.phases[1].outputs;
      const std::int64_t y = item % rows % patches_.phases[1].outputs;
      const bool padded_row = MeetsPadding(0, z) || MeetsPadding(1, y);
      for (std::int64_t x = 0; x < patches_.phases[2].outputs; ++x) {
        if (run_.stop.stop_requested()) return;
        if (!padded_row && !MeetsPadding(2, x)) continue;
        for (std::int64_t m = 0; m < g_.groups * g_.filters; ++m) Repair(item / rows, m, {z, y, x});
      }
    });
  }

 private:
  using Index = std::array<std::int64_t, 3>;

  std::int64_t Coordinate(std::size_t axis, std::int64_t q, std::int64_t tap) const {
    return patches_.phases[axis].Input(q, tap);
  }

  bool Inside(std::size_t axis, std::int64_t coordinate) const {
    return coordinate >= 0 && coordinate < g_.axes[axis].input;
  }

  // Coordinates are monotonic in the tap: the ends tell.
  bool MeetsPadding(std::size_t axis, std::int64_t q) const {
    const std::int64_t taps = patches_.phases[axis].taps;
    return taps > 0 &&
           !(Inside(axis, Coordinate(axis, q, 0)) && Inside(axis, Coordinate(axis, q, taps - 1)));
  }

  void Repair(std::int64_t batch, std::int64_t m, const Index& q) const {
    const std::int64_t group = m / g_.filters;
    const std::int64_t input = batch * g_.input.batch + group * g_.input.group;
    const std::int64_t weight =
        g_.weight.offset + group * g_.weight.group + m % g_.filters * g_.weight.filter;
    // Of all blocks, of the parts of a block, and of the products of a part.
    std::optional<Sum> total;
    std::optional<Sum> block;
    Sum sum = 0;
    std::int64_t products = 0;  // of the block
    const auto join = [](std::optional<Sum>& whole, Sum part) {
      whole = whole ? *whole + part : part;
    };
    const auto end_part = [&] {
      join(block, sum);
      sum = 0;
    };
    const auto end_block = [&] {
      if (products % kRunningSum != 0) end_part();
      join(total, *block);
      block.reset();
      products = 0;
    };
    Index tap;
    for (std::int64_t c = 0; c < g_.channels; ++c) {
      for (tap[0] = 0; tap[0] < patches_.phases[0].taps; ++tap[0]) {
        for (tap[1] = 0; tap[1] < patches_.phases[1].taps; ++tap[1]) {
          for (tap[2] = 0; tap[2] < patches_.phases[2].taps; ++tap[2]) {
            sum = AddTap(input + c * g_.input.channel, weight + c * g_.weight.channel, q, tap, sum);
            if (++products % kRunningSum == 0) end_part();
            if (products == depth_block_) end_block();
          }
        }
      }
    }
    if (products > 0) end_block();
    const std::int64_t at =
        batch * g_.output.batch + m * g_.output.channel + OutputOffset(g_, patches_.phases, q);
    const Sum result = total.value_or(0) + bias_[static_cast<std::size_t>(m)];
    VisitDataType(run_.problem.output_type(), [&](auto zero) {
      using Out = decltype(zero);
      reinterpret_cast<Out*>(run_.output.data())[at] = RoundTo<Out>(result);
    });
  }

  Sum AddTap(std::int64_t input, std::int64_t weight, const Index& q, const Index& tap,
             Sum sum) const {
    for (std::size_t axis = 0; axis < 3; ++axis) {
      const std::int64_t coordinate = Coordinate(axis, q[axis], tap[axis]);
      if (!Inside(axis, coordinate)) return sum;
      const Phase& phase = patches_.phases[axis];
      input += coordinate * g_.input.spatial[axis];
      weight += (phase.first_kernel + tap[axis] * phase.kernel_step) * g_.weight.kernel[axis];
    }
    return std::fma(Element(patches_.input, input), Element(patches_.weight, weight), sum);
  }

  static Sum Element(const TensorView& tensor, std::int64_t index) {
    return static_cast<Sum>(LoadAsDouble(tensor.data_type, tensor.data, index));
  }

  const Run& run_;
  const Geometry& g_;
  const Patches& patches_;
  const std::vector<Sum>& bias_;
  const std::int64_t depth_block_;
};

}  // namespace convserve

#endif  // CONVSERVE_CORE_ALGORITHMS_BORDER_H_
