// Input elements met by outputs that follow each other along x.
#ifndef CONVSERVE_CORE_ALGORITHMS_COPY_ROW_H_
#define CONVSERVE_CORE_ALGORITHMS_COPY_ROW_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include "core/convert.h"
#include "core/divide.h"
#include "core/geometry.h"
#include "core/kernels/convert_kernel.h"

namespace convserve {

struct RowSource {
  std::int64_t step;    // input positions between outputs
  std::int64_t stride;  // elements between input positions
  std::int64_t size;    // input positions there are
  PaddingMode mode;

  // Elements from what one output meets to what the next one does, where both meet real input.
  std::int64_t elements() const { return std::min(step, size) * stride; }

  // Of `length` outputs, the first of which meets position `first`: those [inside, outside) that
  // meet real input.
  std::pair<std::int64_t, std::int64_t> Inside(std::int64_t first, std::int64_t length) const {
    std::int64_t inside = 0;
    std::int64_t outside = length;
    if (first < 0) inside = std::min(length, CeilDivide(-first, step));
    if (first + (length - 1) * step >= size) {
      outside = first >= size ? 0 : (size - 1 - first) / step + 1;
      inside = std::min(inside, outside);
    }
    return {inside, outside};
  }
};

// Four floats; what the compiler makes of them is fast on every processor.
using FourFloats = float __attribute__((vector_size(16)));

inline FourFloats LoadFour(const float* from) {
  FourFloats four;
  std::memcpy(&four, from, sizeof four);
  return four;
}
inline void StoreFour(FourFloats four, float* to) { std::memcpy(to, &four, sizeof four); }

// Whether SeparateTwos takes such elements.
template <typename T>
constexpr bool kSeparated = std::is_trivially_copyable_v<T> && sizeof(T) <= 4;

// 16 bytes as unsigned integers of so many bytes each.
template <std::size_t kBytes>
struct Vector16;
template <>
struct Vector16<1> {
  using Type = std::uint8_t __attribute__((vector_size(16)));
};
template <>
struct Vector16<2> {
  using Type = std::uint16_t __attribute__((vector_size(16)));
};
template <>
struct Vector16<4> {
  using Type = std::uint32_t __attribute__((vector_size(16)));
};

// out[p*out_step + i] = from[p + i*2] for p < kPlanes, 1 or 2, and i < count, by vectors, as far as
// that reads nothing past the last of these elements. Returns how many of each are done.
template <int kPlanes, typename T>
std::int64_t SeparateTwos(const T* from, std::int64_t count, T* out, std::int64_t out_step) {
  using Vector = typename Vector16<sizeof(T)>::Type;
  constexpr std::int64_t kLanes = 16 / sizeof(T);
  const std::int64_t most = count - 2 + kPlanes;
  if (most < kLanes) return 0;
  // The last vector may begin within the one before it.
  for (std::int64_t i = 0;; i = std::min(i + kLanes, most - kLanes)) {
    Vector low;
    Vector high;
    std::memcpy(&low, from + 2 * i, sizeof low);
    std::memcpy(&high, from + 2 * i + kLanes, sizeof high);
    [&]<int... kLane>(std::integer_sequence<int, kLane...>) {
      const Vector even = __builtin_shufflevector(low, high, (2 * kLane)...);
      std::memcpy(static_cast<void*>(out + i), &even, sizeof even);
      if (kPlanes == 2) {
        const Vector odd = __builtin_shufflevector(low, high, (2 * kLane + 1)...);
        std::memcpy(static_cast<void*>(out + out_step + i), &odd, sizeof odd);
      }
    }
    (std::make_integer_sequence<int, kLanes>());
    if (i == most - kLanes) return most;
  }
}

// The same of floats for from[p + i*stride] and 2 to 4 planes.
template <int kPlanes>
std::int64_t SeparateMore(const float* from, std::int64_t stride, std::int64_t count, float* out,
                          std::int64_t out_step) {
  std::int64_t i = 0;
  const std::int64_t last = (count - 1) * stride + kPlanes - 4;  // where a vector may begin
  for (; i + 4 <= count && (i + 3) * stride <= last; i += 4) {
    const float* at = from + i * stride;
    const FourFloats a = LoadFour(at);
    const FourFloats b = LoadFour(at + stride);
    const FourFloats c = LoadFour(at + 2 * stride);
    const FourFloats d = LoadFour(at + 3 * stride);
    const FourFloats low02 = __builtin_shufflevector(a, c, 0, 4, 1, 5);
    const FourFloats low13 = __builtin_shufflevector(b, d, 0, 4, 1, 5);
    StoreFour(__builtin_shufflevector(low02, low13, 0, 4, 1, 5), out + i);
    StoreFour(__builtin_shufflevector(low02, low13, 2, 6, 3, 7), out + out_step + i);
    if (kPlanes == 2) continue;
    const FourFloats high02 = __builtin_shufflevector(a, c, 2, 6, 3, 7);
    const FourFloats high13 = __builtin_shufflevector(b, d, 2, 6, 3, 7);
    StoreFour(__builtin_shufflevector(high02, high13, 0, 4, 1, 5), out + 2 * out_step + i);
    if (kPlanes == 3) continue;
    StoreFour(__builtin_shufflevector(high02, high13, 2, 6, 3, 7), out + 3 * out_step + i);
  }
  return i;
}

// out[i] = from[i] for i < count.
template <typename T>
void CopySideBySide(const T* from, std::int64_t count, T* out) {
  // Short rows are the common ones: copied in vectors, the last of which may begin within the one
  // before it.
  constexpr std::int64_t kVector = 16 / sizeof(T);
  if (count >= 16 * kVector) {
    std::memcpy(out, from, static_cast<std::size_t>(count) * sizeof(T));
  } else if (count >= kVector) {
    std::int64_t i = 0;
    for (; i < count - kVector; i += kVector) std::memcpy(out + i, from + i, 16);
    std::memcpy(out + count - kVector, from + count - kVector, 16);
  } else if (kVector >= 2 && count >= kVector / 2) {
    std::memcpy(out, from, 8);
    std::memcpy(out + count - kVector / 2, from + count - kVector / 2, 8);
  } else {
    for (std::int64_t i = 0; i < count; ++i) out[i] = from[i];
  }
}

// Whether CopyStrided copies so many elements of its result by vectors.
template <typename T>
constexpr bool CopiesVectors(std::int64_t stride, std::int64_t count) {
  constexpr std::int64_t kVector = 16 / sizeof(T);
  return stride == 1 || (stride == 2 && count >= kVector);
}

// out[i] = from[i * stride] for i < count.
template <typename T, typename In>
void CopyStrided(const In* from, std::int64_t stride, std::int64_t count, T* out) {
  if constexpr (std::is_same_v<T, In>) {
    if (stride == 1) return CopySideBySide(from, count, out);
    std::int64_t i = 0;
    if constexpr (kSeparated<T>) {
      if (stride == 2) i = SeparateTwos<1>(from, count, out, 0);
    }
    for (; i < count; ++i) out[i] = from[i * stride];
  } else {
    if (stride == 1) return WidenRow(from, count, out);
    constexpr std::int64_t kSome = 64;
    std::array<In, kSome> some;
    for (std::int64_t done = 0; done < count; done += kSome) {
      const std::int64_t now = std::min(kSome, count - done);
      CopyStrided(from + done * stride, stride, now, some.data());
      WidenRow(some.data(), now, out + done);
    }
  }
}

// out[p*out_step + i] = from[p + i*stride] for p < planes and i < count; stride is 2 or more where
// there are several planes.
template <typename T, typename In>
void CopyPlanes(const In* from, std::int64_t stride, std::int64_t count, std::int64_t planes,
                T* out, std::int64_t out_step) {
  for (; planes > 0;) {
    std::int64_t some = 1;  // at once
    std::int64_t done = 0;
    if constexpr (std::is_same_v<T, In> && kSeparated<T>) {
      if (planes == 2 && stride == 2) {
        some = 2;
        done = SeparateTwos<2>(from, count, out, out_step);
      } else if constexpr (std::is_same_v<T, float>) {
        some = std::min<std::int64_t>(planes, 4);
        if (some == 2) {
          done = SeparateMore<2>(from, stride, count, out, out_step);
        } else if (some == 3) {
          done = SeparateMore<3>(from, stride, count, out, out_step);
        } else if (some == 4) {
          done = SeparateMore<4>(from, stride, count, out, out_step);
        }
      }
    }
    for (std::int64_t p = 0; p < some; ++p) {
      CopyStrided(from + p + done * stride, stride, count - done, out + p * out_step + done);
    }
    from += some;
    out += some * out_step;
    planes -= some;
  }
}

}  // namespace convserve

#endif  // CONVSERVE_CORE_ALGORITHMS_COPY_ROW_H_
