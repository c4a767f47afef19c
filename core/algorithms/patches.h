// The operands of a convolution as matrices, packed block by block into the panels of
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

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/geometry.h"
#include "core/phases.h"
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

// A part of a matrix: rows or columns [first, first + count) and depth [first_depth, first_depth +
// depth).
struct Block {
  std::int64_t first = 0;
  std::int64_t count = 0;
  std::int64_t first_depth = 0;
  std::int64_t depth = 0;
};

// Columns of one batch element and group, in panels of `panel` columns: [count /
// panel][depth][panel], the last panel filled with zeros. T is float or double.
template <typename T>
void PackPatches(const Patches& patches, std::int64_t batch, std::int64_t group, const Block& block,
                 std::int64_t panel, T* out);

// Where each tap of the phases stands among the taps of one filter and channel, in elements.
std::vector<std::int64_t> TapOffsets(const Patches& patches);

// The weights of one group in panels of `panel` filters for every depth block of `depth_block`
// rows: [depth blocks][panels][rows of the block][filters of the panel]. Packs channels [first,
// first + count) to their places in `out`, which begins at channel 0. Returns whether all of them
// are finite.
struct WeightPanels {
  std::int64_t panel = 1;
  std::int64_t depth_block = 1;

  // Where the panel of `filters` filters from `first` on begins in a depth block of `depth` rows
  // from `first_depth` on.
  static std::int64_t Offset(const Patches& patches, std::int64_t first_depth, std::int64_t depth,
                             std::int64_t first) {
    return first_depth * patches.geometry.filters + first * depth;
  }
};
template <typename T>
bool PackWeights(const Patches& patches, const std::vector<std::int64_t>& tap_offsets,
                 const WeightPanels& panels, std::int64_t group, std::int64_t first,
                 std::int64_t count, T* out);

}  // namespace convserve

#endif  // CONVSERVE_CORE_ALGORITHMS_PATCHES_H_
