// Timing contenders against each other.
#ifndef CONVSERVE_TESTS_BENCH_RACE_H_
#define CONVSERVE_TESTS_BENCH_RACE_H_

#include <span>
#include <vector>

#include "tests/bench/rival.h"

namespace convserve::bench {

struct Schedule {
  double seconds = 2;  // about so long a race takes, unless three rounds take longer
  int rounds = 15;     // at most
};

// Seconds a run, one value a round.
using Times = std::vector<double>;

// A B C A B C ...: in every round each contender runs for its share of the time, warmed up by an
// uncounted run where the others could have cost it its caches. Contenders four times slower than
// the first leave after three rounds. Times are in the order of the contenders.
std::vector<Times> Race(std::span<Runner* const> contenders, const Schedule& schedule);

struct Summary {
  double median = 0;
  // The distance of the quartiles, relative to the median.
  double spread = 0;
};
Summary Summarize(Times times);

// The median over the rounds that both ran of how many times longer `slow` took than `fast`: what
// disturbs a round disturbs both.
double Ratio(const Times& slow, const Times& fast);

}  // namespace convserve::bench

#endif  // CONVSERVE_TESTS_BENCH_RACE_H_
