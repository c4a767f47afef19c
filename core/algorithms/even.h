// Which images and weights kWinograd may compute within the promised error.
#ifndef CONVSERVE_CORE_ALGORITHMS_EVEN_H_
#define CONVSERVE_CORE_ALGORITHMS_EVEN_H_

#include <cstdint>
#include <span>
#include <vector>

#include "core/algorithms/algorithm.h"

namespace convserve {

// What is asked of weights and images.
struct Evenness {
  // So many equal elements would have the ratio of sum^2 to squares that is the least. For the same
  // error it grows with the square of what tiles make of rounding.
  float least_parts;
  // Whether, of any six neighbours in a row, no three may have less than a quarter of their sum:
  // for tiles that make outputs of elements beside those that they meet.
  bool level_rows;

  // Whether nothing stands out among elements with this sum of absolute values and of squares.
  // Infinities, NaNs and extreme magnitudes do.
  bool Holds(float sum, float squares) const {
    constexpr float kLargest = 1e15F;
    constexpr float kSmallest = 1e-15F;
    return sum == 0 || (sum < kLargest && sum > kSmallest && sum * sum >= least_parts * squares);
  }
};

// Rows with more padding than this are not level.
inline constexpr std::int64_t kMostLevelPadding = 1;

// For tiles that make so many outputs along x: 2, or 4, whose errors are 1.7 times as large.
constexpr Evenness EvennessFor(std::int64_t width) {
  return width == 2 ? Evenness{4, false} : Evenness{12, true};
}

// Those of `images`, in order, whose channels are even at every position.
std::vector<std::int64_t> EvenImages(const Run& run, std::span<const std::int64_t> images,
                                     const Evenness& evenness);

}  // namespace convserve

#endif  // CONVSERVE_CORE_ALGORITHMS_EVEN_H_
