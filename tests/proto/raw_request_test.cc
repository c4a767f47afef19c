// Requests and responses as bytes: what one side writes, protobuf and the other side read.
#include "proto/raw_request.h"

#include <algorithm>
#include <numeric>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/raw_response.h"
#include "tests/proto/messages.h"
#include "tests/support/pieces.h"

namespace convserve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Tensor Counting(Shape shape) {
  Tensor tensor(DataType::kFloat32, std::move(shape));
  std::iota(tensor.As<float>(), tensor.As<float>() + tensor.size(), 0.0F);
  return tensor;
}

bool SameElements(const TensorView& view, const Tensor& tensor) {
  return view.data_type == tensor.data_type() && view.shape == tensor.shape() &&
         std::equal(tensor.data(), tensor.data() + tensor.byte_count(), view.data);
}

struct Sizes {
  const char* name;
  std::int64_t channels;
};
// Tensors that are copied into the message, and such that it refers to.
constexpr Sizes kSizes[] = {{"short", 1}, {"long", 500}};

class RawRequestTest : public ::testing::TestWithParam<Sizes> {
 protected:
  Tensor input_ = Counting({1, GetParam().channels, 8, 8});
  Tensor weight_ = Counting({2, GetParam().channels, 3, 3});
  Tensor bias_ = Counting({2});
  TensorRequest request_{{input_.view(), weight_.view(), bias_.view()},
                         ConvParameters{.stride = {2}},
                         DataType::kFloat64};
};

TEST_P(RawRequestTest, ProtobufReadsWhatTheClientWrites) {
  v1::ConvRequest message;
  ASSERT_TRUE(message.ParseFromString(Joined(WriteRequest(request_, {}))));
  v1::ConvRequest expected;
  *expected.mutable_input() = ToProto(input_.view());
  *expected.mutable_weight() = ToProto(weight_.view());
  *expected.mutable_bias() = ToProto(bias_.view());
  expected.mutable_parameters()->add_stride(2);
  expected.set_output_type(v1::DATA_TYPE_FLOAT64);
  EXPECT_TRUE(Equals(message, expected));
}

TEST_P(RawRequestTest, TheServerReadsWhatTheClientWrites) {
  grpc::ByteBuffer bytes = WriteRequest(request_, {});
  auto received = ReceivedRequest::Read(Operation::kConv, ByteChain(bytes));
  ASSERT_TRUE(received.ok()) << received.status();
  const auto problem = MakeProblem(received->Decode());
  ASSERT_TRUE(problem.ok()) << problem.status();
  EXPECT_THAT(problem->output_shape(), ElementsAre(1, 2, 3, 3));
  EXPECT_EQ(problem->output_type(), DataType::kFloat64);
  EXPECT_FALSE(received->wants_values());
  const Operands operands = received->TakeOperands();
  EXPECT_TRUE(SameElements(operands.input, input_));
  EXPECT_TRUE(SameElements(operands.weight, weight_));
  EXPECT_TRUE(SameElements(*operands.bias, bias_));
}

TEST_P(RawRequestTest, TheServerReadsWhatArrivesInPieces) {
  const std::string bytes = Joined(WriteRequest(request_, {}));
  for (const std::size_t size : {1, 7, 1000, 8192}) {
    std::vector<std::size_t> cuts;
    for (std::size_t cut = size; cut < bytes.size(); cut += size) cuts.push_back(cut);
    auto received = ReceivedRequest::Read(Operation::kConv, InPieces(bytes, cuts));
    ASSERT_TRUE(received.ok()) << received.status();
    const Operands operands = received->TakeOperands();
    EXPECT_TRUE(SameElements(operands.input, input_)) << size;
    EXPECT_TRUE(SameElements(operands.weight, weight_)) << size;
    EXPECT_TRUE(SameElements(*operands.bias, bias_)) << size;
  }
}

TEST_P(RawRequestTest, ATransposedRequestHasItsOwnParameters) {
  request_.parameters = ConvTransposeParameters{.output_padding = {1}};
  v1::ConvTransposeRequest message;
  ASSERT_TRUE(message.ParseFromString(Joined(WriteRequest(request_, {}))));
  EXPECT_THAT(message.parameters().output_padding(), ElementsAre(1));
  EXPECT_TRUE(Equals(message.input(), ToProto(input_.view())));
}

