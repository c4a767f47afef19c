#include "tests/bench/race.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace convserve::bench {
namespace {

constexpr std::size_t kLeastRounds = 3;
constexpr double kHopeless = 4;
// Runs longer than this bring their own caches up.
constexpr double kLongRun = 20e-3;

using Clock = std::chrono::steady_clock;

double Since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double TimeOf(Runner& runner, std::int64_t runs) {
  const Clock::time_point start = Clock::now();
  for (std::int64_t i = 0; i < runs; ++i) runner.Run();
  return Since(start) / static_cast<double>(runs);
}

double Estimate(Runner& runner) {
  const double first = TimeOf(runner, 1);
  return first > kLongRun ? first : std::min(TimeOf(runner, 1), TimeOf(runner, 1));
}

double Quantile(const Times& sorted, double part) {
  const double position = part * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (position - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace

std::vector<Times> Race(std::span<Runner* const> contenders, const Schedule& schedule) {
  const double share =
      schedule.seconds / (schedule.rounds * static_cast<double>(contenders.size()));
  std::vector<double> estimates;
  for (Runner* runner : contenders) estimates.push_back(Estimate(*runner));

  std::vector<Times> times(contenders.size());
  const Clock::time_point start = Clock::now();
  for (std::size_t round = 0; round < static_cast<std::size_t>(schedule.rounds); ++round) {
    if (round >= kLeastRounds && Since(start) > schedule.seconds) break;
    for (std::size_t i = 0; i < contenders.size(); ++i) {
      if (round >= kLeastRounds && estimates[i] > kHopeless * estimates[0]) continue;
      if (estimates[i] < kLongRun) contenders[i]->Run();
      const auto runs = static_cast<std::int64_t>(share / estimates[i]);
      times[i].push_back(TimeOf(*contenders[i], std::max<std::int64_t>(runs, 1)));
      estimates[i] = Summarize(times[i]).median;
    }
  }
  return times;
}

Summary Summarize(Times times) {
  std::sort(times.begin(), times.end());
  const double median = Quantile(times, 0.5);
  return {median, (Quantile(times, 0.75) - Quantile(times, 0.25)) / median};
}

double Ratio(const Times& slow, const Times& fast) {
  Times ratios;
  for (std::size_t i = 0; i < std::min(slow.size(), fast.size()); ++i) {
    ratios.push_back(slow[i] / fast[i]);
  }
  return Summarize(std::move(ratios)).median;
}

}  // namespace convserve::bench
