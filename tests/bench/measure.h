// One layer: prepare, check, race.
#ifndef CONVSERVE_TESTS_BENCH_MEASURE_H_
#define CONVSERVE_TESTS_BENCH_MEASURE_H_

#include "absl/status/statusor.h"
#include "tests/bench/layer.h"
#include "tests/bench/options.h"
#include "tests/bench/result.h"

namespace convserve::bench {

// Races us against every chosen rival that can compute the layer. A contender whose result is wrong
// does not run; it is listed in Result::wrong, as we are when our error exceeds the promised bound
// (we run all the same). FAILED_PRECONDITION when the forced algorithm refuses the layer. To be
// called in an arena of Options::threads threads.
absl::StatusOr<Result> Measure(const Layer& layer, const Options& options);

}  // namespace convserve::bench

#endif  // CONVSERVE_TESTS_BENCH_MEASURE_H_
