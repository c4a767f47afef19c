#include "core/packed_weight.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/convolve.h"
#include "core/planner.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tbb/task_arena.h"
#include "tests/support/random_spec.h"

namespace convserve {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using testing::Random;
using testing::RandomOperands;
using testing::RandomSpec;
using testing::RealOperands;
using testing::RunAlgorithm;
using testing::RunPacked;
using testing::SameBits;
using testing::SpecRange;
using ::testing::StartsWith;

constexpr SpecRange kLarge = {.max_channels = 70, .max_filters = 60, .max_spatial = 30};

class PackedWeightTest : public ::testing::Test {
 protected:
  void TearDown() override { ASSERT_TRUE(ForceInstructionSet("").ok()); }

  static ProblemSpec SpecOf(Shape input, Shape weight) {
    ProblemSpec spec;
    spec.input = {DataType::kFloat32, std::move(input), {}};
    spec.weight = {DataType::kFloat32, std::move(weight), {}};
    return spec;
  }
  static Plan PlanOf(Shape input, Shape weight) {
    return *MakePlan(*MakeProblem(SpecOf(std::move(input), std::move(weight))));
  }

  absl::Status Run(const Plan& plan, const PackedWeight& packed) {
    Tensor input(DataType::kFloat32, plan.problem().input_shape());
    std::memset(input.data(), 0, static_cast<std::size_t>(input.byte_count()));
    std::vector<std::byte> output(static_cast<std::size_t>(plan.problem().output_bytes()));
    return Execute(
        plan, {.input = input.view(), .weight = weight_.view(), .packed_weight = &packed}, output);
  }

