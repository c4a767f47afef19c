// How our own time falls with the number of threads, and that the bits do not change.
#ifndef CONVSERVE_TESTS_BENCH_SCALING_H_
#define CONVSERVE_TESTS_BENCH_SCALING_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/bench/layer.h"
#include "tests/bench/options.h"

namespace convserve::bench {

// 1, 2, 4, ... and `threads`.
std::vector<int> ThreadCounts(int threads);

struct ScalingResult {
  Layer layer;
  double multiply_adds = 0;
  std::string algorithm;
  double one_thread_seconds = 0;
  // For every count of ThreadCounts: ours, and that of multiply-adds in registers in the same
  // rounds, which is what the machine had to give.
  std::vector<double> speed_ups;
  std::vector<double> machine_speed_ups;
  bool same_bits = true;
};

// All thread counts race each other. To be called outside of any arena.
absl::StatusOr<ScalingResult> MeasureScaling(const Layer& layer, const Options& options);

std::string ScalingHead(int threads);
std::string ScalingLine(const ScalingResult& result);

}  // namespace convserve::bench

#endif  // CONVSERVE_TESTS_BENCH_SCALING_H_
