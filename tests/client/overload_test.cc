// Many times what a server can take: it answers as much as ever, rightly, within its memory, and
// turns the rest away. (`./dev stress` measures the same for half a minute.)
#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "client/bench/load.h"
#include "client/bench/workload.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/status.h"
#include "server/server.h"

namespace convserve::bench {
namespace {

constexpr std::int64_t kMemory = 24 << 20;
constexpr int kRequests = 12;

class Overload : public ::testing::Test {
 protected:
  void SetUp() override {
    auto server = Server::Start({.listen = {"127.0.0.1:0"},
                                 .threads = 2,
                                 .memory_limit = kMemory,
                                 .max_requests = kRequests});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    std::vector<RequestKind> kinds;
    for (const char* kind : {"6*tiny", "6*small", "2*1,16,64,64:16,16,5,5:padding=2",
                             "1,8,256,256:8,8,3,3:padding=1", "1,32,32,32:32,16,4,4:transpose"}) {
      auto parsed = ParseRequestKind(kind);
      ASSERT_TRUE(parsed.ok()) << parsed.status();
      kinds.push_back(*std::move(parsed));
    }
    auto workload = Workload::Make(std::move(kinds), /*verify=*/true);
    ASSERT_TRUE(workload.ok()) << workload.status();
    workload_.emplace(*std::move(workload));
  }

  Load LoadOf(const ConvolutionClient& client) {
    return {.send =
                [&](const struct Send& send) {
                  Outcome outcome = workload_->Send(client, send.number, {});
                  if (!outcome.status.ok() && RetryDelayOf(outcome.status) == std::nullopt) {
                    const std::lock_guard lock(mutex_);
                    without_hint_.push_back(outcome.status);
                  }
                  const ServerLoad load = server_->load();
                  if (load.bytes > kMemory || load.requests > kRequests) ++beyond_limits_;
                  return outcome;
                },
            .kind = [&](std::int64_t number) { return workload_->KindOf(number); },
            .kinds = workload_->kinds().size()};
  }

  void ExpectRecovery() {
    ServerLoad load = server_->load();
    while (load.bytes != 0 || load.requests != 0) load = server_->load();
    const ConvolutionClient patient(server_->addresses()[0], {.max_attempts = 1});
    for (std::int64_t number = 0; number < 20; ++number) {
      const Outcome outcome = workload_->Send(patient, number, {});
      EXPECT_TRUE(outcome.status.ok()) << outcome.status;
      EXPECT_FALSE(outcome.wrong);
    }
  }

  std::unique_ptr<Server> server_;
  std::optional<Workload> workload_;
  std::mutex mutex_;
  std::vector<absl::Status> without_hint_;  // refusals
  std::atomic<int> beyond_limits_ = 0;
};

TEST_F(Overload, WhatIsAcceptedIsAnsweredRightlyAndTheRestIsToldWhenToComeBack) {
  constexpr int kSenders = 4 * kRequests;
  const ConvolutionClient client(server_->addresses()[0], {.max_attempts = 1, .connections = 2});
  // Both connections are there before the crowd is: one that is not within two seconds is given up,
  // and its calls are UNAVAILABLE.
  RunLoad(LoadOf(client), {.concurrency = 4, .duration = std::chrono::hours(1), .requests = 40});
  const LoadResult result =
      RunLoad(LoadOf(client),
              {.concurrency = kSenders, .duration = std::chrono::hours(1), .requests = 3000});
  for (const Tally& kind : result.kinds) {
    EXPECT_GT(kind.answered(), 0) << "starved";
    EXPECT_EQ(kind.wrong(), 0);
    EXPECT_EQ(kind.errors(), kind.errors(absl::StatusCode::kResourceExhausted));
  }
  EXPECT_EQ(without_hint_.size(), 0U) << without_hint_.front();
  EXPECT_EQ(beyond_limits_, 0);
  ExpectRecovery();
}

TEST_F(Overload, CallersWhoHeedTheHintAreAllServed) {
  constexpr int kSenders = 2 * kRequests;
  const ConvolutionClient client(server_->addresses()[0]);
  const LoadResult result =
      RunLoad(LoadOf(client),
              {.concurrency = kSenders, .duration = std::chrono::hours(1), .requests = 500});
  std::int64_t answered = 0;
  std::int64_t refused = 0;
  for (const Tally& kind : result.kinds) {
    answered += kind.answered();
    refused += kind.errors();
    EXPECT_EQ(kind.wrong(), 0);
  }
  EXPECT_EQ(answered + refused, 500);
  EXPECT_GT(answered, refused);
  ExpectRecovery();
}

}  // namespace
}  // namespace convserve::bench
