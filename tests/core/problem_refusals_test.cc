// Every refusal of MakeProblem, by field.
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/problem.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/core/small_spec.h"

namespace convserve {
namespace {

using ::testing::AllOf;
using testing::C;
using testing::Default;
using testing::Fields;
using ::testing::HasSubstr;
using testing::T;
using ::testing::UnorderedElementsAreArray;

constexpr std::int64_t kHuge = std::int64_t{1} << 62;

struct Refusal {
  std::string name;
  // What differs from the default; gets the number of spatial axes.
  std::function<void(ProblemSpec&, std::size_t axes)> change;
  std::vector<std::string> fields;
};

// Refused alike by both operations.
template <typename Parameters>
std::vector<Refusal> CommonRefusals() {
  const auto parameters = [](auto change) {
    return [change](ProblemSpec& spec, std::size_t axes) {
      change(std::get<Parameters>(spec.parameters), axes);
    };
  };
  const bool transposed = std::is_same_v<Parameters, ConvTransposeParameters>;
  const std::string channels = transposed ? "weight.shape[0]" : "weight.shape[1]";
  return {
      {"NegativePadding",
       parameters([](auto& p, auto) { p.padding = {-1}; }),
       {"parameters.padding[0]"}},
      {"ZeroStride", parameters([](auto& p, auto) { p.stride = {0}; }), {"parameters.stride[0]"}},
      {"NegativeStride",
       parameters([](auto& p, auto) { p.stride = {-2}; }),
       {"parameters.stride[0]"}},
      {"ZeroDilation",
       parameters([](auto& p, auto) { p.dilation = {0}; }),
       {"parameters.dilation[0]"}},
      {"ZeroGroups", parameters([](auto& p, auto) { p.groups = 0; }), {"parameters.groups"}},
      {"NegativeGroups", parameters([](auto& p, auto) { p.groups = -4; }), {"parameters.groups"}},
      {"ChannelsOfInputAndWeightDiffer",
       [=](ProblemSpec& spec, std::size_t) { spec.input.shape[1] = 5; },
       {channels}},
      {"InputChannelsNoMultipleOfGroups",
       [=](ProblemSpec& spec, std::size_t) { std::get<Parameters>(spec.parameters).groups = 3; },
       {"parameters.groups"}},
      {"BiasOfWrongLength",
       [](ProblemSpec& spec, std::size_t) {
         spec.bias = TensorSpec{DataType::kFloat32, {5}, {}};
       },
       {"bias.shape"}},
      {"BiasOfWrongRank",
       [](ProblemSpec& spec, std::size_t) {
         spec.bias = TensorSpec{DataType::kFloat32, {6, 1}, {}};
       },
       {"bias.shape"}},
      {"InputRankTooSmall",
       [](ProblemSpec& spec, std::size_t axes) { spec.input.shape.resize(axes); },
       {"input.shape"}},
      {"InputRankTooLarge",
       [](ProblemSpec& spec, std::size_t) { spec.input.shape.push_back(8); },
       {"input.shape"}},
      {"WeightRankTooSmall",
       [](ProblemSpec& spec, std::size_t) { spec.weight.shape.resize(2); },
       {"weight.shape"}},
      {"WeightRankTooLarge",
       [](ProblemSpec& spec, std::size_t) { spec.weight.shape = {6, 4, 3, 3, 3, 3}; },
       {"weight.shape"}},
      {"StrideListOfWrongLength",
       parameters([](auto& p, std::size_t axes) { p.stride.assign(axes == 2 ? 3 : 2, 1); }),
       {"parameters.stride"}},
      {"DilationListOfWrongLength",
       parameters([](auto& p, std::size_t axes) { p.dilation.assign(axes == 2 ? 3 : 2, 1); }),
       {"parameters.dilation"}},
      {"PaddingListOfWrongLength",
       parameters([](auto& p, std::size_t axes) { p.padding.assign(axes == 1 ? 3 : 5, 0); }),
       {"parameters.padding"}},
      {"EmptyChannels",
       [](ProblemSpec& spec, std::size_t) { spec.input.shape[1] = 0; },
       {"input.shape[1]"}},
      {"EmptySpatialDimension",
       [](ProblemSpec& spec, std::size_t) { spec.input.shape[2] = 0; },
       {"input.shape[2]"}},
      {"EmptyOutputChannels",
       [=](ProblemSpec& spec, std::size_t) { spec.weight.shape[transposed ? 1 : 0] = 0; },
       {transposed ? "weight.shape[1]" : "weight.shape[0]"}},
      {"EmptyKernel",
       [](ProblemSpec& spec, std::size_t) { spec.weight.shape[2] = 0; },
       {"weight.shape[2]"}},
      {"NegativeDimension",
       [](ProblemSpec& spec, std::size_t) { spec.input.shape[0] = -1; },
       {"input.shape[0]"}},
      {"AutoPadTogetherWithPadding",
       parameters([](auto& p, auto) {
         p.auto_pad = AutoPad::kSameUpper;
         p.padding = {0};
       }),
       {"parameters.padding"}},
      {"ValidTogetherWithPadding",
       parameters([](auto& p, auto) {
         p.auto_pad = AutoPad::kValid;
         p.padding = {1};
       }),
       {"parameters.padding"}},
      {"UnknownAutoPad",
       parameters([](auto& p, auto) { p.auto_pad = static_cast<AutoPad>(9); }),
       {"parameters.auto_pad"}},
      {"UnknownTensorLayout",
       parameters([](auto& p, auto) { p.tensor_layout = static_cast<TensorLayout>(3); }),
       {"parameters.tensor_layout"}},
      {"UnknownWeightLayout",
       parameters([](auto& p, auto) { p.weight_layout = static_cast<WeightLayout>(-1); }),
       {"parameters.weight_layout"}},
      {"UnspecifiedInputType",
       [](ProblemSpec& spec, std::size_t) { spec.input.data_type = DataType::kUnspecified; },
       {"input.data_type"}},
      {"UnknownWeightType",
       [](ProblemSpec& spec, std::size_t) { spec.weight.data_type = static_cast<DataType>(77); },
       {"weight.data_type"}},
      {"UnknownOutputType",
       [](ProblemSpec& spec, std::size_t) { spec.output_type = static_cast<DataType>(8); },
       {"output_type"}},
      {"Int32Input",
       [](ProblemSpec& spec, std::size_t) { spec.input.data_type = DataType::kInt32; },
       {"input.data_type"}},
      {"MixedFloats",
       [](ProblemSpec& spec, std::size_t) { spec.weight.data_type = DataType::kFloat64; },
       {"weight.data_type"}},
      {"Int8WithFloatWeight",
       [](ProblemSpec& spec, std::size_t) { spec.input.data_type = DataType::kInt8; },
       {"weight.data_type"}},
      {"BiasOfAnotherType",
       [](ProblemSpec& spec, std::size_t) {
         spec.bias = TensorSpec{DataType::kFloat16, {6}, {}};
       },
       {"bias.data_type"}},
      {"FloatBiasForIntegers",
       [](ProblemSpec& spec, std::size_t) {
         spec.input.data_type = spec.weight.data_type = DataType::kInt8;
         spec.bias = TensorSpec{DataType::kFloat32, {6}, {}};
       },
       {"bias.data_type"}},
      {"InputDataTooShort",
       [](ProblemSpec& spec, std::size_t) { spec.input.byte_count = 3; },
       {"input.data"}},
      {"WeightDataTooLong",
       [](ProblemSpec& spec, std::size_t) { spec.weight.byte_count = 1 << 20; },
       {"weight.data"}},
      {"BiasDataMissing",
       [](ProblemSpec& spec, std::size_t) {
         spec.bias = TensorSpec{DataType::kFloat32, {6}, 0};
       },
       {"bias.data"}},
      {"InputBytesPastSixtyFourBits",
       [](ProblemSpec& spec, std::size_t) { spec.input.shape[0] = kHuge; },
       {"input.shape"}},
      {"PaddingSumPastSixtyFourBits",
       parameters([](auto& p, auto) { p.padding = {kHuge}; }),
       {"parameters.padding[0]"}},
      {"EffectiveKernelPastSixtyFourBits",
       parameters([](auto& p, auto) { p.dilation = {kHuge}; }),
       {"parameters.dilation[0]"}},
  };
}

std::vector<Refusal> ConvRefusals() {
  std::vector<Refusal> rows = CommonRefusals<ConvParameters>();
  const std::vector<Refusal> own = {
      {"OutputChannelsNoMultipleOfGroups",
       [](ProblemSpec& spec, std::size_t) {
         spec.weight.shape[0] = 5;
         spec.weight.shape[1] = 2;
         C(spec).groups = 2;
       },
       {"weight.shape[0]"}},
      {"KernelLargerThanInput",
       [](ProblemSpec& spec, std::size_t) { spec.weight.shape[2] = 9; },
       {"weight.shape[2]"}},
      {"KernelLargerThanPaddedInput",
       [](ProblemSpec& spec, std::size_t) {
         spec.weight.shape[2] = 11;
         C(spec).padding = {1};
       },
       {"weight.shape[2]"}},
      {"DilatedKernelLargerThanInput",
       [](ProblemSpec& spec, std::size_t axes) {
         C(spec).dilation.assign(axes, 1);
         C(spec).dilation[0] = 4;
       },
       {"weight.shape[2]"}},
      {"ReflectPaddingAsLargeAsTheInput",
       [](ProblemSpec& spec, std::size_t) {
         C(spec).padding = {8};
         C(spec).padding_mode = PaddingMode::kReflect;
       },
       {"parameters.padding[0]"}},
      {"CircularPaddingLargerThanTheInput",
       [](ProblemSpec& spec, std::size_t) {
         C(spec).padding = {9};
         C(spec).padding_mode = PaddingMode::kCircular;
       },
       {"parameters.padding[0]"}},
      {"ReflectPaddingAtTheEnd",
       [](ProblemSpec& spec, std::size_t axes) {
         C(spec).padding.assign(2 * axes, 0);
         C(spec).padding[axes] = 8;
         C(spec).padding_mode = PaddingMode::kReflect;
       },
       {"parameters.padding[AXES]"}},
      {"UnknownPaddingMode",
       [](ProblemSpec& spec, std::size_t) { C(spec).padding_mode = static_cast<PaddingMode>(5); },
       {"parameters.padding_mode"}},
  };
  rows.insert(rows.end(), own.begin(), own.end());
  return rows;
}

std::vector<Refusal> TransposeRefusals() {
  std::vector<Refusal> rows = CommonRefusals<ConvTransposeParameters>();
  const std::vector<Refusal> own = {
      {"NegativeOutputPadding",
       [](ProblemSpec& spec, std::size_t) { T(spec).output_padding = {-1}; },
       {"parameters.output_padding[0]"}},
      {"OutputPaddingAsLargeAsStrideAndDilation",
       [](ProblemSpec& spec, std::size_t) {
         T(spec).stride = {2};
         T(spec).output_padding = {2};
       },
       {"parameters.output_padding[0]"}},
      {"OutputPaddingForAnEmptyBatchToo",
       [](ProblemSpec& spec, std::size_t) {
         spec.input.shape[0] = 0;
         T(spec).output_padding = {1};
       },
       {"parameters.output_padding[0]"}},
      {"OutputPaddingListOfWrongLength",
       [](ProblemSpec& spec, std::size_t axes) {
         T(spec).output_padding.assign(axes == 2 ? 3 : 2, 0);
       },
       {"parameters.output_padding"}},
      {"OutputSmallerThanOne",
       [](ProblemSpec& spec, std::size_t) { T(spec).padding = {5}; },
       {"parameters.padding[0]"}},
      {"OutputSizeOfWrongLength",
       [](ProblemSpec& spec, std::size_t axes) {
         T(spec).output_size.assign(axes == 2 ? 3 : 2, 10);
       },
       {"parameters.output_size"}},
      {"OutputSizeZero",
       [](ProblemSpec& spec, std::size_t) { T(spec).output_size = {0}; },
       {"parameters.output_size[0]"}},
      {"OutputSizeTooSmall",
       [](ProblemSpec& spec, std::size_t) { T(spec).output_size = {9}; },
       {"parameters.output_size[0]"}},
      {"OutputSizeTooLarge",
       [](ProblemSpec& spec, std::size_t) { T(spec).output_size = {11}; },
       {"parameters.output_size[0]"}},
      {"OutputSizeBeyondSame",
       [](ProblemSpec& spec, std::size_t) {
         T(spec).output_size = {11};
         T(spec).auto_pad = AutoPad::kSameUpper;
       },
       {"parameters.output_size[0]"}},
      {"OutputSizeTogetherWithOutputPadding",
       [](ProblemSpec& spec, std::size_t) {
         T(spec).output_size = {10};
         T(spec).output_padding = {0};
       },
       {"parameters.output_padding"}},
      {"StridedInputPastSixtyFourBits",
       [](ProblemSpec& spec, std::size_t) { T(spec).stride = {kHuge}; },
       {"parameters.stride[0]"}},
  };
  rows.insert(rows.end(), own.begin(), own.end());
  return rows;
}

// Rows that every axis violates alike (a list of one entry serves all of them) are refused once.
void ExpectRefused(const ProblemSpec& spec, const Refusal& row, std::size_t axes) {
  SCOPED_TRACE(row.name + ", " + std::to_string(axes) + " axes");
  const auto problem = MakeProblem(spec);
  ASSERT_FALSE(problem.ok());
  EXPECT_TRUE(absl::IsInvalidArgument(problem.status())) << problem.status();
  std::vector<std::string> expected = row.fields;
  for (std::string& field : expected) {
    const std::size_t at = field.find("AXES");
    if (at != std::string::npos) field.replace(at, 4, std::to_string(axes));
  }
  EXPECT_THAT(Fields(problem.status()), UnorderedElementsAreArray(expected)) << problem.status();
  for (const FieldViolation& violation : ViolationsOf(problem.status())) {
    EXPECT_THAT(violation.description, AllOf(HasSubstr("expected "), HasSubstr(", got ")));
  }
}

TEST(Problem, RefusesEveryBadConvByField) {
  for (const Refusal& row : ConvRefusals()) {
    for (std::size_t axes = 1; axes <= 3; ++axes) {
      ProblemSpec spec = Default<ConvParameters>(axes);
      ASSERT_TRUE(MakeProblem(spec).ok());
      row.change(spec, axes);
      ExpectRefused(spec, row, axes);
    }
  }
}

TEST(Problem, RefusesEveryBadConvTransposeByField) {
  for (const Refusal& row : TransposeRefusals()) {
    for (std::size_t axes = 1; axes <= 3; ++axes) {
      ProblemSpec spec = Default<ConvTransposeParameters>(axes);
      ASSERT_TRUE(MakeProblem(spec).ok());
      row.change(spec, axes);
      ExpectRefused(spec, row, axes);
    }
  }
}

}  // namespace
}  // namespace convserve
