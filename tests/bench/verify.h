// Whether results are right, before anything is timed.
//
// A rounding error is measured in units of eps * sum|x||w| of its output element, eps = 2^-24: the
// unit in which the promised bound is a constant, whatever the sizes and values.
#ifndef CONVSERVE_TESTS_BENCH_VERIFY_H_
#define CONVSERVE_TESTS_BENCH_VERIFY_H_

#include <cstdint>
#include <span>

#include "tests/bench/workload.h"

namespace convserve::bench {

// What our results promise.
inline constexpr double kErrorBound = 4;
// How far a rival may be from us: our bound and its own, which may be a long running sum or a
// Winograd transform. One product of n missing or misplaced shows as about 2^24 / n.
inline constexpr double kDifferenceBound = 64;

// The largest error of `output` against sums in float64 over a sample of its elements: all of them
// when there are few products, else those around the corners and several thousand in between. A NaN
// counts as infinite.
double LargestError(const Workload& workload, std::span<const float> output);

// The largest difference of two outputs of one workload over all elements; `magnitude` is the
// output for the operands' magnitudes.
double LargestDifference(std::span<const float> left, std::span<const float> right,
                         std::span<const float> magnitude);

}  // namespace convserve::bench

#endif  // CONVSERVE_TESTS_BENCH_VERIFY_H_
