// Every algorithm and every instruction set against the specification, and against itself.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "core/convolve.h"
#include "core/planner.h"
#include "gtest/gtest.h"
#include "tbb/task_arena.h"
#include "tests/core/error_bound.h"
#include "tests/support/random_spec.h"

namespace convserve {
namespace {

using testing::Difference;
using testing::ExactSums;
using testing::IntegerOperands;
using testing::Random;
using testing::RandomOperands;
using testing::RandomSpec;
using testing::RealOperands;
using testing::RunAlgorithm;
using testing::SameBits;
using testing::SpecRange;

// Large enough to cut tiles, panels and depth blocks at every place.
constexpr SpecRange kLarge = {.max_channels = 70, .max_filters = 40, .max_spatial = 24};

// Runs every algorithm but the reference that accepts the problem against it.
void ExpectAllAgree(const ProblemSpec& spec, const RandomOperands& operands) {
  const auto problem = MakeProblem(spec);
  ASSERT_TRUE(problem.ok()) << problem.status();
  const auto expected = RunAlgorithm(*problem, operands.view(), "reference");
  ASSERT_TRUE(expected.ok()) << expected.status();
  for (const std::string_view algorithm : AlgorithmNames()) {
    const auto actual = RunAlgorithm(*problem, operands.view(), algorithm);
    if (absl::IsFailedPrecondition(actual.status())) continue;
    ASSERT_TRUE(actual.ok()) << actual.status();
    ASSERT_EQ(Difference(*expected, *actual), "") << algorithm << ": " << problem->ToString();
  }
}

TEST(Algorithms, AgreeWithTheReferenceOnSmallProblems) {
  Random random(1);
  int valid = 0;
  while (valid < 4000) {
    const ProblemSpec spec = RandomSpec(random);
    if (!MakeProblem(spec).ok()) continue;
    ++valid;
    ASSERT_NO_FATAL_FAILURE(ExpectAllAgree(spec, IntegerOperands(random, spec)));
  }
}

TEST(Algorithms, AgreeWithTheReferenceOnLargeProblems) {
  Random random(2);
  int valid = 0;
  while (valid < 150) {
    const ProblemSpec spec = RandomSpec(random, kLarge);
    const auto problem = MakeProblem(spec);
    if (!problem.ok() || problem->multiply_adds() > 3'000'000) continue;
    ++valid;
    ASSERT_NO_FATAL_FAILURE(ExpectAllAgree(spec, IntegerOperands(random, spec)));
  }
}

TEST(Algorithms, AgreeWithTheReferenceInEveryType) {
  constexpr DataType kOperands[][3] = {
      {DataType::kFloat32, DataType::kFloat32, DataType::kFloat32},
      {DataType::kFloat64, DataType::kFloat64, DataType::kFloat64},
      {DataType::kFloat16, DataType::kFloat16, DataType::kFloat16},
      {DataType::kBFloat16, DataType::kBFloat16, DataType::kBFloat16},
      {DataType::kInt8, DataType::kInt8, DataType::kInt32},
      {DataType::kUInt8, DataType::kInt8, DataType::kInt8},
      {DataType::kInt8, DataType::kUInt8, DataType::kUInt8},
      {DataType::kUInt8, DataType::kUInt8, DataType::kInt32},
      {DataType::kUInt8, DataType::kFloat32, DataType::kFloat32},
  };
  Random random(3);
  for (const auto& [input, weight, bias] : kOperands) {
    for (int output = 0; output <= 7; ++output) {
      for (int valid = 0; valid < 25;) {
        ProblemSpec spec = RandomSpec(random);
        spec.input.data_type = input;
        spec.weight.data_type = weight;
        if (spec.bias) spec.bias->data_type = bias;
        spec.output_type = static_cast<DataType>(output);
        if (!MakeProblem(spec).ok()) continue;
        ++valid;
        ASSERT_NO_FATAL_FAILURE(ExpectAllAgree(spec, IntegerOperands(random, spec)));
      }
    }
  }
}

TEST(Algorithms, SumIntegersExactlyPastTheRangeOfFloat) {
  ProblemSpec spec;
  spec.input = {DataType::kUInt8, {1, 40000, 1}, {}};
  spec.weight = {DataType::kUInt8, {1, 40000, 1}, {}};
  RandomOperands operands;
  operands.input = Tensor(DataType::kUInt8, spec.input.shape);
  operands.weight = Tensor(DataType::kUInt8, spec.weight.shape);
  std::fill_n(operands.input.As<std::uint8_t>(), 40000, std::uint8_t{255});
  std::fill_n(operands.weight.As<std::uint8_t>(), 40000, std::uint8_t{255});
  spec.output_type = DataType::kFloat64;
  for (const std::string_view algorithm : {"gemm", "reference"}) {
    const auto sum = RunAlgorithm(*MakeProblem(spec), operands.view(), algorithm);
    ASSERT_TRUE(sum.ok()) << sum.status();
    EXPECT_EQ(*sum->As<double>(), 255.0 * 255 * 40000) << algorithm;
  }
  spec.output_type = DataType::kUnspecified;
  for (const std::string_view algorithm : {"gemm", "reference"}) {
    const auto sum = RunAlgorithm(*MakeProblem(spec), operands.view(), algorithm);
    EXPECT_EQ(*sum->As<std::int32_t>(), std::numeric_limits<std::int32_t>::max()) << algorithm;
  }
}

// An Inf or NaN in a weight must not leak through padding, nor one in the data be lost.
TEST(Algorithms, KeepInfinitiesAndNansWhereTheyBelong) {
  Random random(4);
  constexpr float kSpecial[] = {std::numeric_limits<float>::infinity(),
                                -std::numeric_limits<float>::infinity(),
                                std::numeric_limits<float>::quiet_NaN()};
  for (int valid = 0; valid < 1500;) {
    const ProblemSpec spec = RandomSpec(random);
    if (!MakeProblem(spec).ok()) continue;
    ++valid;
    RandomOperands operands = IntegerOperands(random, spec);
    operands.weight.As<float>()[random.Between(0, operands.weight.size() - 1)] =
        kSpecial[random.Between(0, 2)];
    if (random.OneIn(2)) {
      operands.input.As<float>()[random.Between(0, operands.input.size() - 1)] =
          kSpecial[random.Between(0, 2)];
    }
    ASSERT_NO_FATAL_FAILURE(ExpectAllAgree(spec, operands));
  }
}

// |y - exact| <= c * eps * sum |x||w| with c = 4: the products are fused, the sums of blocks short.
TEST(Algorithms, StayWithinTheErrorBound) {
  Random random(5);
  for (int valid = 0; valid < 60;) {
    ProblemSpec spec = RandomSpec(random, kLarge);
    const auto problem = MakeProblem(spec);
    if (!problem.ok() || problem->multiply_adds() > 1'000'000) continue;
    ++valid;
    const RandomOperands operands = RealOperands(random, spec);
    const ExactSums sums(spec, operands, "reference");
    for (const std::string_view algorithm : AlgorithmNames()) {
      if (algorithm == "reference") continue;
      const auto actual = RunAlgorithm(*problem, operands.view(), algorithm);
      if (!actual.ok()) continue;
      ASSERT_LE(sums.LargestError(*actual), 4) << algorithm << ": " << problem->ToString();
    }
  }
}

class SameBitsTest : public ::testing::Test {
 protected:
  void TearDown() override { ASSERT_TRUE(ForceInstructionSet("").ok()); }

