// What a client tries again, and what it does not.
#include <cstdint>
#include <stop_token>
#include <string>

#include "client/convolution_client.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "proto/status.h"
#include "server/server.h"
#include "tests/client/fake_server.h"
#include "tests/client/small_calls.h"

namespace convserve {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::FakeServer;
using testing::Filled;
using testing::Hasty;
using testing::Ones3x3;
using testing::SmallOperands;

// By default gRPC keeps 256 KiB of a call to send it again, and a larger one is not repeated.
TEST(Hazard08, RequestsBeyondTheDefaultRetryBufferAreRetried) {
  FakeServer server([](int call, const v1::ConvRequest& request, v1::ConvResponse* response) {
    if (call < 3) return grpc::Status(grpc::StatusCode::UNAVAILABLE, "later");
    *response->mutable_output() = request.weight();
    return grpc::Status::OK;
  });
  const Tensor large = Filled(DataType::kUInt8, {1, 1, 2048, 4096}, 1);
  const ConvolutionClient client(server.address(), Hasty());
  const auto result = client.Conv({large.view(), Ones3x3().view(), {}});
  EXPECT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(server.calls(), 3);
}

grpc::Status Busy(milliseconds delay) {
  absl::Status status = absl::ResourceExhaustedError("full");
  SetRetryDelay(status, delay);
  return ToGrpc(status);
}

TEST(Client, ComesBackToABusyServerWhenItIsTold) {
  FakeServer server([](int call, const v1::ConvRequest& request, v1::ConvResponse* response) {
    if (call < 3) return Busy(milliseconds(1));
    *response->mutable_output() = request.weight();
    return grpc::Status::OK;
  });
  const ConvolutionClient client(server.address());
  EXPECT_TRUE(client.Conv(SmallOperands()).ok());
  EXPECT_EQ(server.calls(), 3);
}

TEST(Client, DoesNotWaitForABusyServerBeyondItsDeadline) {
  FakeServer server(
      [](int, const v1::ConvRequest&, v1::ConvResponse*) { return Busy(seconds(3600)); });
  const ConvolutionClient client(server.address());
  const auto result = client.Conv(SmallOperands());
  EXPECT_EQ(result.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(RetryDelayOf(result.status()), seconds(3600));
  EXPECT_EQ(server.calls(), 1);
}

// Some of these are small numbers modulo 2^64, counted in nanoseconds.
TEST(Client, HintsBeyondAllTimeAreNotSoon) {
  for (const std::int64_t delay : {18'446'744'074, 315'576'000'000}) {
    FakeServer server(
        [&](int, const v1::ConvRequest&, v1::ConvResponse*) { return Busy(seconds(delay)); });
    const ConvolutionClient client(server.address());
    EXPECT_EQ(client.Conv(SmallOperands()).status().code(), absl::StatusCode::kResourceExhausted);
    EXPECT_EQ(server.calls(), 1);
  }
}

TEST(Client, AStopEndsThePauseBeforeAnotherAttempt) {
  std::stop_source stop;
  FakeServer server([&](int, const v1::ConvRequest&, v1::ConvResponse*) {
    stop.request_stop();
    return Busy(seconds(30));
  });
  const ConvolutionClient client(server.address());
  const CallOptions options{.stop = stop.get_token()};
  EXPECT_EQ(client.Conv(SmallOperands(), {}, options).status().code(),
            absl::StatusCode::kCancelled);
  EXPECT_EQ(server.calls(), 1);
}

// gRPC refuses a message beyond the server's limit by itself, with a code that a busy server uses
// too.
TEST(Client, WhatIsTooLargeForTheServerIsSentOnce) {
  auto server = Server::Start({.listen = {"127.0.0.1:0"}, .max_message_bytes = 1 << 20});
  ASSERT_TRUE(server.ok()) << server.status();
  ClientOptions options;
  // A second attempt would run into the deadline.
  options.initial_backoff = seconds(3600);
  const Tensor large = Filled(DataType::kUInt8, {1, 1, 2048, 1024}, 1);
  const ConvolutionClient client((*server)->addresses().at(0), options);
  const auto result = client.Conv({large.view(), Ones3x3().view(), {}});
  EXPECT_EQ(result.status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(Client, RetriesOnlyWhatMayPassOnAnotherDay) {
  FakeServer server([](int, const v1::ConvRequest&, v1::ConvResponse*) {
    return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "never");
  });
  const ConvolutionClient client(server.address(), Hasty());
  EXPECT_EQ(client.Conv(SmallOperands()).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(server.calls(), 1);
}

TEST(Client, GivesUpAfterTheAttemptsItWasGiven) {
  for (const int attempts : {1, 2, 5}) {
    FakeServer server([](int, const v1::ConvRequest&, v1::ConvResponse*) {
      return grpc::Status(grpc::StatusCode::UNAVAILABLE, "later");
    });
    ClientOptions options = Hasty();
    options.max_attempts = attempts;
    const ConvolutionClient client(server.address(), options);
    EXPECT_EQ(client.Conv(SmallOperands()).status().code(), absl::StatusCode::kUnavailable);
    EXPECT_EQ(server.calls(), attempts);
  }
}

// As an answer that broke off looks, too: gRPC reports it like a connection that was never made.
TEST(Client, AttemptsAreCountedWhateverEndsThem) {
  FakeServer server([](int call, const v1::ConvRequest&, v1::ConvResponse*) {
    if (call % 3 == 0) return Busy(milliseconds(1));
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "Socket closed");
  });
  const ConvolutionClient client(server.address(), Hasty());
  EXPECT_FALSE(client.Conv(SmallOperands()).ok());
  EXPECT_EQ(server.calls(), 5);
  EXPECT_FALSE(client.ConvAsync(SmallOperands()).get().ok());
  EXPECT_EQ(server.calls(), 10);
}

TEST(Client, PausesOfAnyLengthLeaveTheFirstAttempt) {
  FakeServer server([](int call, const v1::ConvRequest& request, v1::ConvResponse* response) {
    if (call == 2) return grpc::Status(grpc::StatusCode::UNAVAILABLE, "later");
    *response->mutable_output() = request.weight();
    return grpc::Status::OK;
  });
  const ConvolutionClient client(server.address(), {.initial_backoff = milliseconds::max()});
  const auto first = client.Conv(SmallOperands());
  EXPECT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(client.Conv(SmallOperands()).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(server.calls(), 2);
}

TEST(Client, RefusalsForTheirSizeAreNotTriedAgain) {
  auto server = Server::Start({.listen = {"127.0.0.1:0"}, .max_multiply_adds = 1});
  ASSERT_TRUE(server.ok()) << server.status();
  ClientOptions options;
  // A second attempt would run into the deadline.
  options.initial_backoff = seconds(3600);
  const ConvolutionClient client((*server)->addresses().at(0), options);
  EXPECT_EQ(client.Conv(SmallOperands()).status().code(), absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace convserve
