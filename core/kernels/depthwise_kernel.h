// 3x3 filters over planes, straight from the input:
//
//   out[y][x] = bias + sum over i, j < 3 of weights[i][j] * in[y - top + i][x - left + j]
//
// where what lies outside the input is zero, and rows outside it are not read at all. The sum
// starts at zero, runs over (i, j) in order and fuses every multiply-add: each element has the same
// bits on every instruction set, whatever the block it falls into.
#ifndef CONVSERVE_CORE_KERNELS_DEPTHWISE_KERNEL_H_
#define CONVSERVE_CORE_KERNELS_DEPTHWISE_KERNEL_H_

#include <cstdint>

namespace convserve {

// Planes that follow each other in input and output, each with its own weights and bias.
struct DepthwisePlanes {
  std::int64_t planes = 0;
  const float* in = nullptr;
  std::int64_t in_rows = 0;
  std::int64_t in_columns = 0;
  float* out = nullptr;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t first_row = 0;  // outputs [first_row, last_row) are computed
  std::int64_t last_row = 0;
  std::int64_t top = 0;  // padding
  std::int64_t left = 0;
  const float* weights = nullptr;
  const float* bias = nullptr;
  bool past_caches = false;  // has outputs written past the caches
};

// Compiled once for each instruction set.
using DepthwiseKernel = void (*)(const DepthwisePlanes& planes);

// The kernel of the instruction set in use. Thread-safe.
DepthwiseKernel GetDepthwiseKernel();

}  // namespace convserve

#endif  // CONVSERVE_CORE_KERNELS_DEPTHWISE_KERNEL_H_
