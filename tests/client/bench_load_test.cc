// The pace of a load, in a time that passes only when somebody sleeps or a request takes some.
#include <latch>
#include <mutex>
#include <set>
#include <thread>

#include "client/bench/load.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace convserve::bench {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;

class LoadTest : public ::testing::Test {
 protected:
  Time FakeTime() {
    return {.now = [this] { return now_; },
            .sleep_until = [this](Clock::time_point moment,
                                  const std::stop_token&) { now_ = std::max(now_, moment); }};
  }

  Sender Taking(milliseconds time) {
    return [this, time](const Send& send) {
      sent_at_.push_back(std::chrono::duration_cast<milliseconds>(now_ - start_).count());
      numbers_.push_back(send.number);
      now_ += time;
      return Outcome{};
    };
  }

  const Clock::time_point start_{seconds(1000)};
  Clock::time_point now_ = start_;
  std::vector<std::int64_t> sent_at_;
  std::vector<std::int64_t> numbers_;
};

TEST_F(LoadTest, AClosedLoopSendsWhenTheLastRequestIsDone) {
  const LoadResult result =
      RunLoad({.send = Taking(milliseconds(30))}, {.duration = milliseconds(100)}, FakeTime());
  EXPECT_THAT(sent_at_, ElementsAre(0, 30, 60, 90));
  EXPECT_EQ(result.kinds[0].answered(), 4);
  EXPECT_EQ(result.kinds[0].latencies().most(), milliseconds(30));
  EXPECT_EQ(result.elapsed, milliseconds(120));
}

TEST_F(LoadTest, AnOpenLoopSendsAtItsOwnPace) {
  RunLoad({.send = Taking(milliseconds(1))}, {.rate = 100, .duration = milliseconds(40)},
          FakeTime());
  EXPECT_THAT(sent_at_, ElementsAre(0, 10, 20, 30));
}

// One stall of 50 ms: a closed loop would see a single slow request.
TEST_F(LoadTest, AnOpenLoopChargesAStallWithEverybodyWhomItMadeWait) {
  const auto stalls_once = [this](const Send& send) {
    now_ += milliseconds(send.number == 0 ? 50 : 1);
    return Outcome{};
  };
  const LoadResult result =
      RunLoad({.send = stalls_once}, {.rate = 100, .duration = milliseconds(60)}, FakeTime());
  const Durations& latencies = result.kinds[0].latencies();
  // Sent at 0, 50, 51, 52, 53, 54 where 0, 10, 20, 30, 40, 50 were meant.
  EXPECT_EQ(latencies.count(), 6);
  EXPECT_EQ(latencies.most(), milliseconds(50));
  EXPECT_EQ(latencies.mean(),
            std::chrono::nanoseconds(milliseconds(50 + 41 + 32 + 23 + 14 + 5)) / 6);
}

TEST_F(LoadTest, EndsAfterSoManyRequests) {
  RunLoad({.send = Taking(milliseconds(1))}, {.requests = 3}, FakeTime());
  EXPECT_THAT(numbers_, ElementsAre(0, 1, 2));
}

TEST_F(LoadTest, WhatIsMeantForTheWarmUpIsSentAndNotCounted) {
  const LoadResult result =
      RunLoad({.send = Taking(milliseconds(1))},
              {.rate = 100, .duration = milliseconds(20), .warm_up = milliseconds(30)}, FakeTime());
  EXPECT_EQ(numbers_.size(), 5u);
  EXPECT_EQ(result.kinds[0].answered(), 2);
  EXPECT_EQ(result.elapsed, milliseconds(11));
}

TEST_F(LoadTest, RequestsOfTheWarmUpAreNotAmongThoseAskedFor) {
  for (const double rate : {0.0, 100.0}) {
    now_ = start_;
    numbers_.clear();
    const LoadResult result =
        RunLoad({.send = Taking(milliseconds(10))},
                {.rate = rate, .requests = 3, .warm_up = milliseconds(50)}, FakeTime());
    EXPECT_THAT(numbers_, ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
    EXPECT_EQ(result.kinds[0].answered(), 3);
  }
}

TEST_F(LoadTest, CountsEachKindByItself) {
  const LoadResult result =
      RunLoad({.send = Taking(milliseconds(1)),
               .kind = [](std::int64_t number) { return static_cast<std::size_t>(number % 3); },
               .kinds = 3},
              {.requests = 5}, FakeTime());
  EXPECT_EQ(result.kinds[0].answered(), 2);
  EXPECT_EQ(result.kinds[1].answered(), 2);
  EXPECT_EQ(result.kinds[2].answered(), 1);
}

TEST(Load, AllSendersSendAtTheSameTimeAndNoNumberTwice) {
  constexpr int kSenders = 4;
  std::latch all_there(kSenders);
  std::mutex mutex;
  std::set<std::int64_t> numbers;
  std::set<int> senders;
  const auto send = [&](const Send& request) {
    if (request.number < kSenders) all_there.arrive_and_wait();
    const std::lock_guard lock(mutex);
    senders.insert(request.sender);
    EXPECT_TRUE(numbers.insert(request.number).second);
    return Outcome{};
  };
  const LoadResult result = RunLoad({.send = send}, {.concurrency = kSenders, .requests = 100});
  EXPECT_EQ(result.kinds[0].answered(), 100);
  EXPECT_EQ(*numbers.rbegin(), 99);
  EXPECT_EQ(senders.size(), static_cast<std::size_t>(kSenders));
}

TEST(Load, AStopEndsItAndWhatItCutOffDoesNotCount) {
  std::stop_source stop;
  const auto send = [&](const Send& request) {
    if (request.number < 5) return Outcome{};
    stop.request_stop();
    return Outcome{.status = absl::CancelledError("stopped")};
  };
  const LoadResult result =
      RunLoad({.send = send}, {.duration = std::chrono::hours(1), .stop = stop.get_token()});
  EXPECT_EQ(result.kinds[0].answered(), 5);
  EXPECT_EQ(result.kinds[0].errors(), 0);
}

TEST(Load, AStopWakesASenderThatSleeps) {
  std::stop_source stop;
  const auto send = [&](const Send&) {
    stop.request_stop();
    return Outcome{};
  };
  const LoadResult result = RunLoad(
      {.send = send}, {.rate = 0.001, .duration = std::chrono::hours(1), .stop = stop.get_token()});
  EXPECT_EQ(result.kinds[0].answered(), 1);
}

}  // namespace
}  // namespace convserve::bench
