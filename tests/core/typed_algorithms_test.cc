// Problems that are not small, in types other than float32: against the specification, and the same
// bits however they are computed.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <vector>

#include "core/convolve.h"
#include "core/planner.h"
#include "gtest/gtest.h"
#include "tbb/task_arena.h"
#include "tests/core/layer_case.h"
#include "tests/support/random_spec.h"

namespace convserve {
namespace {

using testing::Difference;
using testing::IntegerOperands;
using testing::LayerCase;
using testing::MakeOperands;
using testing::Random;
using testing::RandomIntegers;
using testing::RandomOperands;
using testing::RandomSpec;
using testing::RealOperands;
using testing::RunAlgorithm;
using testing::SameBits;
using testing::SpecRange;

// Large enough to cut tiles, quads and depth blocks at every place.
constexpr SpecRange kLarge = {.max_channels = 150, .max_filters = 40, .max_spatial = 24};
constexpr SpecRange kFewFilters = {
    .max_groups = 20, .max_channels = 3, .max_filters = 2, .max_spatial = 70, .max_kernel = 7};

constexpr std::string_view kAlgorithms[] = {"direct", "converted", "gemm"};

struct Types {
  DataType input, weight, bias;
};
constexpr Types kBytes[] = {
    {DataType::kInt8, DataType::kInt8, DataType::kInt32},
    {DataType::kUInt8, DataType::kInt8, DataType::kInt32},
    {DataType::kInt8, DataType::kUInt8, DataType::kInt8},
    {DataType::kUInt8, DataType::kUInt8, DataType::kUInt8},
};
constexpr Types kFloats[] = {
    {DataType::kFloat16, DataType::kFloat16, DataType::kFloat16},
    {DataType::kBFloat16, DataType::kBFloat16, DataType::kBFloat16},
    {DataType::kUInt8, DataType::kFloat32, DataType::kFloat32},
};

// Every value of a byte; of wider types, a few that do not fit a float, and now and then the last.
RandomOperands ByteOperands(Random& random, const ProblemSpec& spec) {
  return MakeOperands(random, spec, [](Random& r, DataType type, const Shape& shape) {
    if (type != DataType::kInt32) return RandomIntegers(r, type, shape, 255);
    const std::int64_t most = std::numeric_limits<std::int32_t>::max();
    return RandomIntegers(r, type, shape, r.OneIn(4) ? most : r.OneIn(2) ? 1 << 25 : 1000);
  });
}

class TypedAlgorithms : public ::testing::Test {
 protected:
  void TearDown() override { ASSERT_TRUE(ForceInstructionSet("").ok()); }

  // Calls body(spec, problem) for `count` random problems of each of `types` and each output type.
  template <typename Body>
  void ForEach(std::span<const Types> types, const SpecRange& range, int count, Body body) {
    for (const auto& [input, weight, bias] : types) {
      for (int output = 0; output <= 7; ++output) {
        for (int valid = 0; valid < count;) {
          ProblemSpec spec = RandomSpec(random_, range);
          spec.input.data_type = input;
          spec.weight.data_type = weight;
          if (spec.bias) spec.bias->data_type = bias;
          spec.output_type = static_cast<DataType>(output);
          const auto problem = MakeProblem(spec);
          if (!problem.ok() || problem->multiply_adds() > 1'000'000) continue;
          ++valid;
          body(spec, *problem);
          if (HasFatalFailure()) return;
        }
      }
    }
  }

  void ExpectAgreement(const Problem& problem, const Operands& operands) {
    const Tensor expected = *RunAlgorithm(problem, operands, "reference");
    for (const std::string_view set : InstructionSets()) {
      ASSERT_TRUE(ForceInstructionSet(set).ok());
      for (const std::string_view algorithm : kAlgorithms) {
        const auto actual = RunAlgorithm(problem, operands, algorithm);
        if (absl::IsFailedPrecondition(actual.status())) continue;
        ASSERT_EQ(Difference(expected, *actual), "")
            << algorithm << " on " << set << ": " << problem.ToString();
      }
    }
  }

