// Input elements met by outputs that follow each other along x.
#ifndef CONVSERVE_CORE_ALGORITHMS_COPY_ROW_H_
#define CONVSERVE_CORE_ALGORITHMS_COPY_ROW_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "core/convert.h"
#include "core/geometry.h"

namespace convserve {

struct RowSource {
  std::int64_t step;    // input positions between outputs
  std::int64_t stride;  // elements between input positions
  std::int64_t size;    // input positions there are
  PaddingMode mode;
};

// out[i] = row[first + i*step] for i < length, or padding.
template <typename T, typename In>
void CopyRow(const In* row, const RowSource& source, std::int64_t first, std::int64_t length,
             T* out) {
  // Outputs [inside, outside) meet real input.
  std::int64_t inside = 0;
  std::int64_t outside = length;
  if (first < 0) inside = std::min(length, (-first + source.step - 1) / source.step);
  if (first + (length - 1) * source.step >= source.size) {
    outside = first >= source.size ? 0 : (source.size - 1 - first) / source.step + 1;
    inside = std::min(inside, outside);
  }
  const auto pad = [&](std::int64_t from, std::int64_t to) {
    for (std::int64_t i = from; i < to; ++i) {
      const std::int64_t at = SourceIndex(source.mode, first + i * source.step, source.size);
      out[i] = at < 0 ? T{0} : Widen<T>(row[at * source.stride]);
    }
  };
  pad(0, inside);
  const In* from = row + (first + inside * source.step) * source.stride;
  const std::int64_t stride = source.step * source.stride;
  T* to = out + inside;
  const std::int64_t count = outside - inside;
  if (std::is_same_v<T, In> && stride == 1 && count >= 32) {
    std::memcpy(to, from, static_cast<std::size_t>(count) * sizeof(T));
  } else if (stride == 1) {
    for (std::int64_t i = 0; i < count; ++i) to[i] = Widen<T>(from[i]);
  } else if (stride == 2) {
    for (std::int64_t i = 0; i < count; ++i) to[i] = Widen<T>(from[i * 2]);
  } else {
    for (std::int64_t i = 0; i < count; ++i) to[i] = Widen<T>(from[i * stride]);
  }
  pad(outside, length);
}

}  // namespace convserve

#endif  // CONVSERVE_CORE_ALGORITHMS_COPY_ROW_H_
