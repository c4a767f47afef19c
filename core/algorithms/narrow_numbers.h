// Numbers of 8 or 16 bits, several of which are one element of 32 for the kernels that multiply
// them at once (core/kernels/byte_kernel.h, core/kernels/pair_kernel.h).
#ifndef CONVSERVE_CORE_ALGORITHMS_NARROW_NUMBERS_H_
#define CONVSERVE_CORE_ALGORITHMS_NARROW_NUMBERS_H_

#include <cstdint>

#include "core/data_type.h"

namespace convserve {

// The largest magnitude of a product of two bytes, of which one was made signed or unsigned, with
// its part of a filter's correction.
inline constexpr std::int64_t kMostOfQuadProduct = std::int64_t{255} * 128 * 2;

// Four 8-bit integers, of either kind.
struct ByteQuad {
  using Number = std::uint8_t;
  using Element = std::int32_t;
  static constexpr std::int64_t kCount = 4;
  static constexpr DataType kType = DataType::kUInt8;
  static constexpr std::int64_t kProductsPerCopy = 40;  // as in TileLimits

  // Columns of elements: to[i] is made of from[n*pitch + i], with such bits flipped, for n < kCount
  // and i < count; and so on from the next rows, `times` times.
  static void Make(const Number* from, std::int64_t pitch, std::int64_t count, std::uint8_t flip,
                   Element* to, std::int64_t times = 1);
};

// Two bfloat16.
struct BFloat16Pair {
  using Number = BFloat16;
  using Element = float;
  static constexpr std::int64_t kCount = 2;
  static constexpr DataType kType = DataType::kBFloat16;
  static constexpr std::int64_t kProductsPerCopy = 32;

  // The same; nothing is flipped.
  static void Make(const Number* from, std::int64_t pitch, std::int64_t count, std::uint8_t flip,
                   Element* to, std::int64_t times = 1);
};

}  // namespace convserve

#endif  // CONVSERVE_CORE_ALGORITHMS_NARROW_NUMBERS_H_
