// Division of signed numbers with the rounding that sizes and coordinates need.
#ifndef CONVSERVE_CORE_DIVIDE_H_
#define CONVSERVE_CORE_DIVIDE_H_

#include <cstdint>

namespace convserve {

// a / b rounded down, for b > 0.
constexpr std::int64_t FloorDivide(std::int64_t a, std::int64_t b) {
  return a / b - (a % b < 0 ? 1 : 0);
}

// a / b rounded up, for b > 0. As above there is no sum that might overflow: strides and dilations
// may be any number.
constexpr std::int64_t CeilDivide(std::int64_t a, std::int64_t b) {
  return a / b + (a % b > 0 ? 1 : 0);
}

// a as the next multiple of b, for a >= 0 and b > 0.
constexpr std::int64_t RoundUp(std::int64_t a, std::int64_t b) { return CeilDivide(a, b) * b; }

}  // namespace convserve

#endif  // CONVSERVE_CORE_DIVIDE_H_
