// The innermost matrix product: C (+)= A * B, block by block of C held in registers.
//
//   C[i][j] = (accumulate ? C[i][j] : 0) + sum over k < depth of A[i][k] * B[k][j]   (+ bias[i])
//
// The sum runs over k in order, from zero again after every kRunningSum products, and fuses every
// multiply-add, so each element has the same bits on every instruction set, whatever the tile it
// falls into.
#ifndef CONVSERVE_CORE_KERNELS_GEMM_KERNEL_H_
#define CONVSERVE_CORE_KERNELS_GEMM_KERNEL_H_

#include <cstdint>
#include <span>

namespace convserve {

// Columns [first, first + count) of a product; column first + j belongs at c[offset + j * c_step].
struct GemmSegment {
  std::int64_t first = 0;
  std::int64_t count = 0;
  std::int64_t offset = 0;
};

template <typename T>
struct GemmTile {
  std::int64_t depth = 0;
  // A[i][k] is a[i*a_stride + k].
  const T* a = nullptr;
  std::int64_t a_stride = 0;
  // B[k][j] is b[offsets[k] + j], readable up to kGemmSlack elements past the last column.
  const T* b = nullptr;
  const std::int32_t* offsets = nullptr;
  std::int64_t rows = 0;
  // In order of their columns. Columns in no segment are dropped; the last one ends the tile.
  std::span<const GemmSegment> segments;
  T* c = nullptr;
  std::int64_t c_stride = 0;  // from one row to the next
  std::int64_t c_step = 1;    // from one column to the next
  bool accumulate = false;
  const T* bias = nullptr;   // [rows], or null
  bool past_caches = false;  // has whole lines of C written past the caches
  bool moderate = false;     // of pairs (core/kernels/pair_kernel.h): all of their numbers are
};

// Columns that a vector may reach past the last one.
inline constexpr std::int64_t kGemmSlack = 16;

template <typename T>
using GemmKernel = void (*)(const GemmTile<T>& tile);

// Everything that is compiled once for each instruction set.
struct KernelTable {
  const char* instruction_set = nullptr;
  GemmKernel<float> gemm_float = nullptr;
  GemmKernel<double> gemm_double = nullptr;
};

// The kernels of the instruction set in use. Thread-safe.
const KernelTable& Kernels();

template <typename T>
GemmKernel<T> GetGemmKernel();
template <>
inline GemmKernel<float> GetGemmKernel<float>() {
  return Kernels().gemm_float;
}
template <>
inline GemmKernel<double> GetGemmKernel<double>() {
  return Kernels().gemm_double;
}

}  // namespace convserve

#endif  // CONVSERVE_CORE_KERNELS_GEMM_KERNEL_H_
