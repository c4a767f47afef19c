// The matrix product of packed panels, and how panels are packed and their products stored.
//
//   C[i][j] = (before[i][j]) + sum over k < depth of A[i][k] * B[k][j]   (+ bias[i])
//
// A comes in panels of a few rows each, B in strips of a few columns: [depth][rows of the panel]
// and [depth][columns of the strip], so that the product reads both in order and every vector of B
// is aligned. The sum runs over k in order, from zero again after every kRunningSum products, and
// fuses every multiply-add: each element has the same bits on every instruction set, whatever the
// panel it falls into.
#ifndef CONVSERVE_CORE_KERNELS_PANEL_KERNEL_H_
#define CONVSERVE_CORE_KERNELS_PANEL_KERNEL_H_

#include <cstdint>
#include <span>

namespace convserve {

// Columns of a strip at most, and elements that a vector may write past the end of what it packs.
inline constexpr std::int64_t kMaxStrip = 32;
inline constexpr std::int64_t kPanelSlack = 32;

// What the processor is to fetch while it multiplies: rows of elements.
struct PanelFetch {
  const float* from = nullptr;
  std::int64_t rows = 0;
  std::int64_t stride = 0;
  std::int64_t count = 0;  // of a row

  // The rows that part `part` of `parts` fetches.
  PanelFetch Part(std::int64_t part, std::int64_t parts) const {
    const std::int64_t first = rows * part / parts;
    return {from + first * stride, rows * (part + 1) / parts - first, stride, count};
  }
};

// `rows` rows of A are cut into panels of about equal height, the higher ones first; panel after
// panel, each as [panel_depth][height].
struct PanelProduct {
  const float* a = nullptr;
  std::int64_t panel_depth = 0;
  std::int64_t first_depth = 0;  // of the panels, where this product begins
  std::int64_t depth = 0;
  std::int64_t rows = 0;
  const float* b = nullptr;       // aligned
  std::int64_t columns = 0;       // of the strip; whole vectors of C are written
  const float* before = nullptr;  // or null
  std::int64_t before_stride = 0;
  float* c = nullptr;
  std::int64_t c_stride = 0;
  const float* bias = nullptr;  // [rows], or null
  PanelFetch fetch = {};
};

// Packs rows of weights: element t of channel c of row i,
//   from[i*row_stride + c*channel_stride + taps[t].from],
// becomes element taps[t].to + c*taps[t].step of the depth of row i.
struct PanelTap {
  std::int64_t from = 0;
  std::int64_t to = 0;
  std::int64_t step = 0;
};
struct PanelWeights {
  const float* from = nullptr;
  std::int64_t rows = 0;
  std::int64_t row_stride = 0;
  std::int64_t channels = 0;
  std::int64_t channel_stride = 0;
  std::span<const PanelTap> taps;
  bool in_order = false;  // element t is taps[t] of a single channel: from = to = t
  float* out = nullptr;
  std::int64_t panel_depth = 0;
};

// Packs a strip of patches: out[k*strip + to + x] = from[offsets[k] + run.from + x] for x <
// run.count, for every run.
struct StripRun {
  std::int64_t from = 0;
  std::int64_t to = 0;
  std::int64_t count = 0;
};
struct StripPatches {
  const float* from = nullptr;
  std::span<const std::int32_t> offsets;
  std::span<const StripRun> runs = {};
  float* out = nullptr;
};

// to[x*parts + p] = from[p][x] for x < count.
struct Interleaved {
  std::span<const float* const> from;
  std::int64_t count = 0;
  float* to = nullptr;
};

// Compiled once for each instruction set.
struct PanelTable {
  std::int64_t strip = 0;  // columns of a strip
  void (*multiply)(const PanelProduct&) = nullptr;
  void (*pack_weights)(const PanelWeights&) = nullptr;
  void (*pack_patches)(const StripPatches&) = nullptr;
  void (*interleave)(const Interleaved&) = nullptr;
};

// The kernels of the instruction set in use. Thread-safe.
const PanelTable& PanelKernels();

}  // namespace convserve

#endif  // CONVSERVE_CORE_KERNELS_PANEL_KERNEL_H_
