// Every rival file, whether its library is there or not.
#ifndef CONVSERVE_TESTS_BENCH_RIVALS_RIVALS_H_
#define CONVSERVE_TESTS_BENCH_RIVALS_RIVALS_H_

#include <memory>

#include "absl/status/statusor.h"
#include "tests/bench/rival.h"

namespace convserve::bench {

using Prepared = absl::StatusOr<std::unique_ptr<Runner>>;

// Plain descriptors for all three tensors; weights in a layout of its own, reordered within the
// time, where channels come last.
Prepared PrepareOneDnnPlain(const Workload& workload);
// Plain tensors, reordered to the library's own layouts and back within the time.
Prepared PrepareOneDnnOneShot(const Workload& workload);
// The library's own layouts, reordered beforehand.
Prepared PrepareOneDnnAny(const Workload& workload);
// The same with its Winograd algorithm.
Prepared PrepareOneDnnWinograd(const Workload& workload);

// Patches into a matrix (in slices that fit the cache) and one sgemm; the other way round when
// transposed.
Prepared PrepareIm2col(const Workload& workload);

// filter2D plane by plane, for filters of few channels that keep the size.
Prepared PrepareFilter2d(const Workload& workload);

// Loops that a compiler vectorises, with the output row innermost.
Prepared PrepareNaive(const Workload& workload);

}  // namespace convserve::bench

#endif  // CONVSERVE_TESTS_BENCH_RIVALS_RIVALS_H_
