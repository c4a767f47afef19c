// Counting, without loops, the positions that a kernel touches along one axis.
//
// A kernel of k taps, d apart, put down o times, s apart, touches the positions
//
//   S = { j*s + t*d : 0 <= j < o, 0 <= t < k }
//
// A Conv reads padded input position j*s + t*d for output j; a ConvTranspose adds input j to
// uncropped output position j*s + t*d. Every count here takes O(log) steps, allocates nothing and
// is exact for all parameters that a Problem can hold (each below 2^63); 128-bit integers carry the
// intermediate products.
//
// Two pairs (j, t) meet at one position when they differ by a multiple of (d/g, -s/g), g = gcd(s,
// d). That gives the closed forms: of the pairs at one position exactly one cannot be moved by
// (-d/g, +s/g) within the rectangle, and the pairs that can be moved form a smaller rectangle.
#ifndef CONVSERVE_CORE_REACH_H_
#define CONVSERVE_CORE_REACH_H_

#include <cstdint>

#include "absl/numeric/int128.h"
#include "absl/types/span.h"

namespace convserve {

struct Steps {
  std::int64_t placements = 1;  // o
  std::int64_t stride = 1;      // s
  std::int64_t taps = 1;        // k
  std::int64_t dilation = 1;    // d
};

// sum over 0 <= i < count of floor((slope*i + start) / divisor). count >= 0, divisor > 0; slope and
// start of either sign. |slope|*count, |start| and the result stay below 2^126.
absl::int128 FloorSum(absl::int128 count, absl::int128 slope, absl::int128 start,
                      absl::int128 divisor);

// How many pairs (j, t) have j*s + t*d < bound.
absl::int128 PairsBelow(const Steps& steps, absl::int128 bound);

// How many members of S lie in [begin, end).
absl::int128 PositionsWithin(const Steps& steps, absl::int128 begin, absl::int128 end);

// A copy of S moved by `offset`, mirrored first when `sign` is -1, and only what falls in [begin,
// end) of it.
struct Image {
  int sign = 1;
  absl::int128 offset = 0;
  absl::int128 begin = 0;
  absl::int128 end = 0;
};

// How many positions lie in at least one of up to three images of S.
absl::int128 PositionsInAny(const Steps& steps, absl::Span<const Image> images);

}  // namespace convserve

#endif  // CONVSERVE_CORE_REACH_H_