  // Calls body(problem, operands, algorithm) for random problems and each algorithm that accepts
  // them.
  template <typename Body>
  static void ForEach(std::uint32_t seed, const SpecRange& range, int count, Body body) {
    Random random(seed);
    for (int valid = 0; valid < count;) {
      const ProblemSpec spec = RandomSpec(random, range);
      const auto problem = MakeProblem(spec);
      if (!problem.ok() || problem->multiply_adds() > 3'000'000) continue;
      ++valid;
      const RandomOperands operands = RealOperands(random, spec);
      for (const std::string_view algorithm : AlgorithmNames()) {
        if (algorithm == "reference" || !MakePlan(*problem, algorithm).ok()) continue;
        body(spec, *problem, operands, algorithm);
        if (HasFatalFailure()) return;
      }
    }
  }
};

TEST_F(SameBitsTest, OnAnyNumberOfThreads) {
  ForEach(6, kLarge, 80,
          [](const ProblemSpec&, const Problem& problem, const RandomOperands& operands,
             std::string_view algorithm) {
            std::vector<Tensor> outputs;
            for (const int threads : {1, 2, 3, 8}) {
              tbb::task_arena arena(threads);
              arena.execute(
                  [&] { outputs.push_back(*RunAlgorithm(problem, operands.view(), algorithm)); });
            }
            for (const Tensor& output : outputs) {
              ASSERT_TRUE(SameBits(outputs.front(), output))
                  << algorithm << ": " << problem.ToString();
            }
          });
}

TEST_F(SameBitsTest, OnEveryInstructionSet) {
  ASSERT_GE(InstructionSets().size(), 1U);
  ForEach(7, kLarge, 60,
          [](const ProblemSpec&, const Problem& problem, const RandomOperands& operands,
             std::string_view algorithm) {
            std::vector<Tensor> outputs;
            for (const std::string_view name : InstructionSets()) {
              ASSERT_TRUE(ForceInstructionSet(name).ok());
              ASSERT_EQ(InstructionSet(), name);
              outputs.push_back(*RunAlgorithm(problem, operands.view(), algorithm));
            }
            for (const Tensor& output : outputs) {
              ASSERT_TRUE(SameBits(outputs.front(), output))
                  << algorithm << ": " << problem.ToString();
            }
          });
}

TEST_F(SameBitsTest, AloneOrInABatch) {
  ForEach(8, {.max_channels = 40, .max_spatial = 20}, 150,
          [](const ProblemSpec& spec, const Problem& problem, const RandomOperands& operands,
             std::string_view algorithm) {
            if (spec.input.shape.size() != spec.weight.shape.size()) return;  // unbatched
            const Tensor together = *RunAlgorithm(problem, operands.view(), algorithm);
            ProblemSpec alone = spec;
            alone.input.shape[0] = 1;
            const auto one = MakeProblem(alone);
            ASSERT_TRUE(one.ok());
            for (std::int64_t n = 0; n < problem.batch(); ++n) {
              Operands row = operands.view();
              row.input.shape[0] = 1;
              row.input.data += n * one->input_bytes();
              const Tensor single = *RunAlgorithm(*one, row, algorithm);
              ASSERT_TRUE(std::equal(single.data(), single.data() + single.byte_count(),
                                     together.data() + n * one->output_bytes()))
                  << algorithm << ": " << problem.ToString();
            }
          });
}

TEST_F(SameBitsTest, AnUnknownInstructionSetIsRefusedByName) {
  const absl::Status status = ForceInstructionSet("avx1024");
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_NE(status.message().find("portable"), std::string::npos) << status;
}

}  // namespace
}  // namespace convserve
