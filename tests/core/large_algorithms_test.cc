// Algorithms that take no small problems, or cut large ones, on those that they take.
#include <cmath>
#include <cstdint>
#include <string>
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
using testing::Random;
using testing::RandomOperands;
using testing::RealOperands;
using testing::RunAlgorithm;
using testing::RunPacked;
using testing::SameBits;

const std::vector<LayerCase>& Cases() {
  static const std::vector<LayerCase> cases = {
      {"even", {1, 32, 28, 28}, 32, {3, 3}, {1}},
      {"odd_sizes_and_a_batch", {3, 32, 27, 25}, 40, {3, 3}, {1}},
      {.name = "no_padding_no_bias",
       .input = {1, 24, 33, 30},
       .filters = 50,
       .kernel = {3, 3},
       .bias = false},
      {"wide_padding", {1, 32, 26, 30}, 32, {3, 3}, {2}},
      {"reflect", {2, 32, 24, 24}, 32, {3, 3}, {1}, {}, {}, PaddingMode::kReflect},
      {"circular", {1, 32, 24, 24}, 32, {3, 3}, {1}, {}, {}, PaddingMode::kCircular},
      {"several_tiles_a_row", {1, 16, 12, 300}, 64, {3, 3}, {1}},
      {"more_channels_than_a_depth_block", {1, 300, 20, 20}, 64, {3, 3}, {1}},
      {"many_filters", {1, 32, 20, 20}, 200, {3, 3}, {1}},
      {"three_planes", {1, 16, 6, 24, 24}, 32, {3, 3, 3}, {1, 1, 1}},
      {.name = "last_1x1",
       .input = {2, 40, 13, 17},
       .filters = 30,
       .kernel = {1, 1},
       .channels_last = true},
      {.name = "last_3x3_no_bias",
       .input = {2, 20, 14, 15},
       .filters = 33,
       .kernel = {3, 3},
       .padding = {1},
       .bias = false,
       .channels_last = true},
      {.name = "last_strides_and_wide_padding",
       .input = {1, 16, 40, 50},
       .filters = 24,
       .kernel = {5, 4},
       .padding = {6, 3},
       .stride = {2, 3},
       .channels_last = true},
      {.name = "last_dilated",
       .input = {1, 40, 20, 22},
       .filters = 20,
       .kernel = {3, 3},
       .padding = {4},
       .dilation = {2, 4},
       .channels_last = true},
      {.name = "last_deep",
       .input = {1, 300, 12, 13},
       .filters = 100,
       .kernel = {3, 3},
       .padding = {1},
       .channels_last = true},
      {.name = "last_one_axis",
       .input = {2, 16, 500},
       .filters = 16,
       .kernel = {9},
       .padding = {4},
       .channels_last = true},
      {.name = "last_three_axes",
       .input = {1, 16, 6, 9, 8},
       .filters = 18,
       .kernel = {3, 2, 3},
       .padding = {1, 1, 1},
       .channels_last = true},
      {.name = "panels_1x1",
       .input = {1, 300, 37, 41},
       .filters = 250,
       .kernel = {1, 1},
       .chosen = "panels"},
      {.name = "panels_1x1_of_small_images",
       .input = {9, 280, 7, 7},
       .filters = 50,
       .kernel = {1, 1},
       .chosen = "panels"},
      {.name = "panels_few_columns",
       .input = {1, 90, 7, 7},
       .filters = 130,
       .kernel = {3, 3},
       .padding = {1},
       .stride = {2},
       .chosen = "panels"},
      {.name = "panels_strides_and_wide_padding",
       .input = {2, 40, 30, 50},
       .filters = 26,
       .kernel = {5, 4},
       .padding = {6, 3},
       .stride = {2, 3},
       .bias = false,
       .chosen = "panels"},
      {.name = "panels_reflect_in_groups",
       .input = {2, 60, 20, 33},
       .filters = 80,
       .kernel = {3, 3},
       .padding = {2},
       .mode = PaddingMode::kReflect,
       .groups = 4,
       .chosen = "panels"},
      {.name = "panels_three_axes",
       .input = {2, 20, 6, 9, 8},
       .filters = 18,
       .kernel = {3, 2, 3},
       .padding = {1, 1, 1},
       .stride = {2, 1, 2},
       .chosen = "panels"},
      {.name = "panels_long_row",
       .input = {1, 20, 3000},
       .filters = 40,
       .kernel = {9},
       .padding = {4},
       .dilation = {3},
       .chosen = "panels"},
      {.name = "panels_transposed_2x2",
       .input = {2, 300, 9, 13},
       .filters = 30,
       .kernel = {2, 2},
       .stride = {2},
       .transposed = true,
       .chosen = "panels"},
      {.name = "panels_transposed_4x4",
       .input = {1, 150, 8, 8},
       .filters = 64,
       .kernel = {4, 4},
       .padding = {1},
       .stride = {2},
       .transposed = true,
       .chosen = "panels"},
      {.name = "panels_transposed_uneven_phases",
       .input = {2, 70, 11, 9},
       .filters = 26,
       .kernel = {3, 5},
       .padding = {1, 2},
       .stride = {2, 3},
       .transposed = true,
       .groups = 2,
       .chosen = "panels"},
      {.name = "panels_transposed_with_gaps",
       .input = {1, 40, 10, 12},
       .filters = 20,
       .kernel = {2, 2},
       .stride = {3, 4},
       .transposed = true,
       .chosen = "panels"},
      {.name = "panels_transposed_row_of_eight_phases",
       .input = {1, 100, 75},
       .filters = 40,
       .kernel = {16},
       .padding = {4},
       .stride = {8},
       .transposed = true,
       .chosen = "panels"},
      {.name = "panels_transposed_three_axes",
       .input = {1, 64, 5, 6, 7},
       .filters = 24,
       .kernel = {2, 2, 2},
       .stride = {2},
       .transposed = true,
       .chosen = "panels"},
      {.name = "scatter_4x4",
       .input = {2, 128, 32, 32},
       .filters = 3,
       .kernel = {4, 4},
       .padding = {1},
       .stride = {2},
       .transposed = true,
       .chosen = "scatter"},
      {.name = "scatter_9x9_in_tiles",
       .input = {1, 20, 60, 70},
       .filters = 1,
       .kernel = {9, 9},
       .padding = {4},
       .stride = {4},
       .bias = false,
       .transposed = true,
       .chosen = "scatter"},
      {.name = "scatter_gaps_depth_blocks_and_groups",
       .input = {2, 600, 9, 11},
       .filters = 8,
       .kernel = {2, 3},
       .stride = {3, 4},
       .transposed = true,
       .groups = 2,
       .chosen = "scatter"},
      {.name = "depthwise_7x7",
       .input = {2, 40, 7, 7},
       .filters = 40,
       .kernel = {3, 3},
       .padding = {1},
       .groups = 40,
       .chosen = "depthwise"},
      {.name = "depthwise_14x14",
       .input = {1, 33, 14, 14},
       .filters = 33,
       .kernel = {3, 3},
       .padding = {1},
       .bias = false,
       .groups = 33,
       .chosen = "depthwise"},
      {.name = "depthwise_narrow_and_long",
       .input = {2, 5, 400, 2},
       .filters = 5,
       .kernel = {3, 3},
       .padding = {1},
       .groups = 5,
       .chosen = "depthwise"},
      {.name = "depthwise_no_padding",
       .input = {1, 6, 50, 61},
       .filters = 6,
       .kernel = {3, 3},
       .padding = {0},
       .groups = 6,
       .chosen = "depthwise"},
      {.name = "depthwise_wide_padding",
       .input = {1, 4, 30, 35},
       .filters = 4,
       .kernel = {3, 3},
       .padding = {2},
       .groups = 4,
       .chosen = "depthwise"},
      {.name = "depthwise_beyond_the_caches",
       .input = {1, 1, 1400, 1600},
       .filters = 1,
       .kernel = {3, 3},
       .padding = {1},
       .groups = 1,
       .chosen = "depthwise"},
  };
  return cases;
}

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
  EXPECT_EQ(Difference(*RunAlgorithm(problem_, operands.view(), "reference"),
                       *RunAlgorithm(problem_, operands.view(), algorithm_)),
            "");
}

