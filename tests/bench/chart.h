// The results as a picture.
#ifndef CONVSERVE_TESTS_BENCH_CHART_H_
#define CONVSERVE_TESTS_BENCH_CHART_H_

#include <string>
#include <vector>

#include "tests/bench/result.h"

namespace convserve::bench {

// An SVG of how many times faster we are than the best rival, class by class in geometric means:
// one bar for each regime, on a logarithmic scale around 1.
std::string Chart(const std::vector<Result>& results);

}  // namespace convserve::bench

#endif  // CONVSERVE_TESTS_BENCH_CHART_H_
