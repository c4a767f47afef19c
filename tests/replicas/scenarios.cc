#include "tests/replicas/scenarios.h"

#include <algorithm>
#include <chrono>
#include <iostream>
#include <numeric>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/replicas/traffic.h"

namespace convserve {

std::string Target(const Fleet& fleet, By by) {
  return by == By::kClient ? fleet.replicas() : fleet.proxy();
}

std::vector<int> All(const Fleet& fleet) {
  std::vector<int> all(static_cast<std::size_t>(fleet.size()));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

void SpreadsEvenly(const Fleet& fleet, By by) {
  const std::vector<std::int64_t> shares = Spread(fleet, Target(fleet, by));
  EXPECT_TRUE(Even(shares, 0.05)) << ::testing::PrintToString(shares);
}

void SurvivesAKill(Fleet& fleet, By by) {
  Traffic traffic(Target(fleet, by), {});
  std::chrono::duration<double> longest{0};
  for (const int killed : All(fleet)) {
    WaitForEvenShares(fleet, All(fleet));
    std::vector<int> others = All(fleet);
    std::erase(others, killed);
    fleet.Kill(killed);
    WaitForAnswers(fleet, others, 2000);
    WaitForEvenShares(fleet, others);
    fleet.Start(killed);
    const auto back = std::chrono::steady_clock::now();
    WaitForEvenShares(fleet, All(fleet));
    longest =
        std::max(longest, std::chrono::duration<double>(std::chrono::steady_clock::now() - back));
  }
  EXPECT_LT(longest.count(), 3);
  const bench::Tally tally = traffic.End();
  ExpectPerfect(tally);
  std::cout << tally.answered() << " calls; an equal share again within " << longest.count()
            << " s\n";
}

void SurvivesARollingRestart(Fleet& fleet, By by) {
  Traffic with_retries(Target(fleet, by), {});
  Traffic without(Target(fleet, by), {.max_attempts = 1});
  for (const int replica : All(fleet)) {
    WaitForEvenShares(fleet, All(fleet));
    fleet.Stop(replica);
    fleet.Start(replica);
  }
  WaitForEvenShares(fleet, All(fleet));
  ExpectPerfect(with_retries.End());
  ExpectPerfect(without.End());
}

}  // namespace convserve
