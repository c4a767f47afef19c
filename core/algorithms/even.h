// Which images and weights kWinograd may compute within the promised error.
#ifndef CONVSERVE_CORE_ALGORITHMS_EVEN_H_
#define CONVSERVE_CORE_ALGORITHMS_EVEN_H_

#include <cstdint>
#include <vector>

#include "core/algorithms/algorithm.h"

namespace convserve {

// Whether nothing stands out among elements with this sum of absolute values and of squares: as
// many as kLeastParts equal ones make a ratio of kLeastParts. Infinities, NaNs and extreme
// magnitudes stand out.
inline bool Even(float sum, float squares) {
  constexpr float kLeastParts = 4;
  constexpr float kLargest = 1e15F;
  constexpr float kSmallest = 1e-15F;
  return sum == 0 || (sum < kLargest && sum > kSmallest && sum * sum >= kLeastParts * squares);
}

// The images of a run, in order, whose channels are even at every position.
std::vector<std::int64_t> EvenImages(const Run& run);

}  // namespace convserve

#endif  // CONVSERVE_CORE_ALGORITHMS_EVEN_H_
