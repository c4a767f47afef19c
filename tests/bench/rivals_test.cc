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
  const auto compute = [&](const Layer& layer, TensorLayout layout) {
    const auto workload = MakeWorkload(layer, kElementTypes.front(), layout);
    ASSERT_TRUE(workload.ok()) << workload.status();
    const ExactSample exact(*workload);
    for (const Rival& rival : Rivals()) {
      if (workload->channels_last() && !rival.every_layout) continue;
      const auto runner = rival.prepare(*workload);
      if (!runner.ok()) continue;
      ++computed[rival.name];
      for (int run = 0; run < 2; ++run) {
        (*runner)->Run();
        EXPECT_LE(exact.LargestError((*runner)->Output()), kErrorBound)
            << rival.name << ", " << layer.name;
      }
    }
  };
  for (const Layer& layer : SmallLayers()) {
    compute(layer, TensorLayout::kChannelsFirst);
    compute(layer, TensorLayout::kChannelsLast);
  }
  for (const Rival& rival : Rivals()) {
    if (rival.name == "onednn/winograd") continue;  // needs AVX-512
    EXPECT_GT(computed[rival.name], 0) << rival.name;
  }
}

void ExpectPromiseKept(const Layer& layer, const ElementTypes& types, TensorLayout layout) {
  const auto workload = MakeWorkload(layer, types, layout);
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
    for (const Layer& layer : SmallLayers()) {
      ExpectPromiseKept(layer, types, TensorLayout::kChannelsFirst);
      ExpectPromiseKept(layer, types, TensorLayout::kChannelsLast);
    }
  }
}

}  // namespace
}  // namespace convserve::bench
