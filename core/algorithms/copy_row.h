// Input elements met by outputs that follow each other along x.
#ifndef CONVSERVE_CORE_ALGORITHMS_COPY_ROW_H_
#define CONVSERVE_CORE_ALGORITHMS_COPY_ROW_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include "core/convert.h"
#include "core/geometry.h"

namespace convserve {

struct RowSource {
  std::int64_t step;    // input positions between outputs
  std::int64_t stride;  // elements between input positions
  std::int64_t size;    // input positions there are
  PaddingMode mode;

  // Of `length` outputs, the first of which meets position `first`: those [inside, outside) that
  // meet real input.
  std::pair<std::int64_t, std::int64_t> Inside(std::int64_t first, std::int64_t length) const {
    std::int64_t inside = 0;
    std::int64_t outside = length;
    if (first < 0) inside = std::min(length, (-first + step - 1) / step);
    if (first + (length - 1) * step >= size) {
      outside = first >= size ? 0 : (size - 1 - first) / step + 1;
      inside = std::min(inside, outside);
    }
    return {inside, outside};
  }
};

// out[i] = from[i * stride] for i < count.
template <typename T, typename In>
void CopyStrided(const In* from, std::int64_t stride, std::int64_t count, T* out) {
  if (stride == 1) {
    if constexpr (std::is_same_v<T, In>) {
      // Short rows are the common ones: copied in vectors, the last of which may begin within the
      // one before it.
      constexpr std::int64_t kVector = 16 / sizeof(T);
      if (count >= 16 * kVector) {
        std::memcpy(out, from, static_cast<std::size_t>(count) * sizeof(T));
        return;
      }
      if (count >= kVector) {
        std::int64_t i = 0;
        for (; i < count - kVector; i += kVector) std::memcpy(out + i, from + i, 16);
        std::memcpy(out + count - kVector, from + count - kVector, 16);
        return;
      }
    }
    for (std::int64_t i = 0; i < count; ++i) out[i] = Widen<T>(from[i]);
  } else if (stride == 2) {
    std::int64_t i = 0;
    if constexpr (std::is_same_v<T, In> && std::is_same_v<T, float>) {
      using Four = float __attribute__((vector_size(16)));
      for (; i + 4 < count; i += 4) {  // the last one would read past the end
        Four low, high;
        std::memcpy(&low, from + 2 * i, 16);
        std::memcpy(&high, from + 2 * i + 4, 16);
        const Four even = __builtin_shufflevector(low, high, 0, 2, 4, 6);
        std::memcpy(out + i, &even, 16);
      }
    }
    for (; i < count; ++i) out[i] = Widen<T>(from[i * 2]);
  } else {
    for (std::int64_t i = 0; i < count; ++i) out[i] = Widen<T>(from[i * stride]);
  }
}

// out[i] = row[first + i*step] for i < length, or padding.
template <typename T, typename In>
void CopyRow(const In* row, const RowSource& source, std::int64_t first, std::int64_t length,
             T* out) {
  const auto [inside, outside] = source.Inside(first, length);
  const auto pad = [&](std::int64_t from, std::int64_t to) {
    for (std::int64_t i = from; i < to; ++i) {
      const std::int64_t at = SourceIndex(source.mode, first + i * source.step, source.size);
      out[i] = at < 0 ? T{0} : Widen<T>(row[at * source.stride]);
    }
  };
  pad(0, inside);
  CopyStrided(row + (first + inside * source.step) * source.stride, source.step * source.stride,
              outside - inside, out + inside);
  pad(outside, length);
}

}  // namespace convserve

#endif  // CONVSERVE_CORE_ALGORITHMS_COPY_ROW_H_
