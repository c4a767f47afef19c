// The images and filters that Winograd's algorithm leaves to gemm.
#include <algorithm>
#include <cstdint>
#include <limits>

#include "core/convolve.h"
#include "gtest/gtest.h"
#include "tests/core/error_bound.h"
#include "tests/core/layer_case.h"
#include "tests/support/random_spec.h"

namespace convserve {
namespace {

using testing::IntegerOperands;
using testing::LargestError;
using testing::LayerCase;
using testing::Random;
using testing::RandomOperands;
using testing::RealOperands;
using testing::RunAlgorithm;
using testing::SameBits;

// Under 32 filters of 3x3 that keep the size.
ProblemSpec Images(const Shape& input) {
  return LayerCase{.name = "", .input = input, .filters = 32, .kernel = {3, 3}, .padding = {1}}
      .spec();
}

// A batch whose second image is spoilt by `spoil`; the others are even.
template <typename Spoil>
void ExpectSecondImageAsByGemm(Spoil spoil) {
  Random random(12);
  const ProblemSpec spec = Images({3, 32, 20, 20});
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
  // Weights are transformed beforehand, or by the tasks that use them.
  for (const Shape& input : {Shape{1, 32, 20, 20}, Shape{3, 32, 8, 8}}) {
    Random random(13);
    const ProblemSpec spec = Images(input);
    const Problem problem = *MakeProblem(spec);
    RandomOperands operands = RealOperands(random, spec);
    EXPECT_FALSE(SameBits(*RunAlgorithm(problem, operands.view(), "gemm"),
                          *RunAlgorithm(problem, operands.view(), "winograd")));
    for (std::int64_t c = 0; c < 32; ++c) {
      operands.weight.As<float>()[(std::int64_t{5} * 32 + c) * 9 + 4] = 0;
    }
    EXPECT_TRUE(SameBits(*RunAlgorithm(problem, operands.view(), "gemm"),
                         *RunAlgorithm(problem, operands.view(), "winograd")));
  }
}

TEST(WinogradImages, ARowOfABatchHasTheBitsOfTheRowAlone) {
  Random random(14);
  const ProblemSpec together = Images({4, 32, 16, 18});
  const ProblemSpec alone = Images({1, 32, 16, 18});
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

// One under 64 filters of 3x3 that keep the size, for which tiles of four outputs a row are faster.
ProblemSpec ImageForWideTiles(std::int64_t rows, std::int64_t columns) {
  return LayerCase{
      .name = "", .input = {1, 64, rows, columns}, .filters = 64, .kernel = {3, 3}, .padding = {1}}
      .spec();
}

// Multiplies elements [first, first + count) of one row, in all channels.
void Scale(Tensor& input, std::int64_t row, std::int64_t first, std::int64_t count, float factor) {
  const Shape& shape = input.shape();
  for (std::int64_t c = 0; c < shape[1]; ++c) {
    float* const x = input.As<float>() + (c * shape[2] + row) * shape[3] + first;
    std::transform(x, x + count, x, [factor](float value) { return value * factor; });
  }
}

// Whether integers are summed exactly: not in wide tiles.
bool IsExact(const ProblemSpec& spec, const RandomOperands& operands) {
  const Problem problem = *MakeProblem(spec);
  return SameBits(*RunAlgorithm(problem, operands.view(), "gemm"),
                  *RunAlgorithm(problem, operands.view(), "winograd"));
}

TEST(WinogradImages, RowsThatAreNotLevelAreLeftToNarrowTiles) {
  // Rows are looked at in blocks of 2048 elements, the second of which begins with (6, 248).
  constexpr std::int64_t kRow = 6;
  constexpr std::int64_t kColumns = 300;
  const ProblemSpec spec = ImageForWideTiles(7, kColumns);
  const Problem problem = *MakeProblem(spec);
  for (const std::int64_t first : {0, 100, 243, 246, 248, 297}) {
    Random random(15);
    RandomOperands operands = IntegerOperands(random, spec);
    EXPECT_FALSE(IsExact(spec, operands));
    Scale(operands.input, kRow, first, 3, 0);
    EXPECT_TRUE(IsExact(spec, operands)) << first;
    operands = RealOperands(random, spec);
    Scale(operands.input, kRow, first, 3, 0);
    EXPECT_FALSE(SameBits(*RunAlgorithm(problem, operands.view(), "winograd"),
                          *RunAlgorithm(problem, operands.view(), "gemm")))
        << first;
  }
}

TEST(WinogradImages, ARowOfZerosIsLevel) {
  const ProblemSpec spec = ImageForWideTiles(28, 28);
  Random random(16);
  RandomOperands operands = IntegerOperands(random, spec);
  Scale(operands.input, 9, 0, 28, 0);
  EXPECT_FALSE(IsExact(spec, operands));
}

TEST(WinogradImages, AFilterOfFewChannelsLeavesAllToNarrowTiles) {
  const ProblemSpec spec = ImageForWideTiles(28, 28);
  Random random(17);
  RandomOperands operands = IntegerOperands(random, spec);
  auto* const weight = operands.weight.As<float>() + std::int64_t{5} * 64 * 9;
  std::fill(weight + 8 * 9, weight + 64 * 9, 0.0F);
  std::fill(weight, weight + 8 * 9, 1.0F);
  EXPECT_TRUE(IsExact(spec, operands));
}

// As dim as rows may be beside bright ones, and dimmer ones, which narrow tiles compute.
TEST(WinogradImages, TheErrorStaysWithinBoundsBesideBrightElements) {
  const ProblemSpec spec = ImageForWideTiles(28, 28);
  for (const float factor : {0.5F, 0.3F, 1e-1F, 1e-3F, 1e-6F}) {
    Random random(18);
    RandomOperands operands = RealOperands(random, spec);
    for (std::int64_t row = 0; row < 28; ++row) {
      Scale(operands.input, row, 3, 3, factor);
      Scale(operands.input, row, 13, 5, factor);
    }
    EXPECT_LE(LargestError(spec, operands, "winograd"), 4) << factor;
  }
}

}  // namespace
}  // namespace convserve
