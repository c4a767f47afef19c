#include "server/handler.h"

#include <latch>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/fixture.h"
#include "tests/support/pieces.h"

namespace convserve {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t kMessage = 64 << 10;

ReceivedRequest Received(const v1::ConvRequest& request) {
  return *ReceivedRequest::Read(Operation::kConv, Sent(request));
}
ReceivedRequest Received(const v1::ConvTransposeRequest& request) {
  return *ReceivedRequest::Read(Operation::kConvTranspose, Sent(request));
}

TEST(Handler, CountsTheBytesOfMessageDecodedTensorsOutputAndWorkspace) {
  const Handler handler({.algorithm = "reference"});
  v1::ConvRequest request = SmallConv();
  const ReceivedRequest received = Received(request);
  const auto work = handler.Prepare(received);
  ASSERT_TRUE(work.ok()) << work.status();
  const std::int64_t message = received.message_bytes();
  const std::int64_t decoded = 2 * 4 * 4;  // both operands came as four numbers
  const std::int64_t output = 4 + 8;       // one float32, and the number that travels
  EXPECT_EQ(work->bytes, message + decoded + output + work->plan.workspace_bytes());
}

TEST(Handler, RefusesAnOutputThatNoMessageHoldsBeforeItIsAllocated) {
  const Handler handler(
      {.max_message_bytes = kMessage, .max_multiply_adds = 1'000'000, .algorithm = {}});
  v1::ConvTransposeRequest request = SpreadConvTranspose();
  request.set_output_encoding(v1::TENSOR_ENCODING_DATA);
  request.mutable_parameters()->set_stride(0, 65536);
  const auto work = handler.Prepare(Received(request));
  EXPECT_EQ(work.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(work.status().message()), HasSubstr("17180917776"));  // 65538^2 * 4
}

TEST(Handler, CountsValuesAtTheirSizeOnTheWire) {
  const Handler handler(
      {.max_message_bytes = kMessage, .max_multiply_adds = 1'000'000, .algorithm = {}});
  v1::ConvTransposeRequest request = SpreadConvTranspose();
  request.mutable_parameters()->set_stride(0, 98);  // 100x100 float32: 40 kB, or 80 kB as numbers
  EXPECT_EQ(handler.Prepare(Received(request)).status().code(),
            absl::StatusCode::kResourceExhausted);
  request.set_output_encoding(v1::TENSOR_ENCODING_DATA);
  EXPECT_TRUE(handler.Prepare(Received(request)).ok());
}

TEST(Handler, RefusesMoreMultiplyAddsThanAllowed) {
  const Handler handler({.max_message_bytes = kMessage, .max_multiply_adds = 3, .algorithm = {}});
  const auto work = handler.Prepare(Received(SmallConv()));
  EXPECT_EQ(work.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(work.status().message()), HasSubstr("expected at most 3, got 4"));
}

TEST(Handler, ListsNoMoreContributionsThanAMessageHolds) {
  const Handler handler(
      {.max_message_bytes = kMessage, .max_multiply_adds = 1 << 30, .algorithm = {}});
  v1::ExplainRequest request;
  *request.mutable_conv() = SlowConv({});
  request.mutable_output_index()->Resize(4, 0);
  const auto work = handler.Prepare(request);
  ASSERT_TRUE(work.ok()) << work.status();
  const auto response = handler.Run(*work, request, {});
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_TRUE(response->truncated());
  EXPECT_GT(response->contributions_size(), 0);
  EXPECT_LE(response->ByteSizeLong(), kMessage);
  EXPECT_EQ(response->value(), 64 * 64) << "the sum counts what is not listed";
}

TEST(Handler, StopsWhileItComputes) {
  const Handler handler({.algorithm = "reference"});
  ReceivedRequest request = Received(SlowConv(kEndless));
  const auto work = handler.Prepare(request);
  ASSERT_TRUE(work.ok()) << work.status();
  std::stop_source stop;
  std::latch started(1);
  absl::Status status;
  std::thread computing([&] {
    started.count_down();
    status = handler.Run(*work, request, {.arrival = {}, .stop = stop.get_token()}).status();
  });
  started.wait();
  stop.request_stop();
  computing.join();
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
}

}  // namespace
}  // namespace convserve