TEST_P(RawRequestTest, TheKeeperIsHeldAsLongAsTheMessageRefersToATensor) {
  auto keeper = std::make_shared<int>(0);
  {
    const grpc::ByteBuffer bytes = WriteRequest(request_, keeper);
    EXPECT_EQ(keeper.use_count() > 1, GetParam().channels > 1);
  }
  EXPECT_EQ(keeper.use_count(), 1);
}

TEST_P(RawRequestTest, TheClientReadsWhatTheServerWrites) {
  const Execution execution{.algorithm = "gemm", .instruction_set = "avx2"};
  grpc::ByteBuffer bytes = WriteResponse({input_.Clone(), execution}, /*as_values=*/false);
  v1::ConvResponse message;
  ASSERT_TRUE(message.ParseFromString(Joined(bytes)));
  EXPECT_TRUE(Equals(message.output(), ToProto(input_.view())));
  EXPECT_EQ(message.execution().algorithm(), "gemm");
  const auto result = ReadResponse(ByteChain(bytes));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(SameElements(result->output.view(), input_));
  EXPECT_EQ(result->execution.instruction_set, "avx2");
}

TEST_P(RawRequestTest, AResponseOfValues) {
  grpc::ByteBuffer bytes = WriteResponse({weight_.Clone(), {}}, /*as_values=*/true);
  v1::ConvResponse message;
  ASSERT_TRUE(message.ParseFromString(Joined(bytes)));
  EXPECT_TRUE(Equals(message.output(), ToProto(weight_.view(), TensorEncoding::kValues)));
  const auto result = ReadResponse(ByteChain(bytes));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(SameElements(result->output.view(), weight_));
}

INSTANTIATE_TEST_SUITE_P(, RawRequestTest, ::testing::ValuesIn(kSizes),
                         [](const auto& row) { return row.param.name; });

TEST(ReceivedRequest, TensorsTypedAsNumbersAreConverted) {
  auto received = ReceivedRequest::Read(Operation::kConv, Sent(Typed()));
  ASSERT_TRUE(received.ok()) << received.status();
  ASSERT_TRUE(MakeProblem(received->Decode()).ok());
  const Operands operands = received->TakeOperands();
  EXPECT_EQ(operands.input.As<float>()[3], 4);
  EXPECT_EQ(operands.weight.As<float>()[0], 2);
  EXPECT_FALSE(operands.bias.has_value());
}

TEST(ReceivedRequest, ATensorInOnePieceIsUsedWhereItIs) {
  const Tensor input = Counting({1, 1, 64, 64});
  const Tensor weight = Counting({1, 1, 1, 1});
  grpc::ByteBuffer bytes =
      WriteRequest({{input.view(), weight.view(), {}}, ConvParameters{}, {}}, {});
  auto received = ReceivedRequest::Read(Operation::kConv, ByteChain(bytes));
  ASSERT_TRUE(received.ok()) << received.status();
  const Operands operands = received->TakeOperands();
  EXPECT_EQ(operands.input.data, input.data());
  EXPECT_TRUE(SameElements(operands.weight, weight));
}

TEST(ReceivedRequest, PiecesAreGivenBackWhenTheirTensorsAreCopied) {
  const Tensor input = Counting({1, 1, 64, 64});
  const std::string bytes =
      Joined(WriteRequest({{input.view(), input.view(), {}}, ConvParameters{}, {}}, {}));
  // Three parts, which cut both tensors; the end of each is counted.
  int given_back = 0;
  const auto part = [&](std::size_t begin, std::size_t end) {
    struct Held {
      std::string bytes;
      int& given_back;
    };
    auto* held = new Held{bytes.substr(begin, end - begin), given_back};
    return grpc::Slice(
        held->bytes.data(), held->bytes.size(),
        [](void* data) {
          ++static_cast<Held*>(data)->given_back;
          delete static_cast<Held*>(data);
        },
        held);
  };
  std::vector<grpc::Slice> pieces;
  pieces.push_back(part(0, 1001));
  pieces.push_back(part(1001, bytes.size() - 1001));
  pieces.push_back(part(bytes.size() - 1001, bytes.size()));
  auto received = ReceivedRequest::Read(Operation::kConv, ByteChain(std::move(pieces)));
  ASSERT_TRUE(received.ok()) << received.status();
  EXPECT_EQ(given_back, 0);
  EXPECT_TRUE(SameElements(received->TakeOperands().weight, input));
  EXPECT_EQ(given_back, 3) << "the request itself still lives";
}

