// The correlation of a window with one filter, for convolutions whose filters are too few to make a
// matrix product: depthwise ones, and images.
//
//   C[y][x] = (accumulate ? C[y][x] : 0) + bias + sum over plane p, tap row i, tap column j of
//               weight[p][i][j] * window[planes[p] + rows[i] + columns[j] + y*pitch + x]
//
// The sum runs over (p, i, j) in order, from zero again before a part of a plane with which it
// would be longer than kDirectSum products, and fuses every multiply-add: each element has the
// same bits on every instruction set, whatever the block it falls into.
#ifndef CONVSERVE_CORE_KERNELS_DIRECT_KERNEL_H_
#define CONVSERVE_CORE_KERNELS_DIRECT_KERNEL_H_

#include <cstdint>
#include <span>

namespace convserve {

// Products of a running sum at most (core/kernels/running_sum.h): whole planes of 11x11 taps, as
// rows of a plane that are cut apart share less of what is read.
inline constexpr std::int64_t kDirectSum = 128;

// Elements of a window that a vector may reach past the last one.
inline constexpr std::int64_t kDirectSlack = 16;

template <typename T>
struct DirectTile {
  const T* window = nullptr;
  std::int64_t pitch = 0;  // from one row of outputs to the next; may be negative, as may c_pitch
  std::span<const std::int32_t> planes;
  std::span<const std::int32_t> tap_rows;
  std::span<const std::int32_t> tap_columns;
  const T* weights = nullptr;
  T bias = T{0};
  T* c = nullptr;
  std::int64_t c_pitch = 0;  // from one row to the next
  std::int64_t c_step = 1;   // from one column to the next
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  bool accumulate = false;
  bool past_caches = false;  // has whole lines of C written past the caches
  // What will be read next, or null: fetched row by row, as this tile is computed.
  const T* ahead = nullptr;
  std::int64_t ahead_pitch = 0;

  // Whether output row y meets with tap row i what row y + 1 meets with tap row i - 1: then a row
  // of the window is read once for several rows of outputs.
  bool SharesRows() const {
    for (std::size_t i = 0; i < tap_rows.size(); ++i) {
      if (tap_rows[i] != tap_rows[0] + static_cast<std::int64_t>(i) * pitch) return false;
    }
    return true;
  }
};

template <typename T>
using DirectKernel = void (*)(const DirectTile<T>& tile);

// Compiled once for each instruction set.
struct DirectTable {
  DirectKernel<float> for_float = nullptr;
  DirectKernel<double> for_double = nullptr;
};

// The kernels of the instruction set in use. Thread-safe.
const DirectTable& DirectKernels();

}  // namespace convserve

#endif  // CONVSERVE_CORE_KERNELS_DIRECT_KERNEL_H_
