#include "tests/bench/service/load.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <mutex>
#include <thread>

namespace convserve::bench {
namespace {

using Clock = std::chrono::steady_clock;

double Seconds(Clock::duration time) { return std::chrono::duration<double>(time).count(); }

double Quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(std::lround(q * static_cast<double>(values.size() - 1)))];
}

}  // namespace

Timing Run(const CallOnce& call, const Loop& loop) {
  std::mutex mutex;
  std::vector<double> latencies;
  std::exception_ptr failure;
  const Clock::time_point start = Clock::now();
  const auto caller = [&] {
    std::vector<double> own;
    try {
      while (Clock::now() - start < loop.time || static_cast<int>(own.size()) < loop.min_calls) {
        const Clock::time_point sent = Clock::now();
        call();
        own.push_back(Seconds(Clock::now() - sent));
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      failure = std::current_exception();
    }
    const std::lock_guard lock(mutex);
    latencies.insert(latencies.end(), own.begin(), own.end());
  };
  std::vector<std::thread> callers;
  for (int i = 1; i < loop.concurrency; ++i) callers.emplace_back(caller);
  caller();
  for (std::thread& thread : callers) thread.join();
  if (failure) std::rethrow_exception(failure);
  const double elapsed = Seconds(Clock::now() - start);
  return {elapsed / static_cast<double>(latencies.size()), Quantile(latencies, 0.5)};
}

Race RunRace(const CallOnce& echo, const CallOnce& ours, const Loop& loop, int rounds) {
  std::vector<double> echo_calls, echo_latencies, our_calls, our_latencies, ratios;
  for (int round = -1; round < rounds; ++round) {
    const Timing e = Run(echo, loop);
    const Timing o = Run(ours, loop);
    if (round < 0) continue;
    echo_calls.push_back(e.per_call);
    echo_latencies.push_back(e.latency);
    our_calls.push_back(o.per_call);
    our_latencies.push_back(o.latency);
    ratios.push_back(o.per_call / e.per_call);
  }
  return {.echo = {Quantile(echo_calls, 0.5), Quantile(echo_latencies, 0.5)},
          .ours = {Quantile(our_calls, 0.5), Quantile(our_latencies, 0.5)},
          .overhead = Quantile(ratios, 0.5),
          .spread = (Quantile(ratios, 0.75) - Quantile(ratios, 0.25)) / 2};
}

}  // namespace convserve::bench
