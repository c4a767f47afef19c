// Places, bytes, refusals and the times to come back.
#include <atomic>
#include <future>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/admission_fixture.h"

namespace convserve {
namespace {

using Demand = Admission::Demand;
using Lane = Admission::Lane;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST_F(AdmissionTest, GrantsWhatFitsAtOnce) {
  EXPECT_EQ(Ask(1, Bytes(60)), "granted");
  EXPECT_EQ(Ask(2, Bytes(40)), "granted");
  EXPECT_EQ(Now().bytes, 100);
  EXPECT_EQ(Now().computing, 2);
}

TEST_F(AdmissionTest, RequestsOfOneKindWaitInTheOrderOfTheirArrival) {
  EXPECT_EQ(Ask(1, Bytes(60)), "granted");
  EXPECT_EQ(Ask(2, Bytes(80)), "waits");
  EXPECT_EQ(Ask(3, Bytes(80)), "waits");
  EXPECT_EQ(Now().waiting, 2);
  Leave(1);
  EXPECT_THAT(granted_, ElementsAre(2));
  Leave(2);
  EXPECT_THAT(granted_, ElementsAre(2, 3));
}

TEST_F(AdmissionTest, ARequestThatDoesNotFitIsPassedUntilItIsDue) {
  EXPECT_EQ(Ask(1, Bytes(60)), "granted");
  EXPECT_EQ(Ask(2, Bytes(80)), "waits");
  EXPECT_EQ(Ask(3, Bytes(20)), "granted") << "there is room, and 2 can wait";
  Leave(3);
  now_ += Admission::kPatience;
  EXPECT_EQ(Ask(4, Bytes(20)), "waits") << "the bytes are kept for 2";
  Leave(1);
  EXPECT_THAT(granted_, ElementsAre(2, 4));
}

TEST_F(AdmissionTest, AMessageCountsWhileItWaits) {
  EXPECT_EQ(Ask(1, {.message_bytes = 10, .further_bytes = 50}), "granted");
  EXPECT_EQ(Ask(2, {.message_bytes = 30, .further_bytes = 30}), "waits");
  EXPECT_EQ(Now().bytes, 90);
  EXPECT_EQ(Ask(3, {.message_bytes = 11}), "MEMORY_BUSY");
  EXPECT_NE(RetryDelayOf(last_refusal_), std::nullopt);
  EXPECT_EQ(Count(Refusal::kMemoryBusy), 1);
  Leave(1);
  EXPECT_THAT(granted_, ElementsAre(2));
  EXPECT_EQ(Now().bytes, 60);
}

// Otherwise messages could fill the memory, and none of them could ever be computed.
TEST_F(AdmissionTest, WaitingMessagesLeaveRoomForTheLargestOfTheirDemands) {
  EXPECT_EQ(Ask(1, Bytes(50)), "granted");
  EXPECT_EQ(Ask(2, {.message_bytes = 20, .further_bytes = 60}), "waits");
  EXPECT_EQ(Ask(3, {.message_bytes = 21, .further_bytes = 0}), "MEMORY_BUSY") << "20 + 21 + 60";
  EXPECT_EQ(Ask(3, {.message_bytes = 20, .further_bytes = 60}), "waits");
  Leave(1);
  Leave(2);
  EXPECT_THAT(granted_, ElementsAre(2, 3));
}

TEST_F(AdmissionTest, WhatParsingTakesCountsUntilTheDemandIsStated) {
  ASSERT_TRUE(Enter(1, 20).ok());
  EXPECT_EQ(Grow(1, 60), "");
  EXPECT_EQ(Now().bytes, 80);
  ASSERT_TRUE(Enter(2, 10).ok());
  EXPECT_EQ(Grow(2, 11), "MEMORY_BUSY");
  EXPECT_EQ(Grow(2, 91), "MEMORY_LIMIT");
  EXPECT_EQ(Grow(2, std::numeric_limits<std::int64_t>::max()), "MEMORY_LIMIT");
  EXPECT_EQ(Now().bytes, 90) << "a refusal changes nothing";
  EXPECT_TRUE(Reserve(1, {.message_bytes = 30, .further_bytes = 10})->has_value());
  EXPECT_EQ(Now().bytes, 50);
  EXPECT_EQ(Grow(2, 11), "");
  Leave(2);
  Leave(1);
  EXPECT_EQ(Now().bytes, 0);
}

TEST_F(AdmissionTest, RefusesMoreThanThereIsWithoutAHintToRetry) {
  EXPECT_EQ(Ask(1, {.message_bytes = 60, .further_bytes = 41}), "MEMORY_LIMIT");
  EXPECT_EQ(last_refusal_.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(last_refusal_.message()), HasSubstr("101 bytes"));
  EXPECT_THAT(std::string(last_refusal_.message()), HasSubstr("allows 100"));
  EXPECT_EQ(RetryDelayOf(last_refusal_), std::nullopt);
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(Ask(1, {.message_bytes = 60, .further_bytes = kMost}), "MEMORY_LIMIT");
  EXPECT_EQ(Ask(1, {.message_bytes = kMost, .further_bytes = kMost}), "MEMORY_LIMIT");
  EXPECT_EQ(Now().bytes, 0);
}

TEST_F(AdmissionTest, RefusesARequestTooManyAtOnceWithAHintToRetry) {
  for (const int name : {1, 2, 3, 4}) ASSERT_TRUE(Enter(name).ok());
  const absl::Status status = Enter(5);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(status), "TOO_MANY_REQUESTS");
  EXPECT_NE(RetryDelayOf(status), std::nullopt);
  EXPECT_EQ(Count(Refusal::kTooManyRequests), 1);
  Leave(5);
  EXPECT_FALSE(Enter(5).ok()) << "a refused request held a place";
  Leave(1);
  EXPECT_TRUE(Enter(5).ok());
}

class ExpectedTest : public AdmissionTest {
 protected:
  std::string Expect(int name) {
    places_[name] = std::make_unique<Admission::Place>(admission_);
    return ReasonOf(admission_.Expect(*places_[name]));
  }
  std::string Arrive(int name) { return ReasonOf(admission_.Enter(*places_[name])); }
};

TEST_F(ExpectedTest, MoreThanThereIsPlaceForAreNotReceived) {
  for (const int name : {1, 2}) ASSERT_TRUE(Enter(name).ok());
  EXPECT_EQ(Expect(3), "");
  EXPECT_EQ(Expect(4), "");
  EXPECT_EQ(Expect(5), "TOO_MANY_REQUESTS");
  EXPECT_EQ(Arrive(3), "");
  EXPECT_EQ(Arrive(4), "");
  Leave(3);
  EXPECT_EQ(Expect(5), "");
}

TEST_F(ExpectedTest, WhoDawdlesHoldsNobodyUp) {
  for (const int name : {1, 2}) ASSERT_TRUE(Enter(name).ok());
  EXPECT_EQ(Expect(3), "");
  EXPECT_EQ(Expect(4), "");
  now_ += Admission::kArrival + milliseconds(1);
  EXPECT_EQ(Expect(5), "");
  EXPECT_EQ(Arrive(5), "");
  EXPECT_EQ(Arrive(4), "") << "it still finds the place that is left";
  EXPECT_EQ(Arrive(3), "TOO_MANY_REQUESTS");
}

TEST_F(ExpectedTest, ThoseWhoNeverComeTakeHalfOfThePlacesAtMost) {
  for (int name = 10; name < 20; ++name) EXPECT_EQ(Expect(name), "");
  for (const int name : {1, 2}) EXPECT_EQ(ReasonOf(Enter(name)), "");
  EXPECT_EQ(Expect(3), "TOO_MANY_REQUESTS");
  for (int name = 10; name < 20; ++name) Leave(name);
  EXPECT_EQ(Expect(3), "");
}

TEST_F(ExpectedTest, NobodyIsExpectedAfterTheEnd) {
  admission_.Close();
  EXPECT_EQ(Expect(1), "SHUTTING_DOWN");
  EXPECT_TRUE(admission_.WaitUntilEmpty(now_));
}

TEST_F(AdmissionTest, AnAnsweredRequestLeavesItsPlaceAndKeepsItsBytesUntilItEnds) {
  EXPECT_EQ(Ask(1, Bytes(100)), "granted");
  for (const int name : {2, 3, 4}) ASSERT_TRUE(Enter(name).ok());
  admission_.Answer(*places_[1]);
  EXPECT_EQ(Now().computing, 0);
  EXPECT_EQ(Ask(5, Bytes(1)), "waits");
  Leave(1);
  EXPECT_THAT(granted_, ElementsAre(5));
  EXPECT_FALSE(Enter(6).ok()) << "the place was given back twice";
}

TEST_F(AdmissionTest, WhatTheAnswerDoesNotNeedComesFreeBeforeTheEnd) {
  EXPECT_EQ(Ask(1, {.message_bytes = 40, .further_bytes = 60}), "granted");
  EXPECT_EQ(Ask(2, Bytes(70)), "waits");
  admission_.Answer(*places_[1], 31);
  EXPECT_THAT(granted_, IsEmpty());
  admission_.Answer(*places_[1], 30);
  EXPECT_THAT(granted_, ElementsAre(2));
  EXPECT_EQ(Now().bytes, 100);
}

TEST_F(AdmissionTest, AMessageCountsFromItsArrival) {
  places_[1] = std::make_unique<Admission::Place>(admission_);
  EXPECT_TRUE(admission_.Enter(*places_[1], 60).ok());
  EXPECT_EQ(Now().bytes, 60);
  places_[2] = std::make_unique<Admission::Place>(admission_);
  EXPECT_EQ(ReasonOf(admission_.Enter(*places_[2], 41)), "MEMORY_BUSY");
  EXPECT_EQ(ReasonOf(admission_.Enter(*places_[2], 101)), "MEMORY_LIMIT");
  EXPECT_TRUE(admission_.Enter(*places_[2], 40).ok());
  Leave(2);
  EXPECT_TRUE(Reserve(1, {.message_bytes = 60, .further_bytes = 40})->has_value())
      << "it counts once";
  EXPECT_EQ(Now().bytes, 100);
}

TEST_F(AdmissionTest, AWithdrawnRequestStopsWaitingAndLetsOthersPass) {
  EXPECT_EQ(Ask(1, Bytes(60)), "granted");
  EXPECT_EQ(Ask(2, {.message_bytes = 10, .further_bytes = 80}), "waits");
  now_ += Admission::kPatience;
  EXPECT_EQ(Ask(3, Bytes(20)), "waits");
  Withdraw(2);
  EXPECT_EQ(refused_[2].code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(granted_, ElementsAre(3));
  EXPECT_EQ(Now().bytes, 80) << "its message counts no more";
}

TEST_F(AdmissionTest, ARequestWithdrawnBeforeItReservesIsNotQueued) {
  ASSERT_TRUE(Enter(1).ok());
  Withdraw(1);
  EXPECT_EQ(Reserve(1, Bytes(10)).status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(Now().bytes, 0);
}

TEST_F(AdmissionTest, OnceClosedItFinishesWhatItHasAndTakesNothingNew) {
  ASSERT_TRUE(Enter(1).ok());
  admission_.Close();
  const absl::Status refused = Enter(2);
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ReasonOf(refused), "SHUTTING_DOWN");
  EXPECT_TRUE(Reserve(1, Bytes(10))->has_value());
  EXPECT_FALSE(admission_.WaitUntilEmpty(std::chrono::steady_clock::now()));
  Leave(1);
  EXPECT_TRUE(admission_.WaitUntilEmpty(std::chrono::steady_clock::now()));
}

class RetryDelayTest : public AdmissionTest {
 protected:
  RetryDelayTest() : AdmissionTest({.memory_bytes = 100, .requests = 4, .slots = 2}) {}

  // The least of the delays that the next eight are told.
  milliseconds Hint() {
    milliseconds least = milliseconds::max();
    milliseconds most{0};
    for (int i = 0; i < 8; ++i) {
      const milliseconds delay = RetryDelayOf(Enter(100 + i)).value_or(milliseconds(-1));
      least = std::min(least, delay);
      most = std::max(most, delay);
    }
    if (least > Admission::kMinRetryDelay && most < Admission::kMaxRetryDelay) {
      EXPECT_LT(least, most) << "all would return at the same time";
    }
    return least;
  }
};

TEST_F(RetryDelayTest, FollowsTheBacklog) {
  for (const int name : {1, 2, 3, 4}) Ask(name, Takes(milliseconds(100)));
  EXPECT_EQ(Hint(), milliseconds(75));  // 4 x 100 ms in 2 slots, half of it, a quarter less
}

TEST_F(RetryDelayTest, CountsTheUnknownLikeTheKnown) {
  for (const int name : {1, 2}) Ask(name, Takes(milliseconds(100)));
  for (const int name : {3, 4}) Ask(name, {});
  EXPECT_EQ(Hint(), milliseconds(75));
}

TEST_F(RetryDelayTest, IsAQuarterOfASecondOrSoWhileNothingIsKnown) {
  for (const int name : {1, 2, 3, 4}) Ask(name, {});
  EXPECT_EQ(Hint(), milliseconds(187));
}

TEST_F(RetryDelayTest, StaysWithinItsBounds) {
  for (const int name : {1, 2, 3, 4}) Ask(name, Takes(milliseconds(1)));
  EXPECT_EQ(Hint(), Admission::kMinRetryDelay);
  for (const int name : {1, 2, 3, 4}) Leave(name);
  for (const int name : {5, 6, 7, 8}) Ask(name, Takes(seconds(100'000)));
  EXPECT_EQ(Hint(), Admission::kMaxRetryDelay);
}

TEST(AdmissionStorm, KeepsItsBoundsAndTellsEachRequestOnce) {
  constexpr int kThreads = 8;
  constexpr int kRounds = 2000;
  constexpr std::int64_t kBytes = 1000;
  constexpr int kSlots = 3;
  Admission admission({.memory_bytes = kBytes, .requests = kThreads - 1, .slots = kSlots});
  std::atomic<std::int64_t> held = 0;
  std::atomic<int> computing = 0;
  std::atomic<int> served = 0;
  const auto caller = [&](int thread) {
    for (int round = 0; round < kRounds; ++round) {
      Admission::Place place(admission);
      if (!admission.Enter(place).ok()) continue;
      Demand demand{.message_bytes = (thread * 31 + round * 7) % kBytes / 8,
                    .further_bytes = (thread * 131 + round * 17) % kBytes * 3 / 4 + 1,
                    .estimate = milliseconds(round % 16)};
      if (round % 5 == 0) demand.deadline = Admission::Clock::now() + milliseconds(round % 20);
      std::promise<absl::StatusOr<Lane>> told;  // set twice, it throws
      const auto lane = admission.Reserve(
          place, demand, [&](const absl::StatusOr<Lane>& granted) { told.set_value(granted); });
      if (!lane.ok()) continue;
      if (!lane->has_value()) {
        if (round % 3 == 0) admission.Withdraw(place);
        if (!told.get_future().get().ok()) continue;
      }
      const std::int64_t bytes = demand.message_bytes + demand.further_bytes;
      EXPECT_LE(held += bytes, kBytes);
      EXPECT_LE(++computing, kSlots + 1);
      ++served;
      --computing;
      held -= bytes;
      admission.Answer(place);
    }
  };
  std::vector<std::thread> callers;
  for (int thread = 0; thread < kThreads; ++thread) callers.emplace_back(caller, thread);
  for (std::thread& thread : callers) thread.join();
  EXPECT_GT(served, 0);
  EXPECT_TRUE(admission.WaitUntilEmpty(std::chrono::steady_clock::now()));
  const Admission::Usage usage = admission.usage();
  EXPECT_EQ(usage.bytes, 0);
  EXPECT_EQ(usage.waiting, 0);
  EXPECT_EQ(usage.computing, 0);
}

}  // namespace
}  // namespace convserve
