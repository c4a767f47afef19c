// Products of bfloat16 numbers, two at a time: an element is a pair, two numbers in the halves of a
// float, multiplied by those of another pair.
//
//   C[i][j] += A[i][k].upper * B[k][j].upper, then A[i][k].lower * B[k][j].lower, for every k
//
// each by a fused multiply-add of floats. That is what VDPBF16PS, the instruction for pairs of
// AVX-512, does by its definition (Intel, Software Developer's Manual, volume 2), but it takes
// numbers below 2^-126 for zero; so it is for moderate numbers alone, whose products and sums are
// never so small, and everything else has the same bits by two multiply-adds.
#ifndef CONVSERVE_CORE_KERNELS_PAIR_KERNEL_H_
#define CONVSERVE_CORE_KERNELS_PAIR_KERNEL_H_

#include <cstdint>

#include "core/data_type.h"
#include "core/kernels/gemm_kernel.h"

namespace convserve {

// Columns of pairs: to[i] is made of from[i], the lower half, and from[pitch + i], for i < count;
// and so on, `times` times, each from the next two rows to the next columns.
struct Pairs {
  const BFloat16* from = nullptr;
  std::int64_t pitch = 0;
  std::int64_t count = 0;
  float* to = nullptr;
  std::int64_t times = 1;
};

// What is true of all of some numbers.
struct Magnitudes {
  bool finite = true;
  // Finite, and 0 or 2^-56 at least: products of two such numbers, and sums of them in floats, are
  // multiples of 2^-126.
  bool moderate = true;
};

// Compiled once for each instruction set.
struct PairTable {
  // By the instruction for pairs where there is one and the tile says that it is moderate.
  GemmKernel<float> gemm = nullptr;
  void (*pairs)(const Pairs&) = nullptr;
  Magnitudes (*magnitudes)(const BFloat16* numbers, std::int64_t count) = nullptr;
  bool in_one = false;  // whether there is an instruction for pairs
};

// The kernels of the instruction set in use; without `in_one` those for processors that lack an
// instruction for pairs. Thread-safe.
const PairTable& PairKernels(bool in_one = true);

}  // namespace convserve

#endif  // CONVSERVE_CORE_KERNELS_PAIR_KERNEL_H_
