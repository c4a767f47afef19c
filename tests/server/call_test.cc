// What each RPC answers and refuses, through a socket.
#include <unistd.h>

#include <filesystem>

#include "core/violation.h"
#include "gmock/gmock.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "gtest/gtest.h"
#include "proto/status.h"
#include "server/request_id.h"
#include "tests/server/fixture.h"

namespace convserve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::vector<double> SpreadKernels() {
  return {1, 2, 0, 0, 2, 4,  //
          0, 1, 0, 0, 0, 2,  //
          0, 0, 0, 0, 0, 0,  //
          0, 0, 0, 0, 0, 0,  //
          3, 6, 0, 0, 4, 8,  //
          0, 3, 0, 0, 0, 4};
}

class CallTest : public ::testing::Test {
 protected:
  std::unique_ptr<Server> server_ = StartServer();
  Caller caller_{ChannelTo(server_->addresses()[0])};
};

TEST_F(CallTest, ConvAnswersWithTheTensorAndHowItWasComputed) {
  v1::ConvResponse response;
  ASSERT_TRUE(caller_.Conv(SmallConv(), response).ok());
  EXPECT_THAT(response.output().shape(), ElementsAre(1, 1, 1, 1));
  EXPECT_EQ(response.output().data_type(), v1::DATA_TYPE_FLOAT32);
  EXPECT_THAT(response.output().values(), ElementsAre(9));
  EXPECT_THAT(response.execution().algorithm(), Not(IsEmpty()));
  EXPECT_THAT(response.execution().instruction_set(), Not(IsEmpty()));
  EXPECT_GT(response.execution().queue_nanoseconds(), 0);
  EXPECT_GT(response.execution().compute_nanoseconds(), 0);
}

TEST_F(CallTest, ConvTransposeAnswersWithTheTensor) {
  v1::ConvTransposeResponse response;
  ASSERT_TRUE(caller_.ConvTranspose(SpreadConvTranspose(), response).ok());
  EXPECT_THAT(response.output().shape(), ElementsAre(1, 1, 6, 6));
  EXPECT_THAT(response.output().values(), testing::ElementsAreArray(SpreadKernels()));
  EXPECT_THAT(response.execution().algorithm(), Not(IsEmpty()));
}

TEST_F(CallTest, ABiasIsAddedAndTheOutputTypeIsTheOneAskedFor) {
  v1::ConvRequest request = SmallConv();
  request.mutable_bias()->set_data_type(v1::DATA_TYPE_FLOAT32);
  request.mutable_bias()->add_shape(1);
  request.mutable_bias()->add_values(0.5);
  request.set_output_type(v1::DATA_TYPE_INT8);
  request.set_output_encoding(v1::TENSOR_ENCODING_UNSPECIFIED);
  v1::ConvResponse response;
  ASSERT_TRUE(caller_.Conv(request, response).ok());
  EXPECT_EQ(response.output().data_type(), v1::DATA_TYPE_INT8);
  EXPECT_EQ(response.output().data(), "\x0a") << "9.5 rounds to even";
  EXPECT_THAT(response.output().values(), IsEmpty());
}

TEST_F(CallTest, AnEmptyBatchGivesAnEmptyOutput) {
  v1::ConvRequest request = SmallConv();
  request.mutable_input()->set_shape(0, 0);
  request.mutable_input()->clear_values();
  v1::ConvResponse response;
  const absl::Status status = caller_.Conv(request, response);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_THAT(response.output().shape(), ElementsAre(0, 1, 1, 1));
  EXPECT_EQ(response.output().data(), "");
}

TEST_F(CallTest, DescribeAnswersFromShapesAlone) {
  v1::DescribeRequest request;
  for (const int size : {1, 3, 28, 28}) request.add_input_shape(size);
  for (const int size : {8, 3, 3, 3}) request.add_weight_shape(size);
  request.set_input_type(v1::DATA_TYPE_FLOAT16);
  request.set_weight_type(v1::DATA_TYPE_FLOAT16);
  request.mutable_conv()->add_stride(2);
  request.mutable_conv()->set_auto_pad(v1::AUTO_PAD_SAME_UPPER);
  v1::DescribeResponse response;
  ASSERT_TRUE(caller_.Describe(request, response).ok());
  EXPECT_THAT(response.output_shape(), ElementsAre(1, 8, 14, 14));
  EXPECT_EQ(response.output_type(), v1::DATA_TYPE_FLOAT16);
  ASSERT_EQ(response.axes_size(), 2);
  EXPECT_EQ(response.axes(0).padding_begin(), 0);
  EXPECT_EQ(response.axes(0).padding_end(), 1);
  EXPECT_EQ(response.multiply_adds(), 8 * 14 * 14 * 3 * 3 * 3);
  EXPECT_EQ(response.input_bytes(), 3 * 28 * 28 * 2);
  EXPECT_EQ(response.weight_bytes(), 8 * 27 * 2);
  EXPECT_EQ(response.output_bytes(), 8 * 14 * 14 * 2);
  EXPECT_THAT(response.algorithm(), Not(IsEmpty()));
}

