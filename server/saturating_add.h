// A sum of two numbers that are not negative, and the largest number where it would be larger.
#ifndef CONVSERVE_SERVER_SATURATING_ADD_H_
#define CONVSERVE_SERVER_SATURATING_ADD_H_

#include <cstdint>
#include <limits>

namespace convserve {

inline std::int64_t SaturatingAdd(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? std::numeric_limits<std::int64_t>::max() : sum;
}

}  // namespace convserve

#endif  // CONVSERVE_SERVER_SATURATING_ADD_H_
