// Results as text for people and as CSV for programs.
#ifndef CONVSERVE_TESTS_BENCH_REPORT_H_
#define CONVSERVE_TESTS_BENCH_REPORT_H_

#include <string>
#include <vector>

#include "tests/bench/result.h"

namespace convserve::bench {

// The head of the table of layers, with the meaning of its columns, and one line of it.
std::string TableHead();
std::string TableLine(const Result& result);

// The layers that a rival of the plain regime computes faster, worst first.
std::string Slower(const std::vector<Result>& results);

std::string ClassTable(const std::vector<ClassResult>& rows);

// One line a layer and contender: our line first, then those of its rivals. Times in seconds.
std::string Csv(const std::vector<Result>& results);

}  // namespace convserve::bench

#endif  // CONVSERVE_TESTS_BENCH_REPORT_H_
