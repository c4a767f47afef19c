// Winograd's algorithm on problems that it takes, and on images that it leaves to others.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "core/convolve.h"
#include "core/planner.h"
#include "gtest/gtest.h"
#include "tbb/task_arena.h"
#include "tests/support/random_spec.h"

namespace convserve {
namespace {

using testing::Difference;
using testing::IntegerOperands;
using testing::Random;
using testing::RandomOperands;
using testing::RealOperands;
using testing::RunAlgorithm;
using testing::SameBits;

struct Case {
  std::string name;
  Shape input;
  std::int64_t filters;
  Shape kernel;
  AxisList padding;
  PaddingMode mode = PaddingMode::kZeros;
  bool bias = true;

  ProblemSpec spec() const {
    ProblemSpec spec;
    spec.input = {DataType::kFloat32, input, {}};
    spec.weight = {DataType::kFloat32, {filters, input[1]}, {}};
    spec.weight.shape.insert(spec.weight.shape.end(), kernel.begin(), kernel.end());
    if (bias) spec.bias = TensorSpec{DataType::kFloat32, {filters}, {}};
    ConvParameters parameters;
    parameters.padding = padding;
    parameters.padding_mode = mode;
    spec.parameters = parameters;
    return spec;
  }
};

std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }

const std::vector<Case>& Cases() {
  static const std::vector<Case> cases = {
      {"even", {1, 32, 28, 28}, 32, {3, 3}, {1}},
      {"odd_sizes_and_a_batch", {3, 32, 27, 25}, 40, {3, 3}, {1}},
      {"no_padding_no_bias", {1, 24, 33, 30}, 50, {3, 3}, {0}, PaddingMode::kZeros, false},
      {"wide_padding", {1, 32, 26, 30}, 32, {3, 3}, {2}},
      {"reflect", {2, 32, 24, 24}, 32, {3, 3}, {1}, PaddingMode::kReflect},
      {"circular", {1, 32, 24, 24}, 32, {3, 3}, {1}, PaddingMode::kCircular},
      {"several_tiles_a_row", {1, 16, 12, 300}, 64, {3, 3}, {1}},
      {"more_channels_than_a_depth_block", {1, 300, 20, 20}, 64, {3, 3}, {1}},
      {"many_filters", {1, 32, 20, 20}, 200, {3, 3}, {1}},
      {"three_planes", {1, 16, 6, 24, 24}, 32, {3, 3, 3}, {1, 1, 1}},
  };
  return cases;
}

class Winograd : public ::testing::TestWithParam<Case> {
 protected:
  void TearDown() override { ASSERT_TRUE(ForceInstructionSet("").ok()); }

