// What MakeProblem accepts and resolves, and what its refusals say.
#include "core/problem.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/core/small_spec.h"

namespace convserve {
namespace {

using ::testing::AllOf;
using testing::C;
using testing::Default;
using ::testing::ElementsAre;
using ::testing::Field;
using testing::Fields;
using ::testing::HasSubstr;
using testing::T;
using ::testing::UnorderedElementsAreArray;

TEST(Problem, ReportsAllViolationsTogether) {
  ProblemSpec spec = Default<ConvParameters>(2);
  spec.weight.shape[1] = 3;
  spec.bias = TensorSpec{DataType::kFloat32, {1}, {}};
  spec.input.byte_count = 7;
  C(spec).stride = {0, 1};
  C(spec).groups = 2;
  const auto problem = MakeProblem(spec, {}, {}, {{"weight.values", "expected x, got y"}});
  EXPECT_THAT(
      ViolationsOf(problem.status()),
      UnorderedElementsAreArray({
          FieldViolation{"weight.values", "expected x, got y"},
          FieldViolation{"parameters.stride[0]", "expected at least 1, got 0"},
          FieldViolation{"weight.shape[1]", "expected 2 (input channels 4 / groups 2), got 3"},
          FieldViolation{"bias.shape", "expected [6] (output channels), got [1]"},
          FieldViolation{"input.data", "expected 2048 bytes ([2, 4, 8, 8] of float32), got 7"},
      }));
}

TEST(Problem, NamesFieldsAsTheCallerSpellsThem) {
  ProblemSpec spec = Default<ConvParameters>(1);
  C(spec).stride = {0};
  spec.weight.shape[1] = 9;
  FieldPaths paths;
  paths.weight_shape = "weight_shape";
  paths.parameters = "conv";
  EXPECT_THAT(Fields(MakeProblem(spec, {}, paths).status()),
              UnorderedElementsAreArray({"conv.stride[0]", "weight_shape[1]"}));
}

TEST(Problem, NamesTheEntryOfAListThatIsWrong) {
  ProblemSpec spec = Default<ConvTransposeParameters>(3);
  T(spec).stride = {2, 1, 3};
  T(spec).output_padding = {1, 1, 3};
  EXPECT_THAT(Fields(MakeProblem(spec).status()),
              ElementsAre("parameters.output_padding[1]", "parameters.output_padding[2]"));
}

TEST(Problem, SaysWhatAKernelThatDoesNotFitWouldNeed) {
  ProblemSpec spec = Default<ConvParameters>(1);
  C(spec).dilation = {5};
  EXPECT_THAT(ViolationsOf(MakeProblem(spec).status()),
              ElementsAre(Field(&FieldViolation::description,
                                "expected an effective kernel of at most 8 (input size 8 + "
                                "padding 0 + 0), got 11 (dilation 5 * (kernel 3 - 1) + 1)")));
}

TEST(Problem, RefusesOutputsPastTheLimitByBytes) {
  // 36 bytes ask for 69 GB.
  ProblemSpec spec;
  spec.input = {DataType::kFloat32, {1, 1, 3, 3}, 36};
  spec.weight = {DataType::kFloat32, {1, 1, 3, 3}, 36};
  spec.parameters = ConvTransposeParameters{.stride = {65536}};
  const auto problem = MakeProblem(spec);
  EXPECT_TRUE(absl::IsResourceExhausted(problem.status())) << problem.status();
  EXPECT_THAT(std::string(problem.status().message()),
              AllOf(HasSubstr("68722622500"), HasSubstr("at most 2147418112 bytes")));
}

TEST(Problem, RefusesMoreMultiplyAddsThanTheLimit) {
  const ProblemSpec spec = Default<ConvParameters>(2);
  const std::int64_t count = std::int64_t{2} * 6 * 36 * 4 * 9;
  EXPECT_EQ(MakeProblem(spec)->multiply_adds(), count);
  EXPECT_TRUE(MakeProblem(spec, {.max_multiply_adds = count}).ok());
  EXPECT_TRUE(
      absl::IsResourceExhausted(MakeProblem(spec, {.max_multiply_adds = count - 1}).status()));
}

TEST(Problem, AcceptsHugeStrideAndDilationWhereSizesStaySmall) {
  ProblemSpec spec;
  spec.input = {DataType::kFloat32, {1, 1, 5}, {}};
  spec.weight = {DataType::kFloat32, {1, 1, 1}, {}};
  spec.parameters =
      ConvParameters{.stride = {std::int64_t{1} << 31}, .dilation = {std::int64_t{1} << 31}};
  const auto problem = MakeProblem(spec);
  ASSERT_TRUE(problem.ok()) << problem.status();
  EXPECT_EQ(problem->output_shape(), (Shape{1, 1, 1}));
}

TEST(Problem, AcceptsAnEmptyBatch) {
  ProblemSpec spec = Default<ConvParameters>(2);
  spec.input.shape[0] = 0;
  spec.input.byte_count = 0;
  const auto problem = MakeProblem(spec);
  ASSERT_TRUE(problem.ok()) << problem.status();
  EXPECT_EQ(problem->output_shape(), (Shape{0, 6, 6, 6}));
  EXPECT_EQ(problem->multiply_adds(), 0);
}

struct SizeRow {
  std::string name;
  ProblemSpec spec;
  Shape output;
  std::int64_t padding_begin, padding_end, output_padding;
};

ProblemSpec OneAxis(std::int64_t n, std::int64_t k,
                    std::variant<ConvParameters, ConvTransposeParameters> parameters) {
  ProblemSpec spec;
  spec.input = {DataType::kFloat32, {1, 1, n}, {}};
  spec.weight = {DataType::kFloat32, {1, 1, k}, {}};
  spec.parameters = std::move(parameters);
  return spec;
}

TEST(Problem, ResolvesSizesAndPadding) {
  using Conv = ConvParameters;
  using Transpose = ConvTransposeParameters;
  constexpr AutoPad kUpper = AutoPad::kSameUpper;
  constexpr AutoPad kLower = AutoPad::kSameLower;
  const std::vector<SizeRow> rows = {
      {"Plain", OneAxis(16, 3, Conv{}), {1, 1, 14}, 0, 0, 0},
      {"Strided", OneAxis(16, 3, Conv{.stride = {2}}), {1, 1, 7}, 0, 0, 0},
      {"BothEnds", OneAxis(16, 3, Conv{.padding = {0, 2}}), {1, 1, 16}, 0, 2, 0},
      {"SameUpperOdd", OneAxis(6, 3, Conv{.stride = {2}, .auto_pad = kUpper}), {1, 1, 3}, 0, 1, 0},
      {"SameLowerOdd", OneAxis(6, 3, Conv{.stride = {2}, .auto_pad = kLower}), {1, 1, 3}, 1, 0, 0},
      {"SameEvenKernel", OneAxis(5, 4, Conv{.auto_pad = kUpper}), {1, 1, 5}, 1, 2, 0},
      {"SameNeedsNothing",
       OneAxis(5, 1, Conv{.stride = {3}, .auto_pad = kUpper}),
       {1, 1, 2},
       0,
       0,
       0},
      {"Valid", OneAxis(5, 3, Conv{.auto_pad = AutoPad::kValid}), {1, 1, 3}, 0, 0, 0},
      {"Transposed", OneAxis(4, 3, Transpose{.stride = {2}}), {1, 1, 9}, 0, 0, 0},
      {"TransposedCropped",
       OneAxis(4, 4, Transpose{.stride = {2}, .padding = {1}}),
       {1, 1, 8},
       1,
       1,
       0},
      {"OutputPadding",
       OneAxis(4, 3, Transpose{.stride = {2}, .padding = {1}, .output_padding = {1}}),
       {1, 1, 8},
       1,
       1,
       1},
      {"OutputSize",
       OneAxis(12, 5, Transpose{.stride = {2}, .output_size = {28}}),
       {1, 1, 28},
       0,
       0,
       1},
      {"TransposedSameUpper",
       OneAxis(4, 3, Transpose{.stride = {2}, .auto_pad = kUpper}),
       {1, 1, 8},
       0,
       1,
       0},
      {"TransposedSameLower",
       OneAxis(4, 3, Transpose{.stride = {2}, .auto_pad = kLower}),
       {1, 1, 8},
       1,
       0,
       0},
      {"TransposedSameTooFew",
       OneAxis(4, 1, Transpose{.stride = {3}, .auto_pad = kUpper}),
       {1, 1, 12},
       0,
       0,
       2},
      {"TransposedSameOutputSize",
       OneAxis(4, 3, Transpose{.stride = {2}, .auto_pad = kLower, .output_size = {6}}),
       {1, 1, 6},
       2,
       1,
       0},
      {"TransposedSameOutputSizeBeyond",
       OneAxis(4, 3, Transpose{.stride = {2}, .auto_pad = kUpper, .output_size = {10}}),
       {1, 1, 10},
       0,
       0,
       1},
  };
  for (const SizeRow& row : rows) {
    SCOPED_TRACE(row.name);
    const auto problem = MakeProblem(row.spec);
    ASSERT_TRUE(problem.ok()) << problem.status();
    EXPECT_EQ(problem->output_shape(), row.output);
    EXPECT_EQ(problem->axes()[0].padding_begin, row.padding_begin);
    EXPECT_EQ(problem->axes()[0].padding_end, row.padding_end);
    EXPECT_EQ(problem->axes()[0].output_padding, row.output_padding);
  }
}

TEST(Problem, ChoosesTheOutputType) {
  const auto output = [](DataType input, DataType weight) {
    ProblemSpec spec = Default<ConvParameters>(1);
    spec.input.data_type = input;
    spec.weight.data_type = weight;
    return MakeProblem(spec)->output_type();
  };
  EXPECT_EQ(output(DataType::kFloat64, DataType::kFloat64), DataType::kFloat64);
  EXPECT_EQ(output(DataType::kBFloat16, DataType::kBFloat16), DataType::kBFloat16);
  EXPECT_EQ(output(DataType::kUInt8, DataType::kInt8), DataType::kInt32);
  EXPECT_EQ(output(DataType::kUInt8, DataType::kFloat32), DataType::kFloat32);
}

TEST(Problem, ChannelsLastNamesTheRightDimensions) {
  ProblemSpec spec;
  spec.input = {DataType::kFloat32, {1, 8, 9, 4}, {}};
  spec.weight = {DataType::kFloat32, {3, 3, 5, 6}, {}};
  spec.parameters = ConvParameters{.tensor_layout = TensorLayout::kChannelsLast,
                                   .weight_layout = WeightLayout::kChannelsLast};
  EXPECT_THAT(Fields(MakeProblem(spec).status()), ElementsAre("weight.shape[2]"));
  spec.weight.shape[2] = 4;
  EXPECT_EQ(MakeProblem(spec)->output_shape(), (Shape{1, 6, 7, 6}));
}

}  // namespace
}  // namespace convserve