// What core/algorithms/even.h asks of an image.
#ifndef CONVSERVE_CORE_KERNELS_EVEN_KERNEL_H_
#define CONVSERVE_CORE_KERNELS_EVEN_KERNEL_H_

#include <cstdint>

namespace convserve {

// For every channel c in order, sums[i] += |x[c*stride + i]| and squares[i] += x[c*stride + i]^2,
// for i < count.
struct ChannelNorms {
  const float* x = nullptr;
  std::int64_t stride = 0;
  std::int64_t channels = 0;
  float* sums = nullptr;
  float* squares = nullptr;
  std::int64_t count = 0;
};

// Compiled once for each instruction set.
struct EvenTable {
  void (*norms)(const ChannelNorms&) = nullptr;
  // Whether no three neighbours x[j, ... j + 3) among any six x[i, ... i + 6) with 0 <= i < count
  // have less than a quarter of their sum. A vector is read past the last of them.
  bool (*level)(const float* x, std::int64_t count) = nullptr;
};

// The kernels of the instruction set in use. Thread-safe.
const EvenTable& EvenKernels();

}  // namespace convserve

#endif  // CONVSERVE_CORE_KERNELS_EVEN_KERNEL_H_