  const Plan plan_ = PlanOf({1, 32, 14, 14}, {48, 32, 1, 1});
  const Tensor weight_ = [] {
    Tensor weight(DataType::kFloat32, {48, 32, 1, 1});
    std::memset(weight.data(), 0, static_cast<std::size_t>(weight.byte_count()));
    return weight;
  }();
};

TEST_F(PackedWeightTest, GivesTheSameBitsInEveryAlgorithmAndInstructionSet) {
  Random random(21);
  std::set<std::string_view> packing;
  for (int valid = 0; valid < 60;) {
    const ProblemSpec spec = RandomSpec(random, kLarge);
    const auto problem = MakeProblem(spec);
    if (!problem.ok()) continue;
    ++valid;
    const RandomOperands operands = RealOperands(random, spec);
    for (const std::string_view algorithm : AlgorithmNames()) {
      const auto plan = MakePlan(*problem, algorithm);
      if (!plan.ok()) continue;
      if (PackWeight(*plan, operands.weight.view())->byte_count() == 0) continue;
      packing.insert(algorithm);
      for (const std::string_view name : InstructionSets()) {
        ASSERT_TRUE(ForceInstructionSet(name).ok());
        ASSERT_TRUE(SameBits(*RunAlgorithm(*problem, operands.view(), algorithm),
                             *RunPacked(*problem, operands.view(), algorithm)))
            << plan->ToString() << " on " << name;
      }
    }
  }
  EXPECT_THAT(packing, ::testing::Contains("panels"));
}

TEST_F(PackedWeightTest, ServesItsPlanAndEqualOnes) {
  const auto packed = PackWeight(plan_, weight_.view());
  ASSERT_TRUE(packed.ok()) << packed.status();
  EXPECT_GE(packed->byte_count(), weight_.byte_count());
  EXPECT_TRUE(Run(plan_, *packed).ok());
  EXPECT_TRUE(Run(PlanOf({1, 32, 14, 14}, {48, 32, 1, 1}), *packed).ok());
}

// Tasks are cut by the number of threads, panels are not.
TEST_F(PackedWeightTest, ServesAnyNumberOfThreads) {
  const ProblemSpec pointwise = SpecOf({3, 130, 30, 30}, {301, 130, 1, 1});
  ProblemSpec strided = SpecOf({1, 120, 40, 37}, {250, 120, 3, 3});
  strided.parameters = ConvParameters{.stride = {2, 2}};
  ProblemSpec transposed = SpecOf({1, 64, 32, 32}, {64, 100, 4, 4});
  transposed.parameters = ConvTransposeParameters{.stride = {2, 2}};
  ProblemSpec dilated = SpecOf({1, 100, 33, 33}, {110, 100, 3, 3});
  dilated.parameters = ConvParameters{.dilation = {12, 12}, .padding = {12, 12}};
  for (const ProblemSpec& spec : {pointwise, strided, transposed, dilated}) {
    Random random(5);
    const RandomOperands operands = RealOperands(random, spec);
    const Problem problem = *MakeProblem(spec);
    const auto packed = PackWeight(*MakePlan(problem, "panels"), operands.weight.view());
    ASSERT_TRUE(packed.ok()) << packed.status();
    Operands with_packed = operands.view();
    with_packed.packed_weight = &*packed;
    const Tensor expected = *RunAlgorithm(problem, operands.view(), "panels");
    for (const int threads : {1, 2, 5}) {
      tbb::task_arena(threads).execute([&] {
        EXPECT_TRUE(SameBits(expected, *RunAlgorithm(problem, operands.view(), "panels")))
            << threads << " threads";
        EXPECT_TRUE(SameBits(expected, *RunAlgorithm(problem, with_packed, "panels")))
            << threads << " threads, packed";
      });
    }
  }
}

TEST_F(PackedWeightTest, IsRefusedByOtherPlans) {
  const auto packed = PackWeight(plan_, weight_.view());
  ASSERT_TRUE(packed.ok()) << packed.status();
  const Plan other = PlanOf({1, 32, 14, 15}, {48, 32, 1, 1});
  EXPECT_THAT(ViolationsOf(Run(other, *packed)),
              ElementsAre(AllOf(Field(&FieldViolation::field, "packed_weight"),
                                Field(&FieldViolation::description,
                                      AllOf(StartsWith("expected one packed for panels: conv"),
                                            HasSubstr("[1, 32, 14, 15]"),
                                            HasSubstr("got one for panels: conv"))))));
}

TEST_F(PackedWeightTest, IsRefusedOnAnotherInstructionSet) {
  if (InstructionSets().size() < 2) GTEST_SKIP() << "this machine has one";
  const auto packed = PackWeight(plan_, weight_.view());
  ASSERT_TRUE(packed.ok()) << packed.status();
  const std::string first(InstructionSet());
  ASSERT_TRUE(ForceInstructionSet("portable").ok());
  EXPECT_THAT(ViolationsOf(Run(plan_, *packed)),
              ElementsAre(FieldViolation{
                  "packed_weight", "expected one packed for portable, got one for " + first}));
}

TEST_F(PackedWeightTest, HasTheShapeOfThePlan) {
  const Tensor weight(DataType::kFloat32, {48, 32});
  EXPECT_THAT(ViolationsOf(PackWeight(plan_, weight.view()).status()),
              ElementsAre(FieldViolation{"weight",
                                         "expected float32 [48, 32, 1, 1], got float32 [48, 32]"}));
}

TEST_F(PackedWeightTest, IsEmptyWhereNothingIsWon) {
  const Plan tiny = PlanOf({1, 1, 4}, {1, 1, 2});
  const Tensor weight(DataType::kFloat32, {1, 1, 2});
  EXPECT_EQ(PackWeight(tiny, weight.view())->byte_count(), 0);
  const Plan empty = PlanOf({0, 32, 14, 14}, {48, 32, 1, 1});
  const auto packed = PackWeight(empty, weight_.view());
  EXPECT_EQ(packed->byte_count(), 0);
  EXPECT_TRUE(Run(empty, *packed).ok());
}

}  // namespace
}  // namespace convserve
