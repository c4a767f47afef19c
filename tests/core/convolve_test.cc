#include "core/convolve.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/xtensor_api.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "xtensor/xarray.hpp"
#include "xtensor/xbuilder.hpp"
#include "xtensor/xtensor.hpp"

namespace convserve {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

Tensor Floats(Shape shape, std::vector<float> values) {
  return Tensor::Of<float>(std::move(shape), values);
}

std::vector<float> Values(const Tensor& tensor) {
  return {tensor.As<float>(), tensor.As<float>() + tensor.size()};
}

TEST(ConvTranspose, ScattersTheKernelAtStrideFour) {
  const Tensor input = Floats({1, 1, 2, 2}, {1, 2, 3, 4});
  const Tensor weight = Floats({1, 1, 2, 2}, {1, 2, 0, 1});
  const auto output = ConvTranspose({input.view(), weight.view(), {}}, {.stride = {4}});
  ASSERT_TRUE(output.ok()) << output.status();
  EXPECT_THAT(output->shape(), ElementsAre(1, 1, 6, 6));
  EXPECT_THAT(Values(*output), ElementsAreArray({1, 2, 0, 0, 2, 4,  //
                                                 0, 1, 0, 0, 0, 2,  //
                                                 0, 0, 0, 0, 0, 0,  //
                                                 0, 0, 0, 0, 0, 0,  //
                                                 3, 6, 0, 0, 4, 8,  //
                                                 0, 3, 0, 0, 0, 4}));
}

TEST(ConvTranspose, CellsWithoutInputHoldTheBias) {
  const Tensor input = Floats({1, 1, 2}, {1, 2});
  const Tensor weight = Floats({1, 1, 1}, {10});
  const Tensor bias = Floats({1}, {0.5});
  const auto output = ConvTranspose({input.view(), weight.view(), bias.view()}, {.stride = {3}});
  ASSERT_TRUE(output.ok()) << output.status();
  EXPECT_THAT(Values(*output), ElementsAre(10.5, 0.5, 0.5, 20.5));
}

TEST(Conv, ReflectReplicateAndCircularPaddingReadRealValues) {
  const Tensor input = Floats({1, 1, 4}, {1, 2, 3, 4});
  const Tensor weight = Floats({1, 1, 1}, {1});
  const auto padded = [&](PaddingMode mode) {
    return Values(*Conv({input.view(), weight.view(), {}}, {.padding = {2}, .padding_mode = mode}));
  };
  EXPECT_THAT(padded(PaddingMode::kZeros), ElementsAre(0, 0, 1, 2, 3, 4, 0, 0));
  EXPECT_THAT(padded(PaddingMode::kReflect), ElementsAre(3, 2, 1, 2, 3, 4, 3, 2));
  EXPECT_THAT(padded(PaddingMode::kReplicate), ElementsAre(1, 1, 1, 2, 3, 4, 4, 4));
  EXPECT_THAT(padded(PaddingMode::kCircular), ElementsAre(3, 4, 1, 2, 3, 4, 1, 2));
}

TEST(Conv, AnEmptyBatchGivesAnEmptyOutput) {
  const Tensor input(DataType::kFloat32, {0, 1, 4});
  const Tensor weight = Floats({2, 1, 3}, {1, 2, 3, 4, 5, 6});
  const auto output = Conv({input.view(), weight.view(), {}}, {});
  ASSERT_TRUE(output.ok()) << output.status();
  EXPECT_THAT(output->shape(), ElementsAre(0, 2, 2));
}

class ExecuteTest : public ::testing::Test {
 protected:
  ExecuteTest() : input_(Floats({1, 1, 4}, {1, 2, 3, 4})), weight_(Floats({1, 1, 2}, {1, 1})) {}

  Plan MakeSmallPlan() const {
    ProblemSpec spec;
    spec.input = {DataType::kFloat32, input_.shape(), {}};
    spec.weight = {DataType::kFloat32, weight_.shape(), {}};
    return *MakePlan(*MakeProblem(spec));
  }

  Tensor input_, weight_;
  std::vector<std::byte> output_ = std::vector<std::byte>(12);
};

TEST_F(ExecuteTest, RefusesOperandsThatDoNotFitThePlan) {
  const Plan plan = MakeSmallPlan();
  const Tensor bias = Floats({1}, {1});
  const absl::Status status =
      Execute(plan, {weight_.view(), weight_.view(), bias.view()}, std::span(output_).first(8));
  EXPECT_THAT(
      ViolationsOf(status),
      ElementsAre(FieldViolation{"input", "expected float32 [1, 1, 4], got float32 [1, 1, 2]"},
                  FieldViolation{"bias", "expected none, got one"},
                  FieldViolation{"output", "expected 12 bytes, got 8"}));
}

TEST_F(ExecuteTest, StopsWhenAskedTo) {
  std::stop_source source;
  source.request_stop();
  for (const std::string_view algorithm : AlgorithmNames()) {
    const auto plan = MakePlan(MakeSmallPlan().problem(), algorithm);
    if (!plan.ok()) continue;
    EXPECT_TRUE(absl::IsCancelled(
        Execute(*plan, {input_.view(), weight_.view(), {}}, output_, source.get_token())))
        << algorithm;
  }
}

TEST(Planner, ListsAndForcesAlgorithms) {
  EXPECT_EQ(AlgorithmNames().back(), "reference");
  ProblemSpec spec;
  spec.input = {DataType::kFloat32, {1, 1, 4}, {}};
  spec.weight = {DataType::kFloat32, {1, 1, 2}, {}};
  const Problem problem = *MakeProblem(spec);
  EXPECT_EQ(MakePlan(problem, "reference")->algorithm_name(), "reference");
  const absl::Status unknown = MakePlan(problem, "quantum").status();
  EXPECT_TRUE(absl::IsInvalidArgument(unknown));
  EXPECT_THAT(std::string(unknown.message()),
              ::testing::AllOf(::testing::HasSubstr("gemm"), ::testing::HasSubstr("quantum")));
}

TEST(XtensorApi, TakesAndGivesContainers) {
  const xt::xarray<float> input = xt::ones<float>({1, 1, 4, 4});
  const xt::xarray<float> weight = xt::ones<float>({1, 1, 3, 3});
  const auto output = xt_api::Conv(input, weight, {.padding = {1}});
  ASSERT_TRUE(output.ok()) << output.status();
  const xt::xarray<float> expected = {{{{4, 6, 6, 4}, {6, 9, 9, 6}, {6, 9, 9, 6}, {4, 6, 6, 4}}}};
  EXPECT_EQ(*output, expected);

  const xt::xtensor<std::uint8_t, 3> bytes = {{{1, 2, 3}}};
  const xt::xtensor<std::int8_t, 3> kernel = {{{-1, 2}}};
  const xt::xtensor<std::int32_t, 1> bias = {100};
  const auto full =
      xt_api::ConvTranspose<std::int32_t>(bytes, kernel, bias, ConvTransposeParameters{});
  ASSERT_TRUE(full.ok()) << full.status();
  EXPECT_EQ(*full, (xt::xarray<std::int32_t>{{{99, 100, 101, 106}}}));
}

}  // namespace
}  // namespace convserve
