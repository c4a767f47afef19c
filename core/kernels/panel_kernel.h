// The matrix product of packed panels (core/kernels/packing_kernel.h).
//
//   C[i][j] = (before[i][j]) + sum over k < depth of A[i][k] * B[k][j]   (+ bias[i])
//
// A comes in panels of a few rows each, B in strips of a few columns: [depth][rows of the panel]
// and [depth][columns of the strip], so that the product reads both in order and every vector of B
// is aligned. Several strips are multiplied panel by panel: C is then written in longer pieces. The
// sum runs over k in order, from zero again after every kRunningSum products, and fuses every
// multiply-add: each element has the same bits on every instruction set, whatever the panel it
// falls into.
#ifndef CONVSERVE_CORE_KERNELS_PANEL_KERNEL_H_
#define CONVSERVE_CORE_KERNELS_PANEL_KERNEL_H_

#include <array>
#include <cstdint>

#include "core/kernels/running_sum.h"

namespace convserve {

// Columns of a strip at most.
inline constexpr std::int64_t kMaxStrip = 32;

// What the processor is to fetch while it multiplies: rows of elements.
struct PanelFetch {
  const float* from = nullptr;
  std::int64_t rows = 0;
  std::int64_t stride = 0;
  std::int64_t count = 0;  // of a row

  // The share of the rows that `part` of `whole` has, where those before have had theirs.
  PanelFetch Part(std::int64_t before, std::int64_t part, std::int64_t whole) const {
    const std::int64_t first = rows * before / whole;
    return {from + first * stride, rows * (before + part) / whole - first, stride, count};
  }
};

// Strips of B that are still to be packed, by the first panel that reads them: element j of row k
// of strip s is from[s][offsets[k] + j]. As many columns from next[offsets[k]] on are fetched into
// the cache meanwhile, unless that is null.
struct PanelPacking {
  const float* const* from = nullptr;  // of every strip; null for one that is packed
  const std::int32_t* offsets = nullptr;
  const float* next = nullptr;
};

// `rows` rows of A are cut into panels of about equal height, the higher ones first, as few as
// there can be unless `panels` tells how many; panel after panel, each as [panel_depth][height].
struct PanelProduct {
  const float* a = nullptr;
  std::int64_t panel_depth = 0;
  std::int64_t first_depth = 0;  // of the panels, where this product begins
  std::int64_t depth = 0;
  std::int64_t running_sum = kRunningSum;  // products, at most
  // Where in the panels each running sum begins; null where one follows the other.
  const std::int64_t* sums_at = nullptr;
  std::int64_t rows = 0;
  std::int64_t panels = 0;
  float* b = nullptr;             // aligned; strip after strip
  std::int64_t strip_depth = 0;   // rows from one strip to the next
  std::int64_t columns = 0;       // of all strips; whole vectors of C are written
  const float* before = nullptr;  // or null
  std::int64_t before_stride = 0;
  float* c = nullptr;
  std::int64_t c_stride = 0;
  const float* bias = nullptr;  // [rows], or null
  bool past_caches = false;     // has whole lines of C written past the caches
  PanelPacking packing = {};    // where columns are whole strips
  std::array<PanelFetch, 2> fetch = {};
};

// Compiled once for each instruction set.
struct PanelTable {
  std::int64_t strip = 0;  // columns of a strip
  std::int64_t rows = 0;   // of a panel at most
  void (*multiply)(const PanelProduct&) = nullptr;
};

// The kernels of the instruction set in use. Thread-safe.
const PanelTable& PanelKernels();

}  // namespace convserve

#endif  // CONVSERVE_CORE_KERNELS_PANEL_KERNEL_H_
