// The search for the largest tile that fits.
#ifndef CONVSERVE_CORE_ALGORITHMS_LARGEST_THAT_H_
#define CONVSERVE_CORE_ALGORITHMS_LARGEST_THAT_H_

#include <cstdint>

namespace convserve {

// The largest n of [least, most] with fits(n), where all smaller ones fit as well; `least`, which
// is not asked about, where no other does. Looks at `most` first, which small problems fit.
template <typename Fits>
std::int64_t LargestThat(std::int64_t least, std::int64_t most, Fits fits) {
  if (most <= least) return least;
  if (fits(most)) return most;
  while (most - least > 1) {
    const std::int64_t middle = least + (most - least) / 2;
    (fits(middle) ? least : most) = middle;
  }
  return least;
}

}  // namespace convserve

#endif  // CONVSERVE_CORE_ALGORITHMS_LARGEST_THAT_H_
