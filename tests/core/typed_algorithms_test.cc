// Problems that are not small, in types other than float32: against the specification, and the same
// bits however they are computed.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <limits>
#include <span>
#include <string_view>
#include <vector>

#include "core/algorithms/narrow_phase.h"
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

// The problem with tensors of these types.
ProblemSpec Typed(ProblemSpec spec, const Types& types) {
  spec.input.data_type = types.input;
  spec.weight.data_type = types.weight;
  if (spec.bias) spec.bias->data_type = types.bias;
  return spec;
}

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
    for (const Types& of_tensors : types) {
      for (int output = 0; output <= 7; ++output) {
        for (int valid = 0; valid < count;) {
          ProblemSpec spec = Typed(RandomSpec(random_, range), of_tensors);
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

// Numbers whose products the instruction for pairs would take for zero, and those that are not
// finite.
TEST_F(TypedAlgorithms, PairsOfAnyNumbersHaveTheSameBitsEverywhere) {
  constexpr Types kPairs[] = {{DataType::kBFloat16, DataType::kBFloat16, DataType::kBFloat16}};
  constexpr std::uint16_t kSpecial[] = {0x7f80, 0xff80, 0x7fc0};
  // 1, 2^-56, 2^-57, 2^-70, 2^-90 and what is below 2^-126.
  constexpr std::uint16_t kTiny[] = {0x3f80, 0x2380, 0x2300, 0x1c80, 0x1280, 0x8080, 0x007f};
  ForEach(kPairs, kLarge, 12, [&](const ProblemSpec& spec, const Problem& problem) {
    const auto strew = [&](Tensor& tensor, std::span<const std::uint16_t> values,
                           std::int64_t count) {
      for (std::int64_t i = 0; i < count; ++i) {
        const auto value = static_cast<std::size_t>(
            random_.Between(0, static_cast<std::int64_t>(values.size()) - 1));
        tensor.As<BFloat16>()[random_.Between(0, tensor.size() - 1)].bits = values[value];
      }
    };
    RandomOperands operands = IntegerOperands(random_, spec);
    strew(operands.input, kSpecial, 1 + operands.input.size() / 50);
    strew(operands.weight, kSpecial, 1 + operands.weight.size() / 50);
    ASSERT_NO_FATAL_FAILURE(ExpectAgreement(problem, operands.view()));
    // Few in the input, so that most tiles have none; weights that are small, but not too small.
    for (Tensor* tensor : {&operands.input, &operands.weight}) {
      std::fill_n(tensor->As<BFloat16>(), tensor->size(), BFloat16{});
    }
    strew(operands.input, kTiny, random_.Between(1, 4));
    strew(operands.weight, std::span(kTiny).first(random_.OneIn(4) ? 7 : 2),
          1 + operands.weight.size());
    const Tensor expected = *RunAlgorithm(problem, operands.view(), "gemm");
    for (const std::string_view set : InstructionSets()) {
      ASSERT_TRUE(ForceInstructionSet(set).ok());
      ASSERT_TRUE(SameBits(expected, *RunAlgorithm(problem, operands.view(), "gemm")))
          << set << ": " << problem.ToString();
    }
    ASSERT_TRUE(ForceInstructionSet("").ok());
  });
}

// The rows that reflected padding begins and ends with are not the first and the last of those
// read.
TEST_F(TypedAlgorithms, PairsOfTinyNumbersBesideReflectedPadding) {
  for (const TensorLayout layout : {TensorLayout::kChannelsFirst, TensorLayout::kChannelsLast}) {
    const bool last = layout == TensorLayout::kChannelsLast;
    ProblemSpec spec;
    spec.input = {DataType::kBFloat16, last ? Shape{1, 6, 6, 8} : Shape{1, 8, 6, 6}, {}};
    spec.weight = {DataType::kBFloat16, {8, 8, 3, 3}, {}};
    spec.output_type = DataType::kFloat32;
    spec.parameters = ConvParameters{
        .padding = {1}, .padding_mode = PaddingMode::kReflect, .tensor_layout = layout};
    const auto problem = MakeProblem(spec);
    ASSERT_TRUE(problem.ok()) << problem.status();
    Tensor input(DataType::kBFloat16, spec.input.shape);
    Tensor weight(DataType::kBFloat16, spec.weight.shape);
    std::fill_n(input.As<BFloat16>(), input.size(), BFloat16{});
    std::fill_n(input.As<BFloat16>(), 6, ToBFloat16(std::ldexp(1.0F, -90)));
    std::fill_n(weight.As<BFloat16>(), weight.size(), ToBFloat16(std::ldexp(1.0F, -50)));
    for (const std::string_view set : InstructionSets()) {
      ASSERT_TRUE(ForceInstructionSet(set).ok());
      const Tensor output = *RunAlgorithm(*problem, {input.view(), weight.view(), {}}, "gemm");
      // Three columns of one channel, or one position of six channels.
      EXPECT_EQ(output.As<float>()[0], std::ldexp(last ? 6.0F : 3.0F, -140)) << set;
    }
  }
}

// Where taps reach so far beside the input that outputs are cut by the taps that they meet.
TEST_F(TypedAlgorithms, NarrowNumbersFarApartAgreeWithTheReference) {
  const LayerCase layers[] = {
      {.name = "two axes",
       .input = {2, 12, 40, 41},
       .filters = 6,
       .kernel = {3, 3},
       .padding = {24},
       .dilation = {24}},
      {.name = "one axis, two groups",
       .input = {1, 16, 2000},
       .filters = 12,
       .kernel = {5},
       .padding = {1800},
       .dilation = {900},
       .groups = 2},
      {.name = "stride, channels last",
       .input = {1, 12, 90, 70},
       .filters = 9,
       .kernel = {3, 3},
       .padding = {40},
       .stride = {2},
       .dilation = {40},
       .channels_last = true},
  };
  std::vector<Types> narrow(std::begin(kBytes), std::end(kBytes));
  narrow.push_back({DataType::kBFloat16, DataType::kBFloat16, DataType::kBFloat16});
  for (const LayerCase& layer : layers) {
    for (const Types& types : narrow) {
      const ProblemSpec spec = Typed(layer.spec(), types);
      const Problem problem = *MakeProblem(spec);
      SCOPED_TRACE(layer.name);
      EXPECT_FALSE(NarrowOutputsApart(problem, Geometry::Joined(problem)).empty());
      EXPECT_EQ(MakePlan(problem)->algorithm_name(), "gemm");
      const RandomOperands operands = types.input == DataType::kBFloat16
                                          ? IntegerOperands(random_, spec)
                                          : ByteOperands(random_, spec);
      ASSERT_NO_FATAL_FAILURE(ExpectAgreement(problem, operands.view()));
    }
  }
}

TEST_F(TypedAlgorithms, OtherFloatsTakeWhatIsForFloat32Alone) {
  const LayerCase layers[] = {
      {.name = "3x3", .input = {2, 24, 12, 12}, .filters = 32, .kernel = {3, 3}, .padding = {1}},
      {.name = "1x1", .input = {1, 128, 9, 11}, .filters = 160, .kernel = {1, 1}, .bias = false},
      {.name = "stride", .input = {1, 24, 16, 17}, .filters = 40, .kernel = {5, 5}, .stride = {2}},
      {.name = "last",
       .input = {1, 32, 28, 28},
       .filters = 48,
       .kernel = {3, 5},
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
    for (const Types& types : kFloats) {
      for (const DataType output : {DataType::kUnspecified, DataType::kUInt8}) {
        ProblemSpec spec = Typed(layer.spec(), types);
        spec.output_type = output;
        const Problem problem = *MakeProblem(spec);
        // What is not for Winograd is faster by pairs of bfloat16.
        const bool pairs = types.input == DataType::kBFloat16 && layer.name != "3x3";
        EXPECT_EQ(MakePlan(problem)->algorithm_name(), pairs ? "gemm" : "converted") << layer.name;
        ASSERT_NO_FATAL_FAILURE(ExpectAgreement(problem, IntegerOperands(random_, spec).view()));
      }
    }
  }
}

// Of batches that are more than is converted at a time.
TEST_F(TypedAlgorithms, ConvertedBatchesHaveTheBitsOfTheirElements) {
  const LayerCase layers[] = {
      {.name = "depthwise",
       .input = {5, 64, 72, 72},
       .filters = 64,
       .kernel = {3, 3},
       .groups = 64},
      {.name = "dense", .input = {13, 16, 200, 200}, .filters = 16, .kernel = {3, 3}},
  };
  for (const LayerCase& layer : layers) {
    ProblemSpec spec =
        Typed(layer.spec(), {DataType::kFloat16, DataType::kFloat16, DataType::kFloat16});
    const Problem problem = *MakeProblem(spec);
    const RandomOperands operands = RealOperands(random_, spec);
    const absl::StatusOr<Plan> plan = MakePlan(problem);
    EXPECT_EQ(plan->algorithm_name(), "converted") << layer.name;
    EXPECT_LT(plan->workspace_bytes(), std::int64_t{80} << 20) << layer.name;
    const Tensor all = *RunAlgorithm(problem, operands.view());
    spec.input.shape[0] = 1;
    const Problem one = *MakeProblem(spec);
    Operands of_one = operands.view();
    of_one.input.shape[0] = 1;
    for (std::int64_t n = 0; n < problem.batch(); ++n) {
      const Tensor row = *RunAlgorithm(one, of_one);
      EXPECT_TRUE(
          std::equal(row.data(), row.data() + row.byte_count(), all.data() + n * row.byte_count()))
          << layer.name << ", element " << n;
      of_one.input.data += one.input_bytes();
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
