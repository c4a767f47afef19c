// Calls that nobody waits for.
#include <array>
#include <atomic>
#include <latch>
#include <memory>
#include <optional>
#include <stop_token>
#include <thread>
#include <vector>

#include "client/convolution_client.h"
#include "core/violation.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/status.h"
#include "server/server.h"
#include "tests/client/fake_server.h"
#include "tests/support/tensors.h"

namespace convserve {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using testing::FakeServer;
using testing::Filled;
using testing::SameBits;
using testing::ToDoubles;

class AsyncClient : public ::testing::Test {
 protected:
  Operands Small() const { return {input_.view(), weight_.view(), {}}; }
  Operands Large() const { return {large_.view(), weight_.view(), {}}; }

  const Tensor input_ = Filled(DataType::kFloat32, {1, 1, 4, 4}, 1);
  const Tensor weight_ = Filled(DataType::kFloat32, {1, 1, 3, 3}, 1);
  const Tensor large_ = Filled(DataType::kFloat32, {1, 1, 1024, 1024}, 1);
};

FakeServer::Answer Weight() {
  return [](int, const v1::ConvRequest& request, v1::ConvResponse* response) {
    *response->mutable_output() = request.weight();
    return grpc::Status::OK;
  };
}

grpc::Status Busy(milliseconds delay) {
  absl::Status status = absl::ResourceExhaustedError("full");
  SetRetryDelay(status, delay);
  return ToGrpc(status);
}

TEST_F(AsyncClient, FuturesHoldTheResults) {
  const auto server = Server::Start({.listen = {"127.0.0.1:0"}});
  ASSERT_TRUE(server.ok()) << server.status();
  const ConvolutionClient client((*server)->addresses()[0], {.connections = 2});
  std::vector<std::future<absl::StatusOr<ConvResult>>> results;
  for (int i = 0; i < 20; ++i) results.push_back(client.ConvAsync(Small()));
  auto transpose = client.ConvTransposeAsync(Small(), {.stride = {4}});
  auto large = client.ConvAsync(Large(), {.padding = {1}});
  for (auto& future : results) {
    const auto result = future.get();
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_THAT(ToDoubles(result->output), ElementsAre(9, 9, 9, 9));
    EXPECT_NE(result->execution.algorithm, "");
  }
  EXPECT_EQ(transpose.get()->output.shape(), (Shape{1, 1, 15, 15}));
  EXPECT_TRUE(SameBits(large.get()->output, client.Conv(Large(), {.padding = {1}})->output));
}

TEST_F(AsyncClient, CallbacksAreTold) {
  FakeServer server(Weight());
  const ConvolutionClient client(server.address());
  std::latch both(2);
  client.ConvAsync(Small(), {}, {}, [&](const absl::StatusOr<ConvResult>& result) {
    EXPECT_TRUE(result.ok()) << result.status();
    both.count_down();
  });
  // The fake knows no transposed convolution.
  client.ConvTransposeAsync(Small(), {}, {}, [&](const absl::StatusOr<ConvResult>& result) {
    EXPECT_EQ(result.status().code(), absl::StatusCode::kUnimplemented);
    both.count_down();
  });
  both.wait();
}

TEST_F(AsyncClient, ACallbackMayStartTheNextCall) {
  FakeServer server(Weight());
  const ConvolutionClient client(server.address());
  std::latch all(5);
  std::function<void(absl::StatusOr<ConvResult>)> next;
  next = [&](const absl::StatusOr<ConvResult>& result) {
    EXPECT_TRUE(result.ok()) << result.status();
    if (server.calls() < 5) client.ConvAsync(Small(), {}, {}, next);
    all.count_down();
  };
  client.ConvAsync(Small(), {}, {}, next);
  all.wait();
}

TEST_F(AsyncClient, WhatIsNotSentIsRefusedAtOnce) {
  FakeServer server(Weight());
  ClientOptions options;
  options.max_message_bytes = 65536;
  const ConvolutionClient client(server.address(), options);
  EXPECT_EQ(client.ConvAsync(Large()).get().status().code(), absl::StatusCode::kResourceExhausted);
  ConvParameters parameters;
  parameters.stride.assign(100000, 1);
  EXPECT_EQ(client.ConvAsync(Small(), parameters).get().status().code(),
            absl::StatusCode::kResourceExhausted);
  const auto nothing = client
                           .ConvAsync({{DataType::kFloat32, {1, 1, -1, 4}, input_.data()},
                                       {DataType::kFloat32, {1, 1, 3, 3}, nullptr},
                                       {}})
                           .get();
  EXPECT_EQ(ViolationsOf(nothing.status()).size(), 2u);
  EXPECT_EQ(server.calls(), 0);
}

TEST_F(AsyncClient, DeadlinesAndRefusalsEndACall) {
  FakeServer hanging;
  const ConvolutionClient client(hanging.address());
  const CallOptions soon{.timeout = milliseconds(50)};
  EXPECT_EQ(client.ConvAsync(Small(), {}, soon).get().status().code(),
            absl::StatusCode::kDeadlineExceeded);
  FakeServer refusing([](int, const v1::ConvRequest&, v1::ConvResponse*) {
    return ToGrpc(InvalidArgument({{"input.shape", "expected more"}}));
  });
  const ConvolutionClient refused(refusing.address());
  EXPECT_THAT(ViolationsOf(refused.ConvAsync(Small()).get().status()),
              ElementsAre(FieldViolation{"input.shape", "expected more"}));
}

TEST_F(AsyncClient, StopCancelsACallHereAndOnTheServer) {
  FakeServer server;
  const ConvolutionClient client(server.address());
  std::stop_source stop;
  auto result = client.ConvAsync(Large(), {}, {.stop = stop.get_token()});
  server.WaitForCall();
  stop.request_stop();
  EXPECT_EQ(result.get().status().code(), absl::StatusCode::kCancelled);
  server.WaitForCancel();
}

TEST_F(AsyncClient, StopThatWasRequestedBeforeCancelsToo) {
  FakeServer server;
  const ConvolutionClient client(server.address());
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(client.ConvAsync(Small(), {}, {.stop = stop.get_token()}).get().status().code(),
            absl::StatusCode::kCancelled);
}

TEST_F(AsyncClient, ComesBackToABusyServerWhenItIsTold) {
  FakeServer server([](int call, const v1::ConvRequest& request, v1::ConvResponse* response) {
    if (call < 4) return Busy(milliseconds(1));
    *response->mutable_output() = request.weight();
    return grpc::Status::OK;
  });
  const ConvolutionClient client(server.address());
  EXPECT_TRUE(client.ConvAsync(Large()).get().ok());
  EXPECT_EQ(server.calls(), 4);
}

TEST_F(AsyncClient, GivesUpOnABusyServerAfterTheAttemptsItWasGiven) {
  FakeServer server(
      [](int, const v1::ConvRequest&, v1::ConvResponse*) { return Busy(milliseconds(1)); });
  ClientOptions options;
  options.max_attempts = 3;
  const ConvolutionClient client(server.address(), options);
  EXPECT_EQ(client.ConvAsync(Small()).get().status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(server.calls(), 3);
}

// As gRPC reports a connection that ended after an answer had begun, when it makes no attempt
// itself.
TEST_F(AsyncClient, AsksAgainForAnAnswerThatBrokeOff) {
  FakeServer server([](int call, const v1::ConvRequest& request, v1::ConvResponse* response) {
    if (call % 2 == 1) return grpc::Status(grpc::StatusCode::UNKNOWN, "Stream removed");
    *response->mutable_output() = request.weight();
    return grpc::Status::OK;
  });
  EXPECT_TRUE(ConvolutionClient(server.address()).ConvAsync(Large()).get().ok());
  EXPECT_EQ(server.calls(), 2);
  const ConvolutionClient once(server.address(), {.max_attempts = 1});
  EXPECT_EQ(once.ConvAsync(Small()).get().status().code(), absl::StatusCode::kUnknown);
  EXPECT_EQ(server.calls(), 3);
}

TEST_F(AsyncClient, AStopEndsThePauseBeforeAnotherAttempt) {
  FakeServer server(
      [](int, const v1::ConvRequest&, v1::ConvResponse*) { return Busy(seconds(30)); });
  const ConvolutionClient client(server.address());
  std::stop_source stop;
  auto result = client.ConvAsync(Small(), {}, {.stop = stop.get_token()});
  server.WaitForCall();
  stop.request_stop();
  EXPECT_EQ(result.get().status().code(), absl::StatusCode::kCancelled);
}

TEST_F(AsyncClient, ACallOutlivesItsClientAndItsFuture) {
  FakeServer server(Weight());
  std::future<absl::StatusOr<ConvResult>> kept;
  {
    const ConvolutionClient client(server.address());
    kept = client.ConvAsync(Small());
    client.ConvAsync(Small());
  }
  EXPECT_TRUE(kept.get().ok());
  while (server.calls() < 2) std::this_thread::yield();
}

// Stops, deadlines and answers at every moment, on tensors that are sent from where they lie: each
// call has its own copy of them, which is gone as soon as the call says so.
TEST_F(AsyncClient, AStormOfStopsTouchesNoTensorAfterTheEnd) {
  constexpr int kThreads = 4;
  constexpr int kCalls = 150;
  const auto server = Server::Start({.listen = {"127.0.0.1:0"}, .threads = 2, .max_requests = 8});
  ASSERT_TRUE(server.ok()) << server.status();
  const ConvolutionClient client((*server)->addresses()[0], {.connections = 2});
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&] {
      for (int i = 0; i < kCalls; ++i) {
        std::stop_source stop;
        std::array<std::future<void>, 3> ends;
        for (std::future<void>& end : ends) {
          auto input = std::make_unique<Tensor>(testing::Slice(large_, 2, {0, 64}));
          std::promise<void> ended;
          end = ended.get_future();
          const Operands operands{input->view(), weight_.view(), {}};
          client.ConvAsync(
              operands, {},
              {.timeout = milliseconds(i % 3 == 0 ? i % 20 : 60'000), .stop = stop.get_token()},
              [input = std::move(input),
               ended = std::move(ended)](const absl::StatusOr<ConvResult>&) mutable {
                input.reset();
                ended.set_value();
              });
          if (i % 2 == 0) std::this_thread::yield();
        }
        stop.request_stop();
        for (std::future<void>& end : ends) end.wait();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(client.Conv(Small()).ok());
}

}  // namespace
}  // namespace convserve
