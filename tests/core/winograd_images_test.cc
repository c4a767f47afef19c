// The images and filters that Winograd's algorithm leaves to gemm.
#include <algorithm>
#include <cstdint>
#include <limits>

#include "core/convolve.h"
#include "gtest/gtest.h"
#include "tests/core/layer_case.h"
#include "tests/support/random_spec.h"

namespace convserve {
namespace {

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

}  // namespace
}  // namespace convserve