// Several threads move what is as long as this.
TEST(ReceivedRequest, ALongMessageIsMovedPieceByPiece) {
  const Tensor input = Counting({1, 3, 700, 500});
  const Tensor weight = Counting({40, 3, 60, 60});
  const std::string bytes =
      Joined(WriteRequest({{input.view(), weight.view(), {}}, ConvParameters{}, {}}, {}));
  std::vector<grpc::Slice> pieces;
  std::size_t largest = 0;
  for (std::size_t begin = 0; begin < bytes.size();) {
    const std::size_t end = std::min(begin + 1 + begin * 7919 % 100'003, bytes.size());
    pieces.emplace_back(bytes.substr(begin, end - begin));
    largest = std::max(largest, end - begin);
    begin = end;
  }
  auto received = ReceivedRequest::Read(Operation::kConv, ByteChain(std::move(pieces)));
  ASSERT_TRUE(received.ok()) << received.status();
  const std::int64_t in_motion = received->memory_bytes() - received->message_bytes();
  EXPECT_GE(in_motion, static_cast<std::int64_t>(largest));
  EXPECT_LE(in_motion, 4 * static_cast<std::int64_t>(largest)) << "a piece for each thread";
  const Operands operands = received->TakeOperands();
  EXPECT_TRUE(SameElements(operands.input, input));
  EXPECT_TRUE(SameElements(operands.weight, weight));
}

TEST(ReceivedRequest, CountsTheMessageAndWhatItDecodes) {
  const v1::ConvRequest typed = Typed();
  const auto received = ReceivedRequest::Read(Operation::kConv, Sent(typed));
  ASSERT_TRUE(received.ok()) << received.status();
  const std::int64_t message = received->message_bytes();
  EXPECT_GE(message, 5 * 8) << "the numbers as they were parsed; what they came in is gone";
  EXPECT_LE(message, 5 * 8 * 3);
  EXPECT_EQ(received->memory_bytes(), message + 5 * 4) << "five numbers become floats";

  const Tensor input = Counting({1, 1, 8, 8});
  grpc::ByteBuffer raw = WriteRequest({{input.view(), input.view(), {}}, ConvParameters{}, {}}, {});
  const auto size = static_cast<std::int64_t>(raw.Length());
  EXPECT_EQ(ReceivedRequest::Read(Operation::kConv, ByteChain(raw))->message_bytes(), size);
}

TEST(RawResponse, AnEmptyTensorKeepsItsShape) {
  grpc::ByteBuffer bytes = WriteResponse({Counting({0, 2, 3}), {}}, /*as_values=*/false);
  const auto result = ReadResponse(ByteChain(bytes));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(result->output.shape(), ElementsAre(0, 2, 3));
  EXPECT_EQ(result->output.data_type(), DataType::kFloat32);
}

TEST(RawResponse, ATensorThatContradictsItselfIsRefused) {
  struct Row {
    const char* name;
    const char* output;
    const char* text;
  };
  for (const Row& row :
       {Row{"too few bytes", "data_type: DATA_TYPE_FLOAT32 shape: 2 data: '1234'", "output.data"},
        Row{"a huge shape", "data_type: DATA_TYPE_INT8 shape: [ 9999999, 9999999 ] data: '1'",
            "output.data"},
        Row{"no type", "shape: 1 data: '1'", "output.data_type"},
        Row{"a negative size", "data_type: DATA_TYPE_INT8 shape: -1 data: '1'", "output.shape"},
        Row{"both", "data_type: DATA_TYPE_INT8 shape: 1 data: '1' values: 1", "output.values"}}) {
    const auto message = Parse<v1::ConvResponse>("output { " + std::string(row.output) + " }");
    const auto result = ReadResponse(Sent(message));
    EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument) << row.name;
    EXPECT_THAT(std::string(result.status().message()), HasSubstr(row.text)) << row.name;
  }
}

}  // namespace
}  // namespace convserve
