#include "tests/bench/result.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/bench/race.h"
#include "tests/bench/verify.h"

namespace convserve::bench {
namespace {

using ::testing::DoubleEq;
using ::testing::SizeIs;

RivalResult Against(const char* name, Regime regime, double ratio) {
  RivalResult rival;
  rival.name = name;
  rival.regime = regime;
  rival.ratio = ratio;
  return rival;
}

Result ResultOf(const char* class_name, double plain_ratio) {
  Result result;
  result.layer.class_name = class_name;
  result.flops = 100;
  result.peak_flops = 1000;
  result.stream_seconds = 0.05;
  result.time.median = 0.2;
  result.rivals = {Against("slow", Regime::kPlain, 2 * plain_ratio),
                   Against("fast", Regime::kPlain, plain_ratio),
                   Against("other", Regime::kOurs, 0.1)};
  return result;
}

TEST(Race, SummaryIsMedianAndDistanceOfQuartiles) {
  const Summary summary = Summarize({5, 1, 2, 4, 3});
  EXPECT_THAT(summary.median, DoubleEq(3));
  EXPECT_THAT(summary.spread, DoubleEq(2.0 / 3));
}

TEST(Race, RatioPairsTheRounds) {
  // A round that took everyone ten times longer changes nothing.
  EXPECT_THAT(Ratio({2, 20, 2}, {1, 10, 1}), DoubleEq(2));
  EXPECT_THAT(Ratio({2, 2}, {1, 1, 9, 9}), DoubleEq(2));
}

TEST(Result, RooflineIsTheLaterOfPeakAndBandwidth) {
  Result result = ResultOf("a", 1);
  EXPECT_THAT(result.part_of_peak(), DoubleEq(0.5));
  EXPECT_THAT(result.part_of_roofline(), DoubleEq(0.5));
  result.stream_seconds = 0.15;
  EXPECT_THAT(result.part_of_roofline(), DoubleEq(0.75));
}

TEST(Result, BestRivalIsTheFastestOfTheRegime) {
  const Result result = ResultOf("a", 1.5);
  EXPECT_EQ(result.best(Regime::kPlain)->name, "fast");
  EXPECT_EQ(result.best(Regime::kSteady), nullptr);
}

TEST(Result, RivalsThatAreLessAccurateAreLeftOutWhereAsked) {
  Result result = ResultOf("a", 1.5);
  result.rivals[1].error = kErrorBound + 1;
  EXPECT_EQ(result.best(Regime::kPlain)->name, "fast");
  EXPECT_EQ(result.best(Regime::kPlain, kErrorBound)->name, "slow");
  result.rivals.pop_back();
  for (RivalResult& rival : result.rivals) rival.regime = Regime::kSteady;
  const ClassResult all = ByClass({result}).back();
  EXPECT_THAT(all.against_steady, DoubleEq(1.5));
  EXPECT_THAT(all.against_accurate, DoubleEq(3));
}

TEST(Result, LargeWorkspaceExceedsBothLimits) {
  Result result;
  result.mandatory_bytes = 100 << 20;
  result.workspace_bytes = 10 << 20;
  EXPECT_FALSE(result.has_large_workspace());
  result.workspace_bytes += 1;
  EXPECT_TRUE(result.has_large_workspace());
  result.mandatory_bytes = 1;
  result.workspace_bytes = 4 << 20;
  EXPECT_FALSE(result.has_large_workspace());
}

TEST(ByClass, MeansAreGeometricAndTheLastRowIsOverAll) {
  const auto rows = ByClass({ResultOf("a", 1), ResultOf("b", 2), ResultOf("a", 4)});
  ASSERT_THAT(rows, SizeIs(3));
  EXPECT_EQ(rows[0].name, "a");
  EXPECT_EQ(rows[0].layers, 2);
  EXPECT_THAT(rows[0].against_plain, DoubleEq(2));
  EXPECT_THAT(rows[0].worst_against_plain, DoubleEq(1));
  EXPECT_EQ(rows[0].against_steady, 0);
  EXPECT_EQ(rows[2].name, "all");
  EXPECT_THAT(rows[2].against_plain, DoubleEq(2));
}

}  // namespace
}  // namespace convserve::bench
