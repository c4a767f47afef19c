// Sums of products for outputs that each leave out some taps (core/algorithms/border.h).
//
//   sums[m*kBorderOutputs + i] = sum over k of weights[m*pitch + k] * inputs[k*kBorderOutputs + i]
//
// where output i leaves out k if inside[k*kBorderOutputs + i] is 0. Its input is 0 there, which a
// finite weight is multiplied by none the less: the bits are those of a product that knows nothing
// of padding. The sum starts at zero, runs over k in order and fuses every multiply-add.
#ifndef CONVSERVE_CORE_KERNELS_BORDER_KERNEL_H_
#define CONVSERVE_CORE_KERNELS_BORDER_KERNEL_H_

#include <cstdint>

namespace convserve {

// Outputs that are computed at once.
inline constexpr std::int64_t kBorderOutputs = 16;

// `inputs`, `inside` and `sums` are aligned to 64 bytes.
template <typename T>
struct BorderProducts {
  const T* inputs = nullptr;
  const T* inside = nullptr;
  std::int64_t depth = 0;
  const T* weights = nullptr;
  std::int64_t pitch = 0;
  std::int64_t filters = 0;
  T* sums = nullptr;
};

// Compiled once for each instruction set.
struct BorderTable {
  void (*for_float)(const BorderProducts<float>&) = nullptr;
  void (*for_double)(const BorderProducts<double>&) = nullptr;

  void operator()(const BorderProducts<float>& products) const { for_float(products); }
  void operator()(const BorderProducts<double>& products) const { for_double(products); }
};

// The kernels of the instruction set in use. Thread-safe.
const BorderTable& BorderKernels();

}  // namespace convserve

#endif  // CONVSERVE_CORE_KERNELS_BORDER_KERNEL_H_