  Random random_{11};
  const ProblemSpec spec_ = GetParam().spec();
  const Problem problem_ = *MakeProblem(spec_);
};

TEST_P(Winograd, IsChosenAndAgreesWithTheReference) {
  EXPECT_EQ(MakePlan(problem_)->algorithm_name(), "winograd");
  const RandomOperands operands = IntegerOperands(random_, spec_);
  EXPECT_EQ(Difference(*RunAlgorithm(problem_, operands.view(), "reference"),
                       *RunAlgorithm(problem_, operands.view(), "winograd")),
            "");
}

TEST_P(Winograd, StaysWithinTheErrorBound) {
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
  const Tensor actual = *RunAlgorithm(problem_, operands.view(), "winograd");
  for (std::int64_t i = 0; i < actual.size(); ++i) {
    ASSERT_LE(std::fabs(actual.As<float>()[i] - results[0].As<double>()[i]),
              4 * 0x1p-24 * results[1].As<double>()[i])
        << "at " << i;
  }
}

TEST_P(Winograd, HasTheSameBitsOnAnyThreadsAndInstructionSet) {
  const RandomOperands operands = RealOperands(random_, spec_);
  const Tensor expected = *RunAlgorithm(problem_, operands.view(), "winograd");
  for (const int threads : {1, 3}) {
    tbb::task_arena arena(threads);
    arena.execute([&] {
      EXPECT_TRUE(SameBits(expected, *RunAlgorithm(problem_, operands.view(), "winograd")));
    });
  }
  for (const std::string_view name : InstructionSets()) {
    ASSERT_TRUE(ForceInstructionSet(name).ok());
    EXPECT_TRUE(SameBits(expected, *RunAlgorithm(problem_, operands.view(), "winograd"))) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Winograd, ::testing::ValuesIn(Cases()),
                         [](const auto& info) { return info.param.name; });

// A batch whose second image is spoilt by `spoil`; the others are even.
template <typename Spoil>
void ExpectSecondImageAsByGemm(Spoil spoil) {
  Random random(12);
  const ProblemSpec spec = Case{"", {3, 32, 20, 20}, 32, {3, 3}, {1}}.spec();
  const Problem problem = *MakeProblem(spec);
  RandomOperands operands = RealOperands(random, spec);
  const std::int64_t image = operands.input.size() / 3;
  spoil(operands.input.As<float>() + image, image);
  const Tensor winograd = *RunAlgorithm(problem, operands.view(), "winograd");
  const Tensor gemm = *RunAlgorithm(problem, operands.view(), "gemm");
  const auto same = [&](std::int64_t n) {
    const std::int64_t bytes = winograd.byte_count() / 3;
    return std::equal(gemm.data() + n * bytes, gemm.data() + (n + 1) * bytes,
                      winograd.data() + n * bytes);
  };
  EXPECT_FALSE(same(0));
  EXPECT_TRUE(same(1));
  EXPECT_FALSE(same(2));
}

TEST(WinogradImages, AnInfinityIsLeftToGemm) {
  ExpectSecondImageAsByGemm([](float* image, std::int64_t size) {
    image[size / 2] = std::numeric_limits<float>::infinity();
  });
}

TEST(WinogradImages, ANanIsLeftToGemm) {
  ExpectSecondImageAsByGemm([](float* image, std::int64_t size) {
    image[size / 2] = std::numeric_limits<float>::quiet_NaN();
  });
}

TEST(WinogradImages, AnElementThatStandsOutIsLeftToGemm) {
  ExpectSecondImageAsByGemm([](float* image, std::int64_t size) { image[size / 2] = 1e6F; });
}

TEST(WinogradImages, ExtremeMagnitudesAreLeftToGemm) {
  for (const float scale : {1e18F, 1e-20F}) {
    ExpectSecondImageAsByGemm([&](float* image, std::int64_t size) {
      for (std::int64_t i = 0; i < size; ++i) image[i] *= scale;
    });
  }
}

TEST(WinogradImages, AFilterWithAnUnusedTapLeavesAllToGemm) {
  Random random(13);
  const ProblemSpec spec = Case{"", {1, 32, 20, 20}, 32, {3, 3}, {1}}.spec();
  const Problem problem = *MakeProblem(spec);
  RandomOperands operands = RealOperands(random, spec);
  for (std::int64_t c = 0; c < 32; ++c) operands.weight.As<float>()[(5 * 32 + c) * 9 + 4] = 0;
  EXPECT_TRUE(SameBits(*RunAlgorithm(problem, operands.view(), "gemm"),
                       *RunAlgorithm(problem, operands.view(), "winograd")));
}

TEST(WinogradImages, ARowOfABatchHasTheBitsOfTheRowAlone) {
  Random random(14);
  const ProblemSpec together = Case{"", {4, 32, 16, 18}, 32, {3, 3}, {1}}.spec();
  const ProblemSpec alone = Case{"", {1, 32, 16, 18}, 32, {3, 3}, {1}}.spec();
  const RandomOperands operands = RealOperands(random, together);
  const Tensor all = *RunAlgorithm(*MakeProblem(together), operands.view(), "");
  for (std::int64_t n = 0; n < 4; ++n) {
    Operands row = operands.view();
    row.input.shape[0] = 1;
    row.input.data += n * operands.input.byte_count() / 4;
    const Tensor one = *RunAlgorithm(*MakeProblem(alone), row, "");
    EXPECT_TRUE(
        std::equal(one.data(), one.data() + one.byte_count(), all.data() + n * one.byte_count()));
  }
}

// Else a row of a batch could have other bits than the row alone.
TEST(Planner, ChoosesTheSameAlgorithmForAnyBatch) {
  for (const std::int64_t channels : {3, 16, 64, 200}) {
    for (std::int64_t size = 3; size < 40; size += 3) {
      const auto name = [&](std::int64_t batch) {
        const ProblemSpec spec = Case{"", {batch, channels, size, size}, 64, {3, 3}, {1}}.spec();
        return MakePlan(*MakeProblem(spec))->algorithm_name();
      };
      EXPECT_EQ(name(1), name(7)) << channels << " channels, " << size;
    }
  }
}

}  // namespace
}  // namespace convserve
