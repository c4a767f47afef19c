// Rows of elements from one type to another, by the rules of core/convert.h.
#ifndef CONVSERVE_CORE_KERNELS_CONVERT_KERNEL_H_
#define CONVSERVE_CORE_KERNELS_CONVERT_KERNEL_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <type_traits>

#include "core/convert.h"
#include "core/data_type.h"

namespace convserve {

// to[i] = from[i], exactly, for i < count.
template <typename From>
using WidenKernel = void (*)(const From* from, std::int64_t count, float* to);

// to[i] = from[i] + bias, rounded to To, for i < count. Sum is float, or std::int32_t that does not
// overflow.
template <typename Sum, typename To>
using RoundKernel = void (*)(const Sum* from, Sum bias, std::int64_t count, To* to);

// Compiled once for each instruction set.
struct ConvertTable {
  std::tuple<WidenKernel<Float16>, WidenKernel<BFloat16>, WidenKernel<std::int8_t>,
             WidenKernel<std::uint8_t>>
      widen;
  std::tuple<RoundKernel<float, float>, RoundKernel<float, Float16>, RoundKernel<float, BFloat16>,
             RoundKernel<float, std::int8_t>, RoundKernel<float, std::uint8_t>,
             RoundKernel<float, std::int32_t>, RoundKernel<std::int32_t, float>,
             RoundKernel<std::int32_t, std::int8_t>, RoundKernel<std::int32_t, std::uint8_t>,
             RoundKernel<std::int32_t, std::int32_t>>
      round;
};

// The kernels of the instruction set in use. Thread-safe.
const ConvertTable& ConvertKernels();

// Widens a row to floats or doubles.
template <typename T, typename From>
void WidenRow(const From* from, std::int64_t count, T* to) {
  if constexpr (std::is_same_v<T, float> && (sizeof(From) == 1 || std::is_same_v<From, Float16> ||
                                             std::is_same_v<From, BFloat16>)) {
    std::get<WidenKernel<From>>(ConvertKernels().widen)(from, count, to);
  } else {
    for (std::int64_t i = 0; i < count; ++i) to[i] = Widen<T>(from[i]);
  }
}

// Adds the bias to a row of float, double, std::int32_t or std::int64_t and rounds it.
template <typename To, typename Sum>
void RoundRow(const Sum* from, Sum bias, std::int64_t count, To* to) {
  constexpr bool kWide = std::is_same_v<To, double>;
  constexpr bool kHalf = std::is_same_v<To, Float16> || std::is_same_v<To, BFloat16>;
  if constexpr ((std::is_same_v<Sum, float> && !kWide) ||
                (std::is_same_v<Sum, std::int32_t> && !kWide && !kHalf)) {
    std::get<RoundKernel<Sum, To>>(ConvertKernels().round)(from, bias, count, to);
  } else {
    for (std::int64_t i = 0; i < count; ++i) to[i] = RoundTo<To>(from[i] + bias);
  }
}

// The same to elements that are `step` apart.
template <typename To, typename Sum>
void RoundRow(const Sum* from, Sum bias, std::int64_t count, std::int64_t step, To* to) {
  if (step == 1) return RoundRow(from, bias, count, to);
  constexpr std::int64_t kSome = 64;
  std::array<To, kSome> some;
  for (std::int64_t done = 0; done < count; done += kSome) {
    const std::int64_t now = std::min(kSome, count - done);
    RoundRow(from + done, bias, now, some.data());
    for (std::int64_t i = 0; i < now; ++i) {
      to[(done + i) * step] = some[static_cast<std::size_t>(i)];
    }
  }
}

}  // namespace convserve

#endif  // CONVSERVE_CORE_KERNELS_CONVERT_KERNEL_H_
