// Outputs of an axis apart by the taps that they meet: padding is left out, not multiplied.
#ifndef CONVSERVE_CORE_ALGORITHMS_STRETCHES_H_
#define CONVSERVE_CORE_ALGORITHMS_STRETCHES_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/axis.h"
#include "core/divide.h"

namespace convserve {

// Outputs [first, last) of an axis that meet the same taps [tap_first, tap_last), perhaps none.
struct Stretch {
  std::int64_t first, last;
  std::int64_t tap_first, tap_last;

  std::int64_t outputs() const { return last - first; }
  std::int64_t taps() const { return tap_last - tap_first; }
  // Those that are in [begin, end), if any.
  Stretch Cut(std::int64_t begin, std::int64_t end) const {
    return {std::max(first, begin), std::min(last, end), tap_first, tap_last};
  }
};

// All outputs of an axis of a convolution, in order.
inline std::vector<Stretch> Stretches(const Axis& axis) {
  std::vector<Stretch> stretches;
  for (std::int64_t o = 0; o < axis.output; ++o) {
    const std::int64_t start = o * axis.stride - axis.padding_begin;
    // Taps t with 0 <= start + t*dilation < input.
    const std::int64_t first =
        start >= 0 ? 0 : std::min(axis.kernel, CeilDivide(-start, axis.dilation));
    const std::int64_t last =
        start >= axis.input
            ? first
            : std::clamp((axis.input - 1 - start) / axis.dilation + 1, first, axis.kernel);
    if (stretches.empty() || stretches.back().tap_first != first ||
        stretches.back().tap_last != last) {
      stretches.push_back({o, o, first, last});
    }
    ++stretches.back().last;
  }
  return stretches;
}

}  // namespace convserve

#endif  // CONVSERVE_CORE_ALGORITHMS_STRETCHES_H_
