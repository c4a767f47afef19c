// A whole convolution in one call, for problems so small that preparing anything would take longer.
//
//   y[n, m, o] = sum over channel c and tap t with o*s + t*d - p inside the input of
//                  x[n, c, o*s + t*d - p] * w[m, c, t]     (+ bias[m])
//
// The sum starts at zero, runs over (c, t) in order and fuses every multiply-add.
#ifndef CONVSERVE_CORE_KERNELS_TINY_KERNEL_H_
#define CONVSERVE_CORE_KERNELS_TINY_KERNEL_H_

#include <cstdint>

#include "core/geometry.h"

namespace convserve {

// Outputs of a row and taps of its axis, at most.
inline constexpr std::int64_t kMaxTinyRow = 64;
inline constexpr std::int64_t kMaxTinyTaps = 16;

struct TinyRun {
  const Geometry& g;
  const float* input = nullptr;
  const float* weight = nullptr;
  const float* bias = nullptr;  // or null
  float* output = nullptr;
  // Batch elements [first, last).
  std::int64_t first = 0;
  std::int64_t last = 0;
};

using TinyKernel = void (*)(const TinyRun& run);

// The kernel of the instruction set in use. Thread-safe.
TinyKernel GetTinyKernel();

}  // namespace convserve

#endif  // CONVSERVE_CORE_KERNELS_TINY_KERNEL_H_
