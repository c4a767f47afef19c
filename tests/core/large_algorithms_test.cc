// Algorithms that take no small problems, or cut large ones, on those that they take.
#include <cstdint>
#include <string>
#include <string_view>

#include "core/convolve.h"
#include "core/planner.h"
#include "gtest/gtest.h"
#include "tbb/task_arena.h"
#include "tests/core/error_bound.h"
#include "tests/core/large_cases.h"
#include "tests/core/layer_case.h"
#include "tests/support/random_spec.h"

namespace convserve {
namespace {

using testing::Difference;
using testing::IntegerOperands;
using testing::LargestError;
using testing::LayerCase;
using testing::Random;
using testing::RandomOperands;
using testing::RealOperands;
using testing::RunAlgorithm;
using testing::RunPacked;
using testing::SameBits;

class LargeAlgorithms : public ::testing::TestWithParam<LayerCase> {
 protected:
  void TearDown() override { ASSERT_TRUE(ForceInstructionSet("").ok()); }

  Random random_{11};
  const ProblemSpec spec_ = GetParam().spec();
  const Problem problem_ = *MakeProblem(spec_);
  const std::string algorithm_ = GetParam().algorithm();
};

TEST_P(LargeAlgorithms, AreChosenAndAgreeWithTheReference) {
  EXPECT_EQ(MakePlan(problem_)->algorithm_name(), algorithm_);
  const RandomOperands operands = IntegerOperands(random_, spec_);
  const std::string difference = Difference(*RunAlgorithm(problem_, operands.view(), "reference"),
                                            *RunAlgorithm(problem_, operands.view(), algorithm_));
  EXPECT_EQ(difference.empty(), !GetParam().wide_tiles) << difference;
}

TEST_P(LargeAlgorithms, StayWithinTheErrorBound) {
  const int bound = algorithm_ == "direct" ? 6 : 4;  // of kDirectSum products
  EXPECT_LE(LargestError(spec_, RealOperands(random_, spec_), algorithm_), bound);
}

TEST_P(LargeAlgorithms, HaveTheSameBitsOnAnyThreadsAndInstructionSet) {
  const RandomOperands operands = RealOperands(random_, spec_);
  const Tensor expected = *RunAlgorithm(problem_, operands.view(), algorithm_);
  for (const int threads : {1, 3}) {
    tbb::task_arena arena(threads);
    arena.execute([&] {
      EXPECT_TRUE(SameBits(expected, *RunAlgorithm(problem_, operands.view(), algorithm_)));
    });
  }
  for (const std::string_view name : InstructionSets()) {
    ASSERT_TRUE(ForceInstructionSet(name).ok());
    EXPECT_TRUE(SameBits(expected, *RunAlgorithm(problem_, operands.view(), algorithm_))) << name;
  }
}

TEST_P(LargeAlgorithms, KeepInfinitiesAndNansWhereTheyBelong) {
  RandomOperands operands = IntegerOperands(random_, spec_);
  operands.weight.As<float>()[7] = std::numeric_limits<float>::infinity();
  operands.input.As<float>()[operands.input.size() / 2] = std::numeric_limits<float>::quiet_NaN();
  const Tensor expected = *RunAlgorithm(problem_, operands.view(), "reference");
  EXPECT_EQ(Difference(expected, *RunAlgorithm(problem_, operands.view(), algorithm_)), "");
  EXPECT_EQ(Difference(expected, *RunPacked(problem_, operands.view(), algorithm_)), "");
}

TEST_P(LargeAlgorithms, HaveTheSameBitsWithAPackedWeight) {
  const RandomOperands operands = RealOperands(random_, spec_);
  EXPECT_TRUE(SameBits(*RunAlgorithm(problem_, operands.view(), algorithm_),
                       *RunPacked(problem_, operands.view(), algorithm_)));
}

constexpr auto kName = [](const auto& info) { return info.param.name; };
INSTANTIATE_TEST_SUITE_P(Dense, LargeAlgorithms, ::testing::ValuesIn(testing::DenseCases()), kName);
INSTANTIATE_TEST_SUITE_P(SingleChannels, LargeAlgorithms,
                         ::testing::ValuesIn(testing::SingleChannelCases()), kName);
INSTANTIATE_TEST_SUITE_P(ChannelsLast, LargeAlgorithms,
                         ::testing::ValuesIn(testing::ChannelsLastCases()), kName);

}  // namespace
}  // namespace convserve
