// How long a sum of floats may run before it starts anew from zero.
//
// Every addition rounds in proportion to the sum so far, so the error of a running sum grows with
// its length. Kernels cut long sums at fixed places and add the parts up: sums in blocks, as of
// N. J. Higham, "The Accuracy of Floating Point Summation" (1993).
#ifndef CONVSERVE_CORE_KERNELS_RUNNING_SUM_H_
#define CONVSERVE_CORE_KERNELS_RUNNING_SUM_H_

#include <cstdint>

namespace convserve {

// Products of a running sum, at most.
inline constexpr std::int64_t kRunningSum = 96;

}  // namespace convserve

#endif  // CONVSERVE_CORE_KERNELS_RUNNING_SUM_H_