TEST_F(CallTest, ExplainListsTheProductsOfOneElement) {
  v1::ExplainRequest request;
  *request.mutable_conv_transpose() = SpreadConvTranspose();
  for (const int index : {0, 0, 4, 5}) request.add_output_index(index);
  v1::ExplainResponse response;
  ASSERT_TRUE(caller_.Explain(request, response).ok());
  ASSERT_EQ(response.contributions_size(), 1);
  EXPECT_THAT(response.contributions(0).input_index(), ElementsAre(0, 0, 1, 1));
  EXPECT_THAT(response.contributions(0).weight_index(), ElementsAre(0, 0, 0, 1));
  EXPECT_EQ(response.contributions(0).input_value(), 4);
  EXPECT_EQ(response.contributions(0).weight_value(), 2);
  EXPECT_EQ(response.value(), 8);
}

TEST_F(CallTest, ExplainNeedsNoElements) {
  v1::ExplainRequest request;
  *request.mutable_conv() = SmallConv();
  request.mutable_conv()->mutable_input()->clear_values();
  request.mutable_conv()->mutable_weight()->clear_values();
  request.mutable_output_index()->Resize(4, 0);
  v1::ExplainResponse response;
  const absl::Status status = caller_.Explain(request, response);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(response.contributions_size(), 4);
  EXPECT_EQ(response.value(), 0);
}

TEST_F(CallTest, TheIdOfACallComesBackWhetherOrNotItsMethodExists) {
  for (const char* method : {"Conv", "Correlate"}) {
    const AnswerInBytes answer = CallInBytes(
        ChannelTo(server_->addresses()[0]),
        std::string("/convserve.v1.ConvolutionService/") + method, InOneSlice(""),
        [](grpc::ClientContext& context) { context.AddMetadata(kRequestIdKey, "order-7"); });
    EXPECT_FALSE(answer.status.ok());
    EXPECT_EQ(answer.id, "order-7") << method;
  }
}

TEST_F(CallTest, ARefusalCarriesEveryViolationInItsDetails) {
  v1::ConvRequest request = SmallConv();
  request.mutable_parameters()->add_stride(0);
  request.mutable_parameters()->set_groups(0);
  request.mutable_input()->add_values(5);
  const auto stub = v1::ConvolutionService::NewStub(ChannelTo(server_->addresses()[0]));
  grpc::ClientContext context;
  v1::ConvResponse response;
  const grpc::Status status = stub->Conv(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("parameters.stride[0]: expected"));
  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(status.error_details()));
  EXPECT_EQ(details.code(), 3);
  EXPECT_EQ(details.message(), status.error_message());
  google::rpc::BadRequest bad_request;
  ASSERT_TRUE(details.details(0).UnpackTo(&bad_request));
  EXPECT_EQ(bad_request.field_violations_size(), 3);
}

TEST_F(CallTest, EachRpcNamesTheFieldsOfItsOwnRequest) {
  v1::ConvRequest conv = SmallConv();
  conv.mutable_parameters()->add_stride(0);
  v1::ConvResponse conv_response;
  EXPECT_THAT(RefusedFields(caller_.Conv(conv, conv_response)),
              ElementsAre("parameters.stride[0]"));

  v1::ConvTransposeRequest transposed = SpreadConvTranspose();
  transposed.mutable_parameters()->add_output_padding(4);
  v1::ConvTransposeResponse transposed_response;
  EXPECT_THAT(RefusedFields(caller_.ConvTranspose(transposed, transposed_response)),
              ElementsAre("parameters.output_padding[0]"));

  v1::DescribeRequest describe;
  describe.mutable_input_shape()->Assign(conv.input().shape().begin(), conv.input().shape().end());
  describe.mutable_weight_shape()->Assign(conv.weight().shape().begin(),
                                          conv.weight().shape().end());
  describe.set_input_type(v1::DATA_TYPE_FLOAT32);
  describe.set_weight_type(v1::DATA_TYPE_INT8);
  *describe.mutable_conv() = conv.parameters();
  v1::DescribeResponse describe_response;
  EXPECT_THAT(RefusedFields(caller_.Describe(describe, describe_response)),
              testing::UnorderedElementsAre("weight_type", "conv.stride[0]"));

  v1::ExplainRequest explain;
  *explain.mutable_conv() = conv;
  v1::ExplainResponse explain_response;
  EXPECT_THAT(RefusedFields(caller_.Explain(explain, explain_response)),
              ElementsAre("conv.parameters.stride[0]"));
  explain.mutable_conv()->clear_parameters();
  explain.add_output_index(7);
  EXPECT_THAT(RefusedFields(caller_.Explain(explain, explain_response)),
              ElementsAre("output_index"));
}

