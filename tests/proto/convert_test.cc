#include "proto/convert.h"

#include <cctype>
#include <cstring>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/proto/messages.h"

namespace convserve {
namespace {

using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Optional;
using ::testing::UnorderedElementsAre;

// Parameters.

TEST(ConvertParameters, ConvKeepsEveryFieldBothWays) {
  const auto message = Parse<v1::ConvParameters>(R"pb(
    stride: [ 2, 3 ]
    dilation: 4
    padding: [ 0, 1, 2, 3 ]
    auto_pad: AUTO_PAD_SAME_LOWER
    padding_mode: PADDING_MODE_CIRCULAR
    groups: 5
    flip_kernel: true
    tensor_layout: TENSOR_LAYOUT_CHANNELS_LAST
    weight_layout: WEIGHT_LAYOUT_CHANNELS_LAST
  )pb");
  const ConvParameters parameters = FromProto(message);
  EXPECT_THAT(parameters.stride, ElementsAre(2, 3));
  EXPECT_THAT(parameters.dilation, ElementsAre(4));
  EXPECT_THAT(parameters.padding, ElementsAre(0, 1, 2, 3));
  EXPECT_EQ(parameters.auto_pad, AutoPad::kSameLower);
  EXPECT_EQ(parameters.padding_mode, PaddingMode::kCircular);
  EXPECT_THAT(parameters.groups, Optional(5));
  EXPECT_TRUE(parameters.flip_kernel);
  EXPECT_EQ(parameters.tensor_layout, TensorLayout::kChannelsLast);
  EXPECT_EQ(parameters.weight_layout, WeightLayout::kChannelsLast);
  EXPECT_TRUE(Equals(ToProto(parameters), message));
}

TEST(ConvertParameters, ConvTransposeKeepsEveryFieldBothWays) {
  const auto message = Parse<v1::ConvTransposeParameters>(R"pb(
    stride: 2
    dilation: [ 1, 2, 3 ]
    padding: 1
    auto_pad: AUTO_PAD_VALID
    output_padding: [ 0, 1, 0 ]
    output_size: [ 7, 8, 9 ]
    groups: 3
    flip_kernel: true
    tensor_layout: TENSOR_LAYOUT_CHANNELS_FIRST
    weight_layout: WEIGHT_LAYOUT_CHANNELS_FIRST
  )pb");
  const ConvTransposeParameters parameters = FromProto(message);
  EXPECT_THAT(parameters.stride, ElementsAre(2));
  EXPECT_THAT(parameters.dilation, ElementsAre(1, 2, 3));
  EXPECT_THAT(parameters.padding, ElementsAre(1));
  EXPECT_EQ(parameters.auto_pad, AutoPad::kValid);
  EXPECT_THAT(parameters.output_padding, ElementsAre(0, 1, 0));
  EXPECT_THAT(parameters.output_size, ElementsAre(7, 8, 9));
  EXPECT_THAT(parameters.groups, Optional(3));
  EXPECT_TRUE(parameters.flip_kernel);
  EXPECT_EQ(parameters.tensor_layout, TensorLayout::kChannelsFirst);
  EXPECT_EQ(parameters.weight_layout, WeightLayout::kChannelsFirst);
  EXPECT_TRUE(Equals(ToProto(parameters), message));
}

TEST(ConvertParameters, AbsentGroupsStayAbsentAndZeroGroupsStayZero) {
  EXPECT_EQ(FromProto(v1::ConvParameters()).groups, std::nullopt);
  EXPECT_THAT(FromProto(Parse<v1::ConvParameters>("groups: 0")).groups, Optional(0));
  EXPECT_FALSE(ToProto(ConvParameters()).has_groups());
}

TEST(ConvertParameters, EveryDataTypeKeepsItsNumber) {
  for (int number = v1::DataType_MIN; number <= v1::DataType_MAX; ++number) {
    const auto type = static_cast<v1::DataType>(number);
    EXPECT_EQ(static_cast<int>(FromProto(type)), number);
    EXPECT_EQ(ToProto(FromProto(type)), type);
    // DATA_TYPE_FLOAT32 is called float32.
    std::string name = v1::DataType_Name(type).substr(std::strlen("DATA_TYPE_"));
    for (char& c : name) c = static_cast<char>(std::tolower(c));
    EXPECT_EQ(Name(FromProto(type)), name);
  }
}

TEST(ConvertParameters, UnknownEnumeratorsAreRefusedUnderTheirFields) {
  v1::ConvRequest request = Typed();
  request.mutable_parameters()->set_auto_pad(static_cast<v1::AutoPad>(91));
  request.mutable_parameters()->set_padding_mode(static_cast<v1::PaddingMode>(92));
  request.mutable_parameters()->set_tensor_layout(static_cast<v1::TensorLayout>(93));
  request.mutable_parameters()->set_weight_layout(static_cast<v1::WeightLayout>(94));
  request.set_output_type(static_cast<v1::DataType>(95));
  request.set_output_encoding(static_cast<v1::TensorEncoding>(96));
  const auto problem = MakeProblem(FromProto(request));
  EXPECT_THAT(RefusedFields(problem),
              UnorderedElementsAre("parameters.auto_pad", "parameters.padding_mode",
                                   "parameters.tensor_layout", "parameters.weight_layout",
                                   "output_type", "output_encoding"));
  for (const FieldViolation& violation : ViolationsOf(problem.status())) {
    EXPECT_THAT(violation.description, HasSubstr("got unknown value 9")) << violation.field;
  }
}

TEST(ConvertParameters, AnUnknownDataTypeIsRefusedByItsNumber) {
  v1::ConvRequest request = Typed();
  request.mutable_input()->set_data_type(static_cast<v1::DataType>(97));
  const auto violations = ViolationsOf(MakeProblem(FromProto(request)).status());
  ASSERT_THAT(violations, ElementsAre(Field(&FieldViolation::field, "input.data_type")));
  EXPECT_THAT(violations[0].description, HasSubstr("97"));
}

// Tensors.

TEST(ConvertTensor, DataTravelsAsRowMajorLittleEndianBytes) {
  const Tensor tensor = Tensor::Of<std::int32_t>({2, 1}, std::vector<std::int32_t>{1, -2});
  const v1::Tensor message = ToProto(tensor.view());
  EXPECT_EQ(message.data_type(), v1::DATA_TYPE_INT32);
  EXPECT_THAT(message.shape(), ElementsAre(2, 1));
  EXPECT_EQ(message.data(), std::string("\x01\0\0\0\xFE\xFF\xFF\xFF", 8));
  EXPECT_THAT(message.values(), IsEmpty());
}

TEST(ConvertTensor, ValuesTravelAsNumbers) {
  const Tensor tensor = Tensor::Of<float>({3}, std::vector<float>{0.5F, -1, 1e30F});
  const v1::Tensor message = ToProto(tensor.view(), TensorEncoding::kValues);
  EXPECT_THAT(message.values(), ElementsAre(0.5, -1, 1e30F));
  EXPECT_TRUE(message.data().empty());
}

TEST(ConvertTensor, EveryTypeSurvivesTheWireInBothEncodings) {
  for (int number = 1; number <= v1::DataType_MAX; ++number) {
    const auto type = static_cast<DataType>(number);
    Tensor tensor(type, {2, 3});
    for (int i = 0; i < 6; ++i) StoreFromDouble(type, tensor.data(), i, i * 7);
    for (const auto encoding : {TensorEncoding::kData, TensorEncoding::kValues}) {
      const auto back = FromProto(ToProto(tensor.view(), encoding));
      ASSERT_TRUE(back.ok()) << back.status();
      EXPECT_EQ(back->data_type(), type);
      EXPECT_EQ(back->shape(), tensor.shape());
      EXPECT_EQ(
          std::memcmp(back->data(), tensor.data(), static_cast<std::size_t>(tensor.byte_count())),
          0)
          << Name(type);
    }
  }
}

TEST(ConvertTensor, AnEmptyTensorSurvivesTheWire) {
  const auto back = FromProto(ToProto(Tensor(DataType::kFloat32, {0, 3}).view()));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_THAT(back->shape(), ElementsAre(0, 3));
  EXPECT_EQ(back->byte_count(), 0);
}

TEST(ConvertTensor, ReadingRefusesWhatDoesNotFitItsShape) {
  struct Row {
    const char* name;
    const char* message;
    const char* field;
  };
  for (const Row& row : {
           Row{"no type", "shape: 1 data: 'abcd'", "output.data_type"},
           Row{"short", "data_type: DATA_TYPE_FLOAT32 shape: 2 data: 'abcd'", "output.data"},
           Row{"negative", "data_type: DATA_TYPE_FLOAT32 shape: -1", "output.shape"},
           Row{"overflow", "data_type: DATA_TYPE_FLOAT32 shape: [4294967296, 4294967296]",
               "output.shape"},
           Row{"count", "data_type: DATA_TYPE_FLOAT32 shape: 2 values: 1", "output.values"},
       }) {
    const auto tensor = FromProto(Parse<v1::Tensor>(row.message), "output");
    EXPECT_THAT(ViolationsOf(tensor.status()),
                ElementsAre(Field(&FieldViolation::field, row.field)))
        << row.name;
  }
}

TEST(ConvertTensor, AlignedBytesAreViewedAndOthersCopied) {
  alignas(8) char bytes[24] = {};
  const double one = 1;
  std::memcpy(bytes + 8, &one, 8);
  std::memcpy(bytes + 9 + 7, &one, 8);
  Tensor storage;
  const TensorView in_place = AlignedView(DataType::kFloat64, {1}, {bytes + 8, 8}, storage);
  EXPECT_EQ(static_cast<const void*>(in_place.data), bytes + 8);
  EXPECT_EQ(storage.byte_count(), 0);

  std::memcpy(bytes + 1, &one, 8);
  const TensorView moved = AlignedView(DataType::kFloat64, {1}, {bytes + 1, 8}, storage);
  EXPECT_EQ(moved.data, storage.data());
  EXPECT_EQ(moved.As<double>()[0], 1);
}

}  // namespace
}  // namespace convserve
