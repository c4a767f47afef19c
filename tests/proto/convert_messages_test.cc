#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/convert.h"
#include "tests/proto/messages.h"

namespace convserve {
namespace {

using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

// Requests.

TEST(ConvertRequest, ATypedRequestIsAProblem) {
  const v1::ConvRequest request = Typed();
  const auto problem = MakeProblem(FromProto(request));
  ASSERT_TRUE(problem.ok()) << problem.status();
  EXPECT_THAT(problem->output_shape(), ElementsAre(1, 1, 2, 2));
}

TEST(ConvertRequest, RefusesWithEveryViolationAtOnce) {
  struct Row {
    const char* name;
    const char* request;  // merged into Typed()
    std::vector<std::string> fields;
  };
  const std::vector<Row> rows = {
      {"data and values", "input { data: 'abcdabcdabcdabcd' }", {"input.values"}},
      {"data and values, wrong sizes",
       "input { data: 'abcd' values: 5 }",
       {"input.values", "input.values", "input.data"}},
      {"too many values", "input { values: 5 }", {"input.values"}},
      {"bias count",
       "bias { data_type: DATA_TYPE_FLOAT32 shape: 1 values: [ 1, 2 ] }",
       {"bias.values"}},
      {"no bias elements", "bias { data_type: DATA_TYPE_FLOAT32 shape: 1 }", {"bias.data"}},
      {"overflows float32",
       "bias { data_type: DATA_TYPE_FLOAT32 shape: 1 values: 1e300 }",
       {"bias.values[0]"}},
      {"with core's rules",
       "input { values: 5 } parameters { stride: 0 padding: -1 }",
       {"input.values", "parameters.stride[0]", "parameters.padding[0]"}},
  };
  for (const Row& row : rows) {
    v1::ConvRequest request = Typed();
    request.MergeFrom(Parse<v1::ConvRequest>(row.request));
    EXPECT_THAT(RefusedFields(MakeProblem(FromProto(request))),
                testing::UnorderedElementsAreArray(row.fields))
        << row.name;
  }
}

TEST(ConvertRequest, RefusesValuesThatTheTypeCannotHold) {
  struct Row {
    DataType type;
    double value;
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const Row& row :
       {Row{DataType::kInt8, 128}, Row{DataType::kInt8, 0.5}, Row{DataType::kUInt8, -1},
        Row{DataType::kUInt8, nan}, Row{DataType::kFloat16, 1e6}, Row{DataType::kBFloat16, 1e39},
        Row{DataType::kFloat32, 1e39}}) {
    v1::ConvRequest request = Typed();
    for (v1::Tensor* tensor : {request.mutable_input(), request.mutable_weight()}) {
      tensor->set_data_type(ToProto(row.type));
    }
    request.mutable_input()->set_values(2, row.value);
    const auto violations = ViolationsOf(MakeProblem(FromProto(request)).status());
    ASSERT_THAT(violations, ElementsAre(Field(&FieldViolation::field, "input.values[2]")))
        << Name(row.type) << " " << row.value;
    EXPECT_THAT(violations[0].description, HasSubstr(std::string(Name(row.type))));
  }
}

TEST(ConvertRequest, CountsTheMisfitsThatItDoesNotList) {
  v1::ConvRequest request = Typed();
  request.mutable_input()->set_data_type(v1::DATA_TYPE_UINT8);
  request.mutable_weight()->set_data_type(v1::DATA_TYPE_UINT8);
  request.mutable_input()->set_shape(3, 50);
  request.mutable_input()->mutable_values()->Resize(100, -1);
  for (double& value : *request.mutable_input()->mutable_values()) value = -1;
  const auto violations = ViolationsOf(MakeProblem(FromProto(request)).status());
  ASSERT_EQ(violations.size(), 9);
  EXPECT_EQ(violations.back(), (FieldViolation{"input.values", "92 more values do not fit uint8"}));
}

TEST(ConvertRequest, AMissingTensorIsNamedOnce) {
  EXPECT_THAT(RefusedFields(MakeProblem(FromProto(v1::ConvRequest()))),
              ElementsAre("input", "weight"));
  v1::ConvRequest request = Typed();
  request.clear_weight();
  EXPECT_THAT(RefusedFields(MakeProblem(FromProto(request))), ElementsAre("weight"));
  EXPECT_THAT(
      RefusedFields(MakeProblem(FromProto(Parse<v1::ExplainRequest>("conv_transpose { }")))),
      ElementsAre("conv_transpose.input", "conv_transpose.weight"));
}

TEST(ConvertRequest, ConvTransposeDecodesItsOwnParameters) {
  const auto request = Parse<v1::ConvTransposeRequest>(R"pb(
    input {
      data_type: DATA_TYPE_FLOAT32
      shape: [ 1, 1, 2, 2 ]
      values: [ 1, 2, 3, 4 ]
    }
    weight {
      data_type: DATA_TYPE_FLOAT32
      shape: [ 1, 1, 2, 2 ]
      values: [ 1, 2, 0, 1 ]
    }
    parameters { stride: 4 }
  )pb");
  const auto problem = MakeProblem(FromProto(request));
  ASSERT_TRUE(problem.ok()) << problem.status();
  EXPECT_EQ(problem->operation(), Operation::kConvTranspose);
  EXPECT_THAT(problem->output_shape(), ElementsAre(1, 1, 6, 6));
}

// Describe and explain.

TEST(ConvertDescribe, StatesAProblemByShapesAlone) {
  const ProblemSpec spec{.input = {DataType::kUInt8, {1, 3, 8, 8}, {}},
                         .weight = {DataType::kFloat32, {4, 3, 3, 3}, {}},
                         .bias = TensorSpec{DataType::kFloat32, {4}, {}},
                         .parameters = ConvParameters{.padding = {1}},
                         .output_type = DataType::kUInt8};
  const auto problem = MakeProblem(FromProto(ToDescribeRequest(spec)));
  ASSERT_TRUE(problem.ok()) << problem.status();
  EXPECT_THAT(problem->output_shape(), ElementsAre(1, 4, 8, 8));
  EXPECT_EQ(problem->output_type(), DataType::kUInt8);
  EXPECT_TRUE(problem->has_bias());
}

TEST(ConvertDescribe, ABiasIsOfTheTypeThatTheOperationTakes) {
  for (const char* types : {"FLOAT32", "FLOAT64", "FLOAT16", "BFLOAT16", "INT8", "UINT8"}) {
    const auto request = Parse<v1::DescribeRequest>(
        std::string("input_shape: [1, 1, 4] weight_shape: [1, 1, 1] bias_shape: 1 conv { }") +
        " input_type: DATA_TYPE_" + types + " weight_type: DATA_TYPE_" + types);
    EXPECT_TRUE(MakeProblem(FromProto(request)).ok()) << types;
  }
}

TEST(ConvertDescribe, RefusesUnderTheNamesOfItsOwnFields) {
  const auto conv = Parse<v1::DescribeRequest>(R"pb(
    input_shape: [ 1, 2, 8, 8 ]
    weight_shape: [ 4, 3, 3, 3 ]
    bias_shape: 5
    input_type: DATA_TYPE_FLOAT32
    output_type: 55
    conv { stride: 0 }
  )pb");
  const auto fields = RefusedFields(MakeProblem(FromProto(conv)));
  EXPECT_THAT(fields, testing::IsSupersetOf({"weight_type", "weight_shape[1]", "bias_shape",
                                             "output_type", "conv.stride[0]"}));
  const auto transposed = Parse<v1::DescribeRequest>(R"pb(
    input_shape: [ 1, 2, 8, 8 ]
    weight_shape: [ 2, 3, 3, 3 ]
    input_type: DATA_TYPE_FLOAT32
    weight_type: DATA_TYPE_FLOAT32
    conv_transpose { output_padding: 1 }
  )pb");
  EXPECT_THAT(RefusedFields(MakeProblem(FromProto(transposed))),
              ElementsAre("conv_transpose.output_padding[0]"));
}

TEST(ConvertDescribe, AnAbsentOperationIsTheOnlyRefusal) {
  EXPECT_THAT(RefusedFields(MakeProblem(FromProto(v1::DescribeRequest()))),
              ElementsAre("operation"));
  EXPECT_THAT(RefusedFields(MakeProblem(FromProto(v1::ExplainRequest()))),
              ElementsAre("operation"));
}

TEST(ConvertExplain, TensorsMayCarryAShapeAndNoElements) {
  const ProblemSpec spec{.input = {DataType::kFloat32, {1, 1, 2, 2}, {}},
                         .weight = {DataType::kFloat32, {1, 1, 1, 1}, {}},
                         .bias = {},
                         .parameters = ConvTransposeParameters{},
                         .output_type = DataType::kUnspecified};
  const Tensor weight = Tensor::Of<float>({1, 1, 1, 1}, std::vector<float>{7});
  const auto request = ToExplainRequest(spec, {0, 0, 1, 1}, {.weight = weight.view()});
  EXPECT_THAT(request.output_index(), ElementsAre(0, 0, 1, 1));
  EXPECT_TRUE(MakeProblem(FromProto(request)).ok());
  const DecodedOperands decoded(request);
  EXPECT_FALSE(decoded.operands().input.has_value());
  EXPECT_EQ(decoded.operands().weight->As<float>()[0], 7);
}

TEST(ConvertExplain, RefusesUnderTheOperationsFields) {
  auto request = Parse<v1::ExplainRequest>("conv { parameters { stride: 0 } }");
  *request.mutable_conv()->mutable_input() = Typed().input();
  *request.mutable_conv()->mutable_weight() = Typed().weight();
  request.mutable_conv()->mutable_input()->add_values(1);
  request.mutable_conv()->mutable_weight()->clear_values();
  request.mutable_conv()->mutable_weight()->set_data("abc");
  EXPECT_THAT(
      RefusedFields(MakeProblem(FromProto(request))),
      UnorderedElementsAre("conv.input.values", "conv.parameters.stride[0]", "conv.weight.data"));
}

TEST(ConvertExplain, DataIsViewedWithoutACopyAndValuesAreConverted) {
  v1::ExplainRequest request;
  *request.mutable_conv() = Typed();
  const std::vector<float> pixels(1024, 3);
  request.mutable_conv()->mutable_weight()->clear_values();
  request.mutable_conv()->mutable_weight()->set_data(pixels.data(), 4096);
  const DecodedOperands decoded(request);
  EXPECT_EQ(static_cast<const void*>(decoded.operands().weight->data),
            request.conv().weight().data().data());
  EXPECT_EQ(decoded.operands().input->As<float>()[3], 4);
  EXPECT_FALSE(decoded.operands().bias.has_value());
}

// Responses.

TEST(ConvertResponse, DescriptionSurvivesTheWire) {
  Description description{.operation = Operation::kConvTranspose,
                          .output_shape = {1, 2, 3},
                          .output_type = DataType::kInt32,
                          .axes = {{.axis = {.input = 1,
                                             .output = 2,
                                             .kernel = 3,
                                             .stride = 4,
                                             .dilation = 5,
                                             .padding_begin = 6,
                                             .padding_end = 7,
                                             .output_padding = 8},
                                    .unused_inputs = 9,
                                    .uncovered_outputs = 10,
                                    .min_overlap = 11,
                                    .max_overlap = 12,
                                    .restoring_output_padding = 13,
                                    .smallest_input_with_this_output = 14,
                                    .largest_input_with_this_output = 15}},
                          .multiply_adds = 16,
                          .input_bytes = 17,
                          .weight_bytes = 18,
                          .output_bytes = 19,
                          .workspace_bytes = 20,
                          .algorithm = "reference"};
  const v1::DescribeResponse message = ToProto(description);
  EXPECT_EQ(message.axes(0).effective_kernel_size(), 11);
  const Description back = FromProto(message, Operation::kConvTranspose);
  EXPECT_EQ(back.axes[0].axis, description.axes[0].axis);
  EXPECT_EQ(back.axes[0].largest_input_with_this_output, 15);
  EXPECT_TRUE(Equals(ToProto(back), message));
}

TEST(ConvertResponse, ExplanationSurvivesTheWire) {
  const auto message = Parse<v1::ExplainResponse>(R"pb(
    contributions {
      input_index: [ 0, 1, 2 ]
      weight_index: [ 3, 4, 5 ]
      input_value: 1.5
      weight_value: -2
    }
    contributions {}
    bias: 6
    value: 7
    padded_taps: 8
    truncated: true
  )pb");
  const Explanation explanation = FromProto(message);
  ASSERT_EQ(explanation.contributions.size(), 2);
  EXPECT_THAT(explanation.contributions[0].weight_index, ElementsAre(3, 4, 5));
  EXPECT_TRUE(Equals(ToProto(explanation), message));
}

TEST(ConvertResponse, ExecutionSurvivesTheWire) {
  const auto message = Parse<v1::Execution>(
      R"pb(
        algorithm: "gemm" instruction_set: "avx2" queue_nanoseconds: 5 compute_nanoseconds: 6
      )pb");
  EXPECT_TRUE(Equals(ToProto(FromProto(message)), message));
}

}  // namespace
}  // namespace convserve
