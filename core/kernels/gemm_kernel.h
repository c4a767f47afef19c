// The innermost matrix product: C (+)= A * B with a tile of C held in registers.
//
//   C[i][j] = (accumulate ? C[i][j] : 0) + sum over k < depth of A[i][k] * B[k][j]   (+ bias[i])
//
// The sum starts at zero, runs over k in order and fuses every multiply-add, so each element has
// the same bits on every instruction set, whatever the tile it falls into.
#ifndef CONVSERVE_CORE_KERNELS_GEMM_KERNEL_H_
#define CONVSERVE_CORE_KERNELS_GEMM_KERNEL_H_

#include <array>
#include <cstdint>

namespace convserve {

// Upper bounds over all instruction sets, for sizing buffers.
inline constexpr std::int64_t kMaxGemmRows = 16;
inline constexpr std::int64_t kMaxGemmColumns = 128;

template <typename T>
struct GemmTile {
  std::int64_t depth = 0;
  // A[i][k] is a[i*a_stride + k] when a_stride > 0: rows lie side by side in memory, as a weight
  // tensor has them. With a_stride 0 it is a[k*rows + i]: packed for this tile.
  const T* a = nullptr;
  std::int64_t a_stride = 0;
  // B[k][j] is b[offsets[k] + j]; readable for a whole tile where `columns` ends within one.
  const T* b = nullptr;
  const std::int32_t* offsets = nullptr;
  T* c = nullptr;  // [rows][c_stride], `columns` of them written
  std::int64_t c_stride = 0;
  std::int64_t rows = 0;     // 1 to GemmKernel::rows
  std::int64_t columns = 0;  // any number
  bool accumulate = false;
  const T* bias = nullptr;  // [rows], or null
};

template <typename T>
struct GemmKernel {
  std::int64_t rows = 0;     // the most that registers hold
  std::int64_t columns = 0;  // a multiple of the vector length
  // Few rows leave registers for more columns: how many make a full tile, by number of rows.
  // Multiples of `columns` or not, at most kMaxGemmColumns.
  std::array<std::int64_t, kMaxGemmRows + 1> tile_columns = {};
  void (*run)(const GemmTile<T>& tile) = nullptr;
};

// Everything that is compiled once for each instruction set.
struct KernelTable {
  const char* instruction_set = nullptr;
  GemmKernel<float> gemm_float;
  GemmKernel<double> gemm_double;
};

// The kernels of the instruction set in use. Thread-safe.
const KernelTable& Kernels();

template <typename T>
const GemmKernel<T>& GetGemmKernel();
template <>
inline const GemmKernel<float>& GetGemmKernel<float>() {
  return Kernels().gemm_float;
}
template <>
inline const GemmKernel<double>& GetGemmKernel<double>() {
  return Kernels().gemm_double;
}

}  // namespace convserve

#endif  // CONVSERVE_CORE_KERNELS_GEMM_KERNEL_H_
