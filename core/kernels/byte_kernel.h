// Products of 8-bit integers, four at a time: an element is a quad, four bytes that are multiplied
// by the four of another quad and added up in 32 bits. Exact, and so the same on every instruction
// set.
//
// One operand is signed, the other unsigned, as in the wide instructions for this (VNNI). For two
// operands of one kind, 128 is added to or taken from those of B by flipping the highest bit of
// each, and sum(a * (b +- 128)) differs from sum(a * b) by 128 times the sum of row a.
#ifndef CONVSERVE_CORE_KERNELS_BYTE_KERNEL_H_
#define CONVSERVE_CORE_KERNELS_BYTE_KERNEL_H_

#include <cstdint>

#include "core/kernels/gemm_kernel.h"

namespace convserve {

// Columns of quads: to[i] is made of from[q*pitch + i] ^ flip for q < 4, the first in the lowest
// byte, for i < count; and so on, `times` times, each from the next four rows to the next columns.
struct Quads {
  const std::uint8_t* from = nullptr;
  std::int64_t pitch = 0;
  std::int64_t count = 0;
  std::uint8_t flip = 0;
  std::int32_t* to = nullptr;
  std::int64_t times = 1;
};

// Compiled once for each instruction set.
struct ByteTable {
  // A signed and B unsigned, and the other way round. Sums wrap around modulo 2^32.
  GemmKernel<std::int32_t> signed_rows = nullptr;
  GemmKernel<std::int32_t> unsigned_rows = nullptr;
  void (*quads)(const Quads&) = nullptr;
};

// The kernels of the instruction set in use; without `in_one` those for processors that lack an
// instruction for quads. Thread-safe.
const ByteTable& ByteKernels(bool in_one = true);

}  // namespace convserve

#endif  // CONVSERVE_CORE_KERNELS_BYTE_KERNEL_H_
