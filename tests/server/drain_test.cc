// Cancellation, deadlines, overload and the end of a server. Where a test must know that a request
// has been accepted, the server takes a single one, and a second caller asks until it is turned
// away.
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/status.h"
#include "tests/server/fixture.h"

namespace convserve {
namespace {

using ::testing::AnyOf;

constexpr std::chrono::milliseconds kNoDrain{0};

class DrainTest : public ::testing::Test {
 protected:
  const ScopedEnvironment forced_{"CONVSERVE_ALGORITHM", "reference"};
  std::unique_ptr<Server> server_ =
      StartServer({.listen = {"127.0.0.1:0"}, .threads = 2, .max_requests = 1});
  Caller caller_{ChannelTo(server_->addresses()[0])};
};

TEST_F(DrainTest, ARequestTooManyIsToldToTryAgain) {
  Pending request(caller_, kEndless);
  v1::DescribeResponse response;
  const absl::Status refused = caller_.Describe({}, response);
  EXPECT_EQ(ReasonOf(refused), "TOO_MANY_REQUESTS");
  EXPECT_NE(RetryDelayOf(refused), std::nullopt);
  request.Cancel();
  EXPECT_EQ(request.Wait().code(), absl::StatusCode::kCancelled);
}

TEST_F(DrainTest, ACancelledRequestGivesItsPlaceBack) {
  Pending request(caller_, kEndless);
  request.Cancel();
  EXPECT_EQ(request.Wait().code(), absl::StatusCode::kCancelled);
  // The Describe is refused by its own fields as soon as there is a place.
  caller_.AskUntil(absl::StatusCode::kInvalidArgument);
}

TEST_F(DrainTest, APassedDeadlineStopsTheComputation) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(50));
  EXPECT_EQ(caller_.Conv(context, SlowConv(kEndless)).code(), absl::StatusCode::kDeadlineExceeded);
  caller_.AskUntil(absl::StatusCode::kInvalidArgument);
}

TEST_F(DrainTest, ShutdownLetsAcceptedRequestsFinish) {
  Pending request(caller_, kMoment);
  std::thread stopping([this] { server_->Shutdown(kLongDrain); });
  server_->Wait();
  EXPECT_TRUE(request.Wait().ok());
  stopping.join();
}

TEST_F(DrainTest, ADrainingServerRefusesNewRequestsAndIsNotServing) {
  Pending request(caller_, kEndless);
  std::thread stopping([this] { server_->Shutdown(kLongDrain); });
  caller_.AskUntil(absl::StatusCode::kUnavailable);
  EXPECT_EQ(caller_.Health("convserve.v1.ConvolutionService"), "NOT_SERVING");
  EXPECT_EQ(caller_.Health(""), "NOT_SERVING");
  request.Cancel();
  stopping.join();
  EXPECT_EQ(request.Wait().code(), absl::StatusCode::kCancelled);
}

TEST_F(DrainTest, WhatDoesNotFinishInTimeIsCancelled) {
  Pending request(caller_, kEndless);
  server_->Shutdown(kNoDrain);
  EXPECT_THAT(request.Wait().code(),
              AnyOf(absl::StatusCode::kCancelled, absl::StatusCode::kUnavailable));
}

TEST_F(DrainTest, AHealthWatcherDoesNotHoldTheServerUp) {
  const auto stub = grpc::health::v1::Health::NewStub(ChannelTo(server_->addresses()[0]));
  grpc::ClientContext context;
  grpc::health::v1::HealthCheckResponse health;
  const auto stream = stub->Watch(&context, {});
  ASSERT_TRUE(stream->Read(&health));
  EXPECT_EQ(health.status(), grpc::health::v1::HealthCheckResponse::SERVING);
  server_->Shutdown(kLongDrain);
  ASSERT_TRUE(stream->Read(&health));
  EXPECT_EQ(health.status(), grpc::health::v1::HealthCheckResponse::NOT_SERVING);
  EXPECT_FALSE(stream->Read(&health));
}

TEST_F(DrainTest, ShutdownCanBeCalledFromSeveralThreads) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back([this] { server_->Shutdown(kNoDrain); });
  for (std::thread& thread : threads) thread.join();
  server_->Shutdown(kLongDrain);
  server_->Wait();
}

// Cancellations at every moment of a call's life: on arrival, in the queue, while it computes, when
// it is done.
TEST(Hazard09, CancellationsAtAnyMomentLeaveNothingBehind) {
  const ScopedEnvironment forced("CONVSERVE_ALGORITHM", "reference");
  const auto server = StartServer(
      {.listen = {"127.0.0.1:0"}, .threads = 2, .memory_limit = 2'000'000, .max_requests = 16});
  std::vector<std::thread> callers;
  for (int thread = 0; thread < 4; ++thread) {
    callers.emplace_back([&, thread] {
      Caller caller(ChannelTo(server->addresses()[0]));
      for (int i = 0; i < 100; ++i) {
        grpc::ClientContext context;
        std::thread cancelling;
        if (i % 4 == 0) context.TryCancel();
        if (i % 4 == 1) cancelling = std::thread([&] { context.TryCancel(); });
        if (i % 4 == 2) {
          context.set_deadline(std::chrono::system_clock::now() +
                               std::chrono::microseconds(100 * (i % 32)));
        }
        const absl::Status status = caller.Conv(context, SlowConv({4 + 4 * thread, 8}));
        if (cancelling.joinable()) cancelling.join();
        EXPECT_THAT(status.code(), AnyOf(absl::StatusCode::kOk, absl::StatusCode::kCancelled,
                                         absl::StatusCode::kDeadlineExceeded,
                                         absl::StatusCode::kResourceExhausted))
            << status;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  v1::ConvResponse response;
  EXPECT_TRUE(Caller(ChannelTo(server->addresses()[0])).Conv(SmallConv(), response).ok());
  server->Shutdown(kLongDrain);
}

}  // namespace
}  // namespace convserve
