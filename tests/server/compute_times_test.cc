#include "server/compute_times.h"

#include "gtest/gtest.h"

namespace convserve {
namespace {

using std::chrono::microseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

// A picture of `size` x `size` under a kernel of one element: as many multiply-adds as elements.
Plan PlanOf(std::int64_t size, std::string_view algorithm = "reference") {
  ProblemSpec spec;
  spec.input = {DataType::kFloat32, {1, 1, size, size}, {}};
  spec.weight = {DataType::kFloat32, {1, 1, 1, 1}, {}};
  return *MakePlan(*MakeProblem(spec), algorithm);
}

class ComputeTimesTest : public ::testing::Test {
 protected:
  void Learn(const Plan& plan, const std::vector<int>& times) {
    for (const int time : times) times_.Learn(plan, microseconds(time));
  }

  ComputeTimes::Clock::time_point now_{seconds(1000)};
  ComputeTimes times_{[this] { return now_; }};
};

TEST_F(ComputeTimesTest, KnowsNothingUntilItHasSeenEnough) {
  const Plan plan = PlanOf(100);
  for (int i = 0; i < ComputeTimes::kEnough; ++i) {
    EXPECT_EQ(times_.Estimate(plan), std::nullopt);
    times_.Learn(plan, microseconds(10));
  }
  EXPECT_EQ(times_.Estimate(plan), microseconds(10));
}

TEST_F(ComputeTimesTest, ThreeOfFourTookLonger) {
  const Plan plan = PlanOf(100);
  Learn(plan, {80, 10, 70, 20, 60, 30, 50, 40});
  EXPECT_EQ(times_.Estimate(plan), microseconds(30));
}

TEST_F(ComputeTimesTest, ScalesWithTheMultiplyAdds) {
  Learn(PlanOf(100), std::vector<int>(ComputeTimes::kEnough, 10));
  EXPECT_EQ(times_.Estimate(PlanOf(110)), nanoseconds(12'100));
}

TEST_F(ComputeTimesTest, AnOutlierDoesNotMoveIt) {
  const Plan plan = PlanOf(100);
  Learn(plan, {10, 10, 10, 10, 10, 10, 10, 1'000'000});
  EXPECT_EQ(times_.Estimate(plan), microseconds(10));
  Learn(plan, {1});
  EXPECT_EQ(times_.Estimate(plan), microseconds(10));
}

TEST_F(ComputeTimesTest, SmallRequestsTeachNothingAboutLargeOnesNorOtherAlgorithms) {
  Learn(PlanOf(10), std::vector<int>(32, 1000));
  EXPECT_EQ(times_.Estimate(PlanOf(1000)), std::nullopt);
  EXPECT_EQ(times_.Estimate(PlanOf(10, "gemm")), std::nullopt);
  EXPECT_NE(times_.Estimate(PlanOf(10)), std::nullopt);
}

TEST_F(ComputeTimesTest, FollowsWhatChanges) {
  const Plan plan = PlanOf(100);
  Learn(plan, std::vector<int>(32, 1000));
  Learn(plan, std::vector<int>(32, 10));
  EXPECT_EQ(times_.Estimate(plan), microseconds(10));
}

// Otherwise a server that refuses all of a kind would never learn that it has become faster.
TEST_F(ComputeTimesTest, ForgetsWhatNothingConfirms) {
  const Plan plan = PlanOf(100);
  Learn(plan, std::vector<int>(32, 1'000'000));
  now_ += ComputeTimes::kMemory;
  EXPECT_NE(times_.Estimate(plan), std::nullopt);
  now_ += seconds(1);
  EXPECT_EQ(times_.Estimate(plan), std::nullopt);
}

TEST_F(ComputeTimesTest, AnEmptyProblemIsOfNoKind) {
  ProblemSpec spec;
  spec.input = {DataType::kFloat32, {0, 1, 2, 2}, {}};
  spec.weight = {DataType::kFloat32, {1, 1, 1, 1}, {}};
  const Plan plan = *MakePlan(*MakeProblem(spec));
  Learn(plan, std::vector<int>(32, 1));
  EXPECT_EQ(times_.Estimate(plan), std::nullopt);
}

}  // namespace
}  // namespace convserve