  Random random_{21};
};

TEST_F(TypedAlgorithms, BytesAgreeWithTheReference) {
  const auto agree = [this](const ProblemSpec& spec, const Problem& problem) {
    ExpectAgreement(problem, ByteOperands(random_, spec).view());
  };
  ForEach(kBytes, kLarge, 6, agree);
  ForEach(kBytes, kFewFilters, 4, agree);
}

TEST_F(TypedAlgorithms, FloatsAgreeWithTheReference) {
  const auto agree = [this](const ProblemSpec& spec, const Problem& problem) {
    ExpectAgreement(problem, IntegerOperands(random_, spec).view());
  };
  ForEach(kFloats, kLarge, 4, agree);
  ForEach(kFloats, kFewFilters, 4, agree);
}

TEST_F(TypedAlgorithms, HaveTheSameBitsOnAnyThreadsAndInstructionSet) {
  ForEach(kFloats, kLarge, 3, [this](const ProblemSpec& spec, const Problem& problem) {
    const RandomOperands operands = RealOperands(random_, spec);
    for (const std::string_view algorithm : kAlgorithms) {
      std::vector<Tensor> outputs;
      for (const std::string_view set : InstructionSets()) {
        ASSERT_TRUE(ForceInstructionSet(set).ok());
        for (const int threads : {1, 3}) {
          tbb::task_arena(threads).execute([&] {
            auto output = RunAlgorithm(problem, operands.view(), algorithm);
            if (output.ok()) outputs.push_back(*std::move(output));
          });
        }
      }
      for (const Tensor& output : outputs) {
        ASSERT_TRUE(SameBits(outputs.front(), output)) << algorithm << ": " << problem.ToString();
      }
    }
  });
}

// Numbers that the instruction for pairs would take for zero, and those that are not finite.
TEST_F(TypedAlgorithms, PairsOfAnyNumbersHaveTheSameBitsEverywhere) {
  constexpr Types kPairs[] = {{DataType::kBFloat16, DataType::kBFloat16, DataType::kBFloat16}};
  constexpr std::uint16_t kTiny[] = {0x0001, 0x007f, 0x8080, 0x0400, 0x2340, 0x0000};
  constexpr std::uint16_t kSpecial[] = {0x7f80, 0xff80, 0x7fc0};
  ForEach(kPairs, kLarge, 6, [&](const ProblemSpec& spec, const Problem& problem) {
    RandomOperands operands = IntegerOperands(random_, spec);
    const auto strew = [&](Tensor& tensor, std::span<const std::uint16_t> values) {
      for (std::int64_t i = 0; i < 1 + tensor.size() / 50; ++i) {
        const auto value = static_cast<std::size_t>(
            random_.Between(0, static_cast<std::int64_t>(values.size()) - 1));
        tensor.As<BFloat16>()[random_.Between(0, tensor.size() - 1)].bits = values[value];
      }
    };
    strew(operands.input, kSpecial);
    strew(operands.weight, kSpecial);
    ASSERT_NO_FATAL_FAILURE(ExpectAgreement(problem, operands.view()));
    operands = RealOperands(random_, spec);
    strew(operands.input, kTiny);
    strew(operands.weight, kTiny);
    const Tensor expected = *RunAlgorithm(problem, operands.view(), "gemm");
    for (const std::string_view set : InstructionSets()) {
      ASSERT_TRUE(ForceInstructionSet(set).ok());
      ASSERT_TRUE(SameBits(expected, *RunAlgorithm(problem, operands.view(), "gemm")))
          << set << ": " << problem.ToString();
    }
    ASSERT_TRUE(ForceInstructionSet("").ok());
  });
}

TEST_F(TypedAlgorithms, OtherFloatsTakeWhatIsForFloat32Alone) {
  const LayerCase layers[] = {
      {.name = "3x3", .input = {2, 24, 12, 12}, .filters = 32, .kernel = {3, 3}, .padding = {1}},
      {.name = "1x1", .input = {1, 128, 9, 11}, .filters = 160, .kernel = {1, 1}, .bias = false},
      {.name = "stride", .input = {1, 24, 16, 17}, .filters = 40, .kernel = {5, 5}, .stride = {2}},
      {.name = "last",
       .input = {1, 32, 18, 18},
       .filters = 48,
       .kernel = {3, 3},
       .channels_last = true},
      {.name = "transposed",
       .input = {1, 32, 8, 8},
       .filters = 32,
       .kernel = {4, 4},
       .padding = {1},
       .stride = {2},
       .transposed = true},
  };
  for (const LayerCase& layer : layers) {
    for (const auto& [input, weight, bias] : kFloats) {
      for (const DataType output : {DataType::kUnspecified, DataType::kUInt8}) {
        ProblemSpec spec = layer.spec();
        spec.input.data_type = input;
        spec.weight.data_type = weight;
        if (spec.bias) spec.bias->data_type = bias;
        spec.output_type = output;
        const Problem problem = *MakeProblem(spec);
        // What is not for Winograd is faster by pairs of bfloat16.
        const bool pairs = input == DataType::kBFloat16 && layer.name != "3x3";
        EXPECT_EQ(MakePlan(problem)->algorithm_name(), pairs ? "gemm" : "converted") << layer.name;
        ASSERT_NO_FATAL_FAILURE(ExpectAgreement(problem, IntegerOperands(random_, spec).view()));
      }
    }
  }
}

// Sums that 32 bits do not hold, and biases that a sum leaves them with.
TEST_F(TypedAlgorithms, SumsOfBytesSaturateInTheEnd) {
  constexpr std::int32_t kMost = std::numeric_limits<std::int32_t>::max();
  for (const bool negative : {false, true}) {
    ProblemSpec spec;
    spec.input = {DataType::kUInt8, {1, 20, 6}, {}};
    spec.weight = {DataType::kInt8, {4, 20, 3}, {}};
    spec.bias = TensorSpec{DataType::kInt32, {4}, {}};
    Tensor input(DataType::kUInt8, spec.input.shape);
    Tensor weight(DataType::kInt8, spec.weight.shape);
    std::fill_n(input.As<std::uint8_t>(), input.size(), std::uint8_t{200});
    std::fill_n(weight.As<std::int8_t>(), weight.size(),
                static_cast<std::int8_t>(negative ? -100 : 100));
    const std::int32_t sum = (negative ? -1 : 1) * 200 * 100 * 60;
    const std::vector<std::int32_t> bias = {0, kMost, -kMost - 1, -sum};
    const Tensor biases = Tensor::Of<std::int32_t>({4}, bias);
    const std::int32_t expected[] = {sum, negative ? kMost + sum : kMost,
                                     negative ? -kMost - 1 : -kMost - 1 + sum, 0};
    const auto problem = MakeProblem(spec);
    ASSERT_TRUE(problem.ok()) << problem.status();
    const Tensor output =
        *RunAlgorithm(*problem, {input.view(), weight.view(), biases.view()}, "gemm");
    for (std::int64_t i = 0; i < output.size(); ++i) {
      EXPECT_EQ(output.As<std::int32_t>()[i], expected[i / 4]) << i;
    }
  }
}

}  // namespace
}  // namespace convserve
