// The operands of a convolution as matrices, packed block by block for
// core/kernels/gemm_kernel.h.
//
// For one group and one phase of each axis (core/phases.h):
//
//   weights [filters x depth], patches [depth x columns]
//
// where a row of patches is one (channel, tap) in that order, taps outermost axis first, and a
// column is one output, x fastest. A patch element is the input that the output meets at the tap, 0
// in zero padding.
#ifndef CONVSERVE_CORE_ALGORITHMS_PATCHES_H_
#define CONVSERVE_CORE_ALGORITHMS_PATCHES_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <type_traits>
#include <vector>

#include "core/geometry.h"
#include "core/phases.h"
#include "core/problem.h"
#include "core/tensor.h"

namespace convserve {

struct Patches {
  const Geometry& geometry;
  PaddingMode mode;
  std::array<Phase, 3> phases;
  TensorView input;
  TensorView weight;

  std::int64_t columns() const { return phases[0].outputs * phases[1].outputs * phases[2].outputs; }
  std::int64_t taps() const { return phases[0].taps * phases[1].taps * phases[2].taps; }
  std::int64_t depth() const { return geometry.channels * taps(); }
};

// float kernels take everything but float64, double kernels only float64, and narrow numbers stay
// what they are.
template <typename T, typename From>
constexpr bool kTakes = std::is_same_v<T, std::uint8_t> || std::is_same_v<T, BFloat16>
                            ? std::is_same_v<From, T>
                            : std::is_same_v<T, double> == std::is_same_v<From, double>;

// Phase 0 of every axis: the only ones of a Conv. Without zero padding, no taps are left out.
inline std::array<Phase, 3> FirstPhases(const Problem& problem, const Geometry& g,
                                        PaddingMode mode) {
  const auto at = [&](std::size_t axis) {
    return PhaseAt(problem.operation(), g.axes[axis], mode, 0);
  };
  return {at(0), at(1), at(2)};
}
inline std::array<Phase, 3> FirstPhases(const Problem& problem, const Geometry& g) {
  return FirstPhases(problem, g, problem.padding_mode());
}

// Those of a Conv with all of its taps, for kernels that multiply also those which meet padding at
// every output.
inline Patches WithPaddedTaps(const Problem& problem, const Geometry& g,
                              const TensorView& input = {}, const TensorView& weight = {}) {
  return {g, problem.padding_mode(), FirstPhases(problem, g, PaddingMode::kReplicate), input,
          weight};
}

// Calls body(axes) for the phases of every axis combined, those without outputs left out, until it
// returns false.
template <typename Body>
void ForEachPhase(const Problem& problem, const Geometry& g, Body body) {
  const Operation operation = problem.operation();
  const auto at = [&](std::size_t axis, std::int64_t index) {
    return PhaseAt(operation, g.axes[axis], problem.padding_mode(), index);
  };
  const auto count = [&](std::size_t axis) { return PhaseCount(operation, g.axes[axis]); };
  for (std::int64_t z = 0; z < count(0); ++z) {
    for (std::int64_t y = 0; y < count(1); ++y) {
      for (std::int64_t x = 0; x < count(2); ++x) {
        const std::array<Phase, 3> axes = {at(0, z), at(1, y), at(2, x)};
        const auto empty = [](const Phase& phase) { return phase.outputs == 0; };
        if (std::none_of(axes.begin(), axes.end(), empty) && !body(axes)) return;
      }
    }
  }
}

// Outputs of an axis times the taps that each has to be multiplied by: of dilated ones, which lie
// far apart, an algorithm may leave out those that meet zero padding.
double TapsToMultiply(const Patches& patches, std::size_t axis);

// A part of a matrix: rows or columns [first, first + count) and depth [first_depth, first_depth +
// depth).
struct Block {
  std::int64_t first = 0;
  std::int64_t count = 0;
  std::int64_t first_depth = 0;
  std::int64_t depth = 0;
};

// Columns of one batch element and group: [depth][pitch]. T is float, double,
// std::uint8_t or BFloat16.
template <typename T>
void PackPatches(const Patches& patches, std::int64_t batch, std::int64_t group, const Block& block,
                 std::int64_t pitch, T* out);

// Whether the weight tensor has this type and the rows of the weight matrix side by side: no
// layout, flip or trimmed tap is in the way.
bool WeightsInOrder(const Problem& problem, const Patches& patches, DataType type);

// Whether no element is an infinity or NaN.
template <typename T>
bool AllFinite(const T* elements, std::int64_t count) {
  // x - x is 0 for finite x alone; sums of such differences stay 0 or NaN. Several sums, for
  // vectors.
  constexpr std::int64_t kSums = 16;
  T sums[kSums] = {};
  std::int64_t i = 0;
  for (; i + kSums <= count; i += kSums) {
    for (std::int64_t j = 0; j < kSums; ++j) sums[j] += elements[i + j] - elements[i + j];
  }
  for (; i < count; ++i) sums[0] += elements[i] - elements[i];
  return std::all_of(std::begin(sums), std::end(sums), [](T sum) { return sum == T{0}; });
}

// Where each tap of the phases stands among the taps of one filter and channel, in elements.
std::vector<std::int64_t> TapOffsets(const Patches& patches);

// Whether the weights of a filter lie in the tensor as they are packed, given its TapOffsets.
bool FiltersInOrder(const Patches& patches, const std::vector<std::int64_t>& tap_offsets);

// Weights of one group: some of its filters, and channels of each.
struct WeightPart {
  std::int64_t group = 0;
  std::int64_t first_filter = 0;
  std::int64_t filters = 0;
  std::int64_t first_channel = 0;
  std::int64_t channels = 0;
};

// The weights of one group for every depth block of `depth_block` rows: [depth
// blocks][filters][rows of the block]. Packs a part of them to its places in `out`, which begins
// with the group. Returns whether all of them are finite.
template <typename T>
bool PackWeights(const Patches& patches, const std::vector<std::int64_t>& tap_offsets,
                 std::int64_t depth_block, const WeightPart& part, T* out);

}  // namespace convserve

#endif  // CONVSERVE_CORE_ALGORITHMS_PATCHES_H_
