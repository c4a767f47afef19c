// What MakeProblem accepts, what it resolves, and every refusal by field.
#include "core/problem.h"

#include <cstdint>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace convserve {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAreArray;

constexpr std::int64_t kHuge = std::int64_t{1} << 62;

// Four channels in, six out, input 8 and kernel 3 on every axis; valid as it stands.
template <typename Parameters>
ProblemSpec Default(std::size_t axes) {
  ProblemSpec spec;
  spec.input = {DataType::kFloat32, {2, 4}, {}};
  spec.weight = {DataType::kFloat32, {6, 4}, {}};
  if constexpr (std::is_same_v<Parameters, ConvTransposeParameters>) spec.weight.shape = {4, 6};
  for (std::size_t i = 0; i < axes; ++i) {
    spec.input.shape.push_back(8);
    spec.weight.shape.push_back(3);
  }
  spec.parameters = Parameters{};
  return spec;
}

ConvParameters& C(ProblemSpec& spec) { return std::get<ConvParameters>(spec.parameters); }
ConvTransposeParameters& T(ProblemSpec& spec) {
  return std::get<ConvTransposeParameters>(spec.parameters);
}

std::vector<std::string> Fields(const absl::Status& status) {
  std::vector<std::string> fields;
  for (const FieldViolation& violation : ViolationsOf(status)) fields.push_back(violation.field);
  return fields;
}

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
  const std::int64_t count = 2 * 6 * 36 * 4 * 9;
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
