// Three replicas as processes, called through HAProxy and by clients that balance by themselves.
#include <chrono>
#include <iostream>
#include <optional>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/replicas/balancer.h"
#include "tests/replicas/processes.h"
#include "tests/replicas/scenarios.h"
#include "tests/replicas/traffic.h"
#include "tests/server/scratch.h"

namespace convserve {
namespace {

using std::chrono::milliseconds;

class Replicas : public ::testing::TestWithParam<By> {
 protected:
  std::string target() const { return Target(fleet_, GetParam()); }

  // A client that balances by itself notices by its own probes that a replica hangs.
  static ClientOptions Probing() {
    return {.keepalive_time = milliseconds(1000), .keepalive_timeout = milliseconds(500)};
  }

  Processes fleet_;
};

TEST_P(Replicas, ShareTheCallsOfOneClient) { SpreadsEvenly(fleet_, GetParam()); }

TEST_P(Replicas, SurviveThatOneIsKilled) { SurvivesAKill(fleet_, GetParam()); }

TEST_P(Replicas, SurviveARollingRestart) { SurvivesARollingRestart(fleet_, GetParam()); }

// HAProxy: two checks of 500 ms each that get no answer in 500 ms, and 500 ms to the first of them.
// The client: a second of silence and half a second without an answer to the probe; silence is
// looked for by a timer that other traffic resets, so it may be seen a period late.
TEST_P(Replicas, SurviveThatOneHangs) {
  Traffic traffic(target(), Probing(), {}, Pace::kSteady);
  WaitForEvenShares(fleet_, All(fleet_));
  fleet_.Hang(1);
  WaitForAnswers(fleet_, {0, 2}, 600);
  fleet_.Resume(1);
  WaitForEvenShares(fleet_, All(fleet_));
  const bench::Tally tally = traffic.End();
  ExpectPerfect(tally);
  const std::chrono::duration<double> worst = tally.latencies().most();
  EXPECT_LT(worst.count(), 3.5);
  std::cout << tally.answered() << " calls, the longest took " << worst.count() << " s\n";
}

TEST_P(Replicas, AreAllGoneForASecond) {
  const ClientOptions once{.max_attempts = 1};
  const ConvolutionClient client(target(), once);
  const Tensor number(DataType::kFloat32, {1, 1, 1});
  const Operands operands{number.view(), number.view()};
  ASSERT_TRUE(client.Conv(operands, {}, {.wait_for_ready = true}).ok());
  std::optional<Traffic> waiting;
  if (GetParam() == By::kClient) {
    waiting.emplace(target(), ClientOptions{}, CallOptions{.wait_for_ready = true});
    WaitForEvenShares(fleet_, All(fleet_));
  }
  for (const int replica : All(fleet_)) fleet_.Kill(replica);
  const auto start = std::chrono::steady_clock::now();
  int failed = 0;
  while (std::chrono::steady_clock::now() - start < std::chrono::seconds(1)) {
    const auto result = client.Conv(operands, {}, {.timeout = milliseconds(5000)});
    ASSERT_EQ(result.status().code(), absl::StatusCode::kUnavailable) << result.status();
    ++failed;
  }
  EXPECT_GT(failed, 0);
  for (const int replica : All(fleet_)) fleet_.Start(replica);
  if (waiting) ExpectPerfect(waiting->End());
  while (!client.Conv(operands).ok()) {
  }
}

TEST_P(Replicas, SurviveABadRollout) {
  const ScratchFolder folder;
  const std::string broken = folder.Write("cert.pem", "no certificate\n");
  const std::string config = folder.Write("convserve.conf", "max-requests = many\n");
  Traffic traffic(target(), {.max_attempts = 1});
  WaitForEvenShares(fleet_, All(fleet_));
  fleet_.Stop(2);
  EXPECT_EQ(fleet_.StartInVain(2, {"--tls-cert", broken, "--tls-key", broken}), 1);
  EXPECT_EQ(fleet_.StartInVain(2, {"--config", config}), 2);
  fleet_.balancer().WaitForReplicas(2);
  WaitForEvenShares(fleet_, {0, 1});
  fleet_.Start(2);
  WaitForEvenShares(fleet_, All(fleet_));
  ExpectPerfect(traffic.End());
}

INSTANTIATE_TEST_SUITE_P(BalancedBy, Replicas, ::testing::Values(By::kClient, By::kProxy),
                         [](const auto& info) {
                           return info.param == By::kClient ? "TheClient" : "HAProxy";
                         });

TEST(LayerFour, SendsOneClientToOneReplica) {
  const Processes fleet;
  std::vector<BalancedReplica> replicas;
  for (const int i : All(fleet)) replicas.push_back({fleet.address(i), fleet.metrics(i)});
  const Balancer balancer(BalancedBy::kConnection, replicas);
  const std::vector<std::int64_t> shares = Spread(fleet, balancer.address());
  EXPECT_FALSE(Even(shares, 0.05));
  EXPECT_THAT(shares, ::testing::UnorderedElementsAre(0, 0, 900));
}

}  // namespace
}  // namespace convserve