TEST_P(LargeAlgorithms, StayWithinTheErrorBound) {
  const RandomOperands operands = RealOperands(random_, spec_);
  const auto widen = [](const Tensor& from, bool absolute) {
    Tensor to(DataType::kFloat64, from.shape());
    for (std::int64_t i = 0; i < from.size(); ++i) {
      const double value = from.As<float>()[i];
      to.As<double>()[i] = absolute ? std::fabs(value) : value;
    }
    return to;
  };
  ProblemSpec wide = spec_;
  wide.input.data_type = wide.weight.data_type = DataType::kFloat64;
  if (wide.bias) wide.bias->data_type = DataType::kFloat64;
  const Problem wide_problem = *MakeProblem(wide);
  std::vector<Tensor> results;
  for (const bool absolute : {false, true}) {
    RandomOperands wide_operands{
        widen(operands.input, absolute), widen(operands.weight, absolute), {}};
    if (operands.bias) wide_operands.bias = widen(*operands.bias, absolute);
    results.push_back(*RunAlgorithm(wide_problem, wide_operands.view(), "gemm"));
  }
  const Tensor actual = *RunAlgorithm(problem_, operands.view(), algorithm_);
  for (std::int64_t i = 0; i < actual.size(); ++i) {
    ASSERT_LE(std::fabs(actual.As<float>()[i] - results[0].As<double>()[i]),
              4 * 0x1p-24 * results[1].As<double>()[i])
        << "at " << i;
  }
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

INSTANTIATE_TEST_SUITE_P(Shapes, LargeAlgorithms, ::testing::ValuesIn(Cases()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace convserve
