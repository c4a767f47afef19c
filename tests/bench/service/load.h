// Closed loops of calls, and what they take.
#ifndef CONVSERVE_TESTS_BENCH_SERVICE_LOAD_H_
#define CONVSERVE_TESTS_BENCH_SERVICE_LOAD_H_

#include <chrono>
#include <functional>
#include <vector>

namespace convserve::bench {

// One call, from beginning to end. Throws std::runtime_error where it fails.
using CallOnce = std::function<void()>;

struct Loop {
  int concurrency = 1;
  std::chrono::milliseconds time{200};
  int min_calls = 1;  // of each caller
};

// Seconds.
struct Timing {
  double per_call = 0;  // the time of the loop by the number of calls: the inverse of throughput
  double latency = 0;   // median of a call
};

// `concurrency` threads call `call`, each again as soon as it has its answer.
Timing Run(const CallOnce& call, const Loop& loop);

// Ours beside the echo, in turns of `rounds` rounds after one that does not count.
struct Race {
  Timing echo;  // medians over the rounds
  Timing ours;
  double overhead = 0;  // median over the rounds of ours.per_call / echo.per_call
  double spread = 0;    // half of the distance between its quartiles
};

Race RunRace(const CallOnce& echo, const CallOnce& ours, const Loop& loop, int rounds);

}  // namespace convserve::bench

#endif  // CONVSERVE_TESTS_BENCH_SERVICE_LOAD_H_
