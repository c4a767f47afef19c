// One element from one type to another, by the output rules: floats round to nearest even; integers
// round half to even and saturate, and a NaN becomes 0.
#ifndef CONVSERVE_CORE_CONVERT_H_
#define CONVSERVE_CORE_CONVERT_H_

#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "core/data_type.h"

namespace convserve {

// An element in a type that holds all of its values: float or double from anything but int32,
// double or std::int64_t from integers.
template <typename Wide, typename T>
Wide Widen(T value) {
  if constexpr (std::is_same_v<T, Wide>) {
    return value;
  } else if constexpr (std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16>) {
    return static_cast<Wide>(ToFloat(value));
  } else {
    return static_cast<Wide>(value);
  }
}

// `value` (float, double, std::int32_t or std::int64_t) rounded once to T.
template <typename T, typename Wide>
T RoundTo(Wide value) {
  if constexpr (std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16>) {
    // Integers pass through double: sums of 8-bit products stay below 2^53.
    using Float = std::conditional_t<std::is_same_v<Wide, float>, float, double>;
    if constexpr (std::is_same_v<T, Float16>) {
      return ToFloat16(static_cast<Float>(value));
    } else {
      return ToBFloat16(static_cast<Float>(value));
    }
  } else if constexpr (std::is_floating_point_v<T>) {
    return static_cast<T>(value);
  } else if constexpr (std::is_integral_v<Wide>) {
    constexpr auto kHighest = static_cast<Wide>(std::numeric_limits<T>::max());
    constexpr Wide kLowest = std::is_signed_v<T> ? -kHighest - 1 : 0;
    return static_cast<T>(value < kLowest ? kLowest : value > kHighest ? kHighest : value);
  } else {
    // In double every bound of a 32-bit integer is exact.
    constexpr double kLowest = std::numeric_limits<T>::lowest();
    constexpr double kHighest = std::numeric_limits<T>::max();
    const double rounded = std::nearbyint(static_cast<double>(value));
    if (std::isnan(rounded)) return 0;
    return static_cast<T>(rounded < kLowest ? kLowest : rounded > kHighest ? kHighest : rounded);
  }
}

}  // namespace convserve

#endif  // CONVSERVE_CORE_CONVERT_H_
