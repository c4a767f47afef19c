#include <map>
#include <string_view>

#include "gtest/gtest.h"
#include "tests/bench/ours.h"
#include "tests/bench/rival.h"
#include "tests/bench/small_layers.h"
#include "tests/bench/verify.h"

namespace convserve::bench {
namespace {

// A rival may refuse a layer; what it computes has to be right, every time it runs.
TEST(Rivals, AgreeWithFloat64) {
  std::map<std::string_view, int> computed;
  for (const Layer& layer : SmallLayers()) {
    const auto workload = MakeWorkload(layer);
    ASSERT_TRUE(workload.ok()) << workload.status();
    const ExactSample exact(*workload);
    for (const Rival& rival : Rivals()) {
      const auto runner = rival.prepare(*workload);
      if (!runner.ok()) continue;
      ++computed[rival.name];
      for (int run = 0; run < 2; ++run) {
        (*runner)->Run();
        EXPECT_LE(exact.LargestError((*runner)->Output()), kErrorBound)
            << rival.name << ", " << layer.name;
      }
    }
  }
  for (const Rival& rival : Rivals()) {
    if (rival.name == "onednn/winograd") continue;  // needs AVX-512
    EXPECT_GT(computed[rival.name], 0) << rival.name;
  }
}

void ExpectPromiseKept(const Layer& layer, const ElementTypes& types) {
  const auto workload = MakeWorkload(layer, types);
  ASSERT_TRUE(workload.ok()) << workload.status();
  const ExactSample exact(*workload);
  for (const std::string_view algorithm : AlgorithmNames()) {
    const auto ours = PrepareOurs(*workload, algorithm);
    if (!ours.ok()) continue;
    (*ours)->Run();
    EXPECT_LE(exact.LargestError((*ours)->Output()), kErrorBound)
        << algorithm << ", " << layer.name << ", " << types.name;
  }
}

TEST(Ours, KeepsThePromiseWithEveryAlgorithmAndType) {
  for (const ElementTypes& types : kElementTypes) {
    for (const Layer& layer : SmallLayers()) ExpectPromiseKept(layer, types);
  }
}

}  // namespace
}  // namespace convserve::bench
