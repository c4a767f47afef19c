// Whether results are right, before anything is timed.
//
// A rounding error is measured in units of eps * sum|x||w| of its output element, eps = 2^-24: the
// unit in which the promised bound is a constant, whatever the sizes and values.
#ifndef CONVSERVE_TESTS_BENCH_VERIFY_H_
#define CONVSERVE_TESTS_BENCH_VERIFY_H_

#include <cstdint>
#include <span>
#include <vector>

#include "tests/bench/workload.h"

namespace convserve::bench {

// What our results promise.
inline constexpr double kErrorBound = 4;
// How far a rival may be from us: our bound and its own, which may be a long running sum or a
// Winograd transform. One product of n missing or misplaced shows as about 2^24 / n.
inline constexpr double kDifferenceBound = 64;

// Sums in float64 for a sample of a workload's output: all of it when there are few products, else
// what lies around its ends and between a thousand and some ten thousand elements in between.
class ExactSample {
 public:
  // The workload outlives it.
  explicit ExactSample(const Workload& workload);

  // The largest error of `output`, in units of the bound; infinite for a NaN.
  double LargestError(std::span<const float> output) const {
    return LargestError(output, *workload_);
  }
  // The same of an output in the layout of `workload`, which has the same numbers in another one.
  double LargestError(std::span<const float> output, const Workload& workload) const;

 private:
  struct Element {
    std::int64_t n, channel, cell;
    double value = 0;
    double magnitude = 0;
  };
  static Element Compute(const Workload& workload, std::int64_t index);

  const Workload* workload_;
  std::vector<Element> elements_;
};

// The largest difference of two outputs of one workload over all elements, in units of the bound;
// `magnitude` is the output for the operands' magnitudes.
double LargestDifference(std::span<const float> left, std::span<const float> right,
                         std::span<const float> magnitude);

}  // namespace convserve::bench

#endif  // CONVSERVE_TESTS_BENCH_VERIFY_H_
