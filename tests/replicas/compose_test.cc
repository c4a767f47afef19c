// The containers of docker/compose.yaml: what replicas go through, once more.
#include "gtest/gtest.h"
#include "tests/replicas/containers.h"
#include "tests/replicas/scenarios.h"

namespace convserve {
namespace {

class Compose : public ::testing::TestWithParam<By> {
 protected:
  Containers fleet_;
};

TEST_P(Compose, ReplicasShareTheCallsOfOneClient) { SpreadsEvenly(fleet_, GetParam()); }

TEST_P(Compose, SurvivesThatAReplicaIsKilled) { SurvivesAKill(fleet_, GetParam()); }

TEST_P(Compose, SurvivesARollingRestart) { SurvivesARollingRestart(fleet_, GetParam()); }

INSTANTIATE_TEST_SUITE_P(BalancedBy, Compose, ::testing::Values(By::kClient, By::kProxy),
                         [](const auto& info) {
                           return info.param == By::kClient ? "TheClient" : "HAProxy";
                         });

}  // namespace
}  // namespace convserve