TEST_F(CallTest, AskingForTooMuchNamesBothFigures) {
  v1::ConvTransposeRequest request = SpreadConvTranspose();
  request.set_output_encoding(v1::TENSOR_ENCODING_DATA);
  request.mutable_parameters()->set_stride(0, 65536);
  v1::ConvTransposeResponse response;
  const absl::Status status = caller_.ConvTranspose(request, response);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(status), "REQUEST_LIMIT");
  EXPECT_EQ(RetryDelayOf(status), std::nullopt) << "waiting does not help";
}

TEST(Call, OverAUnixSocket) {
  const std::string path = (std::filesystem::temp_directory_path() /
                            ("convserve-" + std::to_string(getpid()) + ".sock"));
  const auto server = StartServer({.listen = {"unix:" + path}});
  EXPECT_THAT(server->addresses(), ElementsAre("unix:" + path));
  v1::ConvTransposeResponse response;
  ASSERT_TRUE(
      Caller(ChannelTo("unix:" + path)).ConvTranspose(SpreadConvTranspose(), response).ok());
  EXPECT_THAT(response.output().values(), testing::ElementsAreArray(SpreadKernels()));
}

TEST(Call, InProcessWithoutAnyAddress) {
  const auto server = StartServer({});
  EXPECT_THAT(server->addresses(), IsEmpty());
  Caller caller(server->InProcessChannel());
  v1::ConvResponse response;
  ASSERT_TRUE(caller.Conv(SmallConv(), response).ok());
  EXPECT_THAT(response.output().values(), ElementsAre(9));
  EXPECT_THAT(RefusedFields(caller.Conv({}, response)), ElementsAre("input", "weight"));
}

TEST(Call, TheForcedAlgorithmIsTheOneThatRuns) {
  const ScopedEnvironment forced("CONVSERVE_ALGORITHM", "reference");
  const auto server = StartServer();
  v1::ConvResponse response;
  ASSERT_TRUE(Caller(ChannelTo(server->addresses()[0])).Conv(SmallConv(), response).ok());
  EXPECT_EQ(response.execution().algorithm(), "reference");
}

TEST(Call, MoreMemoryThanTheServerHasIsRefused) {
  const auto server = StartServer({.listen = {"127.0.0.1:0"}, .memory_limit = 64 << 10});
  v1::ConvRequest request = SmallConv();
  request.mutable_parameters()->add_padding(100);  // 201 x 201 floats
  v1::ConvResponse response;
  const absl::Status status = Caller(ChannelTo(server->addresses()[0])).Conv(request, response);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(status), "MEMORY_LIMIT");
}

TEST(Call, SumsOverManyThreadsAndCallersAreTheSameBits) {
  v1::ConvRequest request = SmallConv();
  request.set_output_encoding(v1::TENSOR_ENCODING_DATA);
  v1::Tensor& input = *request.mutable_input();
  input.clear_values();
  input.mutable_shape()->Clear();
  for (const int size : {2, 16, 40, 40}) input.add_shape(size);
  v1::Tensor& weight = *request.mutable_weight();
  weight.clear_values();
  weight.mutable_shape()->Clear();
  for (const int size : {24, 16, 3, 3}) weight.add_shape(size);
  std::vector<float> pixels(2 * 16 * 40 * 40);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = 1.0F / static_cast<float>(i % 97 + 3);
  input.set_data(pixels.data(), pixels.size() * sizeof(float));
  weight.set_data(pixels.data(), 24 * 16 * 9 * sizeof(float));

  std::string expected;
  for (const int threads : {1, 4}) {
    const auto server = StartServer({.listen = {"127.0.0.1:0"}, .threads = threads});
    std::vector<std::thread> callers;
    std::vector<v1::ConvResponse> responses(4);
    for (v1::ConvResponse& response : responses) {
      callers.emplace_back([&] {
        EXPECT_TRUE(Caller(ChannelTo(server->addresses()[0])).Conv(request, response).ok());
      });
    }
    for (std::thread& caller : callers) caller.join();
    if (expected.empty()) expected = responses[0].output().data();
    for (const v1::ConvResponse& response : responses) {
      EXPECT_TRUE(response.output().data() == expected) << threads << " threads";
    }
  }
}

}  // namespace
}  // namespace convserve
