// The queue, with a clock that a test moves by hand.
#include "server/admission.h"

#include <atomic>
#include <future>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/status.h"

namespace convserve {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Demand = Admission::Demand;
using Lane = Admission::Lane;
using Refusal = Admission::Refusal;

// Requests named by number, and what they were told.
class AdmissionTest : public ::testing::Test {
 protected:
  explicit AdmissionTest(Admission::Limits limits = {.memory_bytes = 100,
                                                     .requests = 4,
                                                     .slots = 8})
      : admission_(limits, [this] { return now_; }) {}

  // No place may end while it waits.
  void TearDown() override {
    for (const auto& [name, place] : places_) admission_.Withdraw(*place);
  }

  absl::Status Enter(int name) {
    places_[name] = std::make_unique<Admission::Place>(admission_);
    return admission_.Enter(*places_[name]);
  }

  absl::StatusOr<std::optional<Lane>> Reserve(int name, const Demand& demand) {
    return admission_.Reserve(*places_[name], demand, [this, name](absl::StatusOr<Lane> lane) {
      if (lane.ok()) {
        granted_.push_back(name);
        lanes_[name] = *lane;
      } else {
        refused_[name] = lane.status();
      }
    });
  }

  // Enters and reserves: "granted", "waits", or why not.
  std::string Ask(int name, const Demand& demand) {
    if (const absl::Status status = Enter(name); !status.ok()) return ReasonOf(status);
    const auto lane = Reserve(name, demand);
    if (!lane.ok()) {
      last_refusal_ = lane.status();
      places_.erase(name);
      return ReasonOf(last_refusal_);
    }
    if (lane->has_value()) lanes_[name] = **lane;
    return lane->has_value() ? "granted" : "waits";
  }

  Demand Bytes(std::int64_t bytes) { return {.further_bytes = bytes}; }
  Demand Takes(milliseconds estimate) { return {.estimate = estimate}; }
  Demand TakesUntil(milliseconds estimate, milliseconds deadline) {
    return {.deadline = now_ + deadline, .estimate = estimate};
  }

  void Leave(int name) { places_.erase(name); }
  void Withdraw(int name) { admission_.Withdraw(*places_[name]); }
  Admission::Usage Now() { return admission_.usage(); }
  std::int64_t Count(Refusal refusal) { return Now().refusals[static_cast<std::size_t>(refusal)]; }

  Admission::Clock::time_point now_{seconds(1000)};
  Admission admission_;
  std::vector<int> granted_;
  std::map<int, absl::Status> refused_;
  std::map<int, Lane> lanes_;
  absl::Status last_refusal_;
  std::map<int, std::unique_ptr<Admission::Place>> places_;
};

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

// Two compute at a time; short ones have one slot more.
class SlotsTest : public AdmissionTest {
 protected:
  SlotsTest() : AdmissionTest({.memory_bytes = 100, .requests = 1000, .slots = 2}) {}
};

TEST_F(SlotsTest, NoMoreComputeAtATimeThanThereAreSlots) {
  EXPECT_EQ(Ask(1, {}), "granted");
  EXPECT_EQ(Ask(2, {}), "granted");
  EXPECT_EQ(Ask(3, {}), "waits");
  admission_.Answer(*places_[1]);
  EXPECT_THAT(granted_, ElementsAre(3));
}

TEST_F(SlotsTest, TheEarliestDeadlineComesFirst) {
  EXPECT_EQ(Ask(1, {}), "granted");
  EXPECT_EQ(Ask(2, {}), "granted");
  EXPECT_EQ(Ask(3, {.deadline = now_ + milliseconds(400)}), "waits");
  EXPECT_EQ(Ask(4, {.deadline = now_ + milliseconds(200)}), "waits");
  EXPECT_EQ(Ask(5, {.deadline = now_ + milliseconds(300)}), "waits");
  EXPECT_EQ(Ask(6, {}), "waits");
  for (const int name : {1, 2, 4, 5}) Leave(name);
  EXPECT_THAT(granted_, ElementsAre(4, 5, 3, 6));
}

TEST_F(SlotsTest, ALongRequestMustStartEarlierForTheSameDeadline) {
  EXPECT_EQ(Ask(1, {}), "granted");
  EXPECT_EQ(Ask(2, {}), "granted");
  EXPECT_EQ(Ask(3, TakesUntil(milliseconds(10), milliseconds(400))), "waits");
  EXPECT_EQ(Ask(4, TakesUntil(milliseconds(200), milliseconds(400))), "waits");
  Leave(1);
  Leave(2);
  EXPECT_THAT(granted_, ElementsAre(4, 3));
}

TEST_F(SlotsTest, SmallRequestsPassLargeOnesThatCanWait) {
  EXPECT_EQ(Ask(1, {}), "granted");
  EXPECT_EQ(Ask(2, {}), "granted");
  EXPECT_EQ(Ask(3, Takes(milliseconds(1000))), "waits");
  EXPECT_EQ(Ask(4, Takes(milliseconds(10))), "waits");
  Leave(1);
  EXPECT_THAT(granted_, ElementsAre(4));
}

// Small ones keep coming, twice as many as there is time for.
TEST_F(SlotsTest, ALargeRequestIsPassedOnlyByThoseThatComeSoonAfterIt) {
  constexpr milliseconds kSmall{10};
  constexpr milliseconds kLarge{100};
  EXPECT_EQ(Ask(1, Takes(kSmall)), "granted");
  EXPECT_EQ(Ask(2, Takes(kSmall)), "granted");
  EXPECT_EQ(Ask(0, Takes(kLarge)), "waits");
  int computing = 1;  // beside 2, which stays
  for (int name = 3; !lanes_.contains(0); name += 2) {
    ASSERT_LT(name, 900);
    EXPECT_EQ(Ask(name, Takes(kSmall)), "waits");
    EXPECT_EQ(Ask(name + 1, Takes(kSmall)), "waits");
    now_ += kSmall;
    Leave(computing);
    computing = granted_.back();
  }
  // Due together with the large one are those that come 10 * (100 - 10) ms after it.
  EXPECT_EQ(granted_.size(), 2 * (Admission::kStretch * (kLarge - kSmall) / kSmall) + 1);
}

TEST_F(SlotsTest, AShortRequestNeverWaitsForTheEndOfALongOne) {
  EXPECT_EQ(Ask(1, Takes(seconds(10))), "granted");
  EXPECT_EQ(Ask(2, Takes(seconds(10))), "granted");
  EXPECT_EQ(Ask(3, Takes(seconds(1))), "waits");
  EXPECT_EQ(Ask(4, Takes(Admission::kShort)), "granted");
  EXPECT_EQ(lanes_[4], Lane::kExpress);
  EXPECT_EQ(Ask(5, Takes(milliseconds(1))), "waits") << "for 4 alone";
  Leave(4);
  EXPECT_THAT(granted_, ElementsAre(5));
  EXPECT_EQ(lanes_[5], Lane::kExpress);
}

TEST_F(SlotsTest, ShortRequestsAloneShareTheOrdinarySlots) {
  EXPECT_EQ(Ask(1, Takes(milliseconds(1))), "granted");
  EXPECT_EQ(Ask(2, Takes(milliseconds(1))), "granted");
  EXPECT_EQ(Ask(3, Takes(milliseconds(1))), "waits");
  EXPECT_EQ(lanes_[2], Lane::kMain);
}

TEST_F(SlotsTest, ATinyRequestPassesEverybodyWhereItsBytesAreThere) {
  EXPECT_EQ(Ask(1, Bytes(90)), "granted");
  EXPECT_EQ(Ask(2, {}), "granted");
  EXPECT_EQ(Ask(3, {}), "waits");
  EXPECT_EQ(Ask(4, {.message_bytes = 5, .further_bytes = 5, .tiny = true}), "granted");
  EXPECT_EQ(lanes_[4], Lane::kTiny);
  EXPECT_EQ(Now().computing, 2);
  EXPECT_EQ(Ask(5, {.further_bytes = 1, .tiny = true}), "waits");
  Leave(2);
  Leave(4);
  EXPECT_THAT(granted_, ElementsAre(3));
  Leave(3);
  EXPECT_THAT(granted_, ElementsAre(3, 5));
  EXPECT_EQ(lanes_[5], Lane::kMain);
}

TEST_F(SlotsTest, ADeadlineThatComputingAloneWouldMissIsRefusedWithTheEstimate) {
  EXPECT_EQ(Ask(1, TakesUntil(milliseconds(100), milliseconds(100))), "granted");
  EXPECT_EQ(Ask(2, TakesUntil(milliseconds(101), milliseconds(100))), "DEADLINE_TOO_NEAR");
  EXPECT_EQ(last_refusal_.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(last_refusal_.message()),
              HasSubstr("in 100 ms, and computing alone is estimated to take 101 ms"));
  EXPECT_EQ(Count(Refusal::kDeadlineTooNear), 1);
}

TEST_F(SlotsTest, ADeadlineThatTheQueueWouldMissIsRefusedWithTheEstimateAndAHint) {
  for (const int name : {1, 2, 3, 4}) Ask(name, Takes(milliseconds(100)));
  now_ += milliseconds(50);
  // 2 x 50 ms are left of what computes; the two that wait are due later.
  EXPECT_EQ(Ask(5, TakesUntil(milliseconds(10), milliseconds(59))), "QUEUE_TOO_LONG");
  EXPECT_EQ(last_refusal_.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(last_refusal_.message()),
              HasSubstr("in 59 ms, and an estimated 50 ms in the queue and 10 ms of computing"));
  EXPECT_NE(RetryDelayOf(last_refusal_), std::nullopt);
  EXPECT_EQ(Ask(5, TakesUntil(milliseconds(10), milliseconds(60))), "waits");
  // Behind all of them: 50 + 5 + 100.
  EXPECT_EQ(Ask(6, TakesUntil(milliseconds(1000), milliseconds(10'000))), "waits");
  EXPECT_EQ(Ask(7, TakesUntil(milliseconds(10), milliseconds(64))), "QUEUE_TOO_LONG");
}

TEST_F(SlotsTest, AShortRequestIsNotRefusedForLongOnesThatItPasses) {
  for (const int name : {1, 2, 3, 4}) Ask(name, Takes(milliseconds(1000)));
  EXPECT_EQ(Ask(5, TakesUntil(milliseconds(1), milliseconds(2))), "granted");
  EXPECT_EQ(Ask(6, TakesUntil(milliseconds(1), milliseconds(2))), "waits");
}

TEST_F(SlotsTest, NothingIsRefusedForAGuess) {
  for (const int name : {1, 2, 3, 4}) Ask(name, Takes(seconds(1000)));
  EXPECT_EQ(Ask(5, {.deadline = now_ + milliseconds(1)}), "waits") << "its own time is not known";
  Leave(1);
  EXPECT_THAT(granted_, ElementsAre(5));
  EXPECT_EQ(Ask(6, {.estimate = seconds(1000)}), "waits") << "it has no deadline";
}

TEST_F(SlotsTest, ARequestThatRanOutOfTimeInTheQueueIsNotComputed) {
  EXPECT_EQ(Ask(1, {}), "granted");
  EXPECT_EQ(Ask(2, {}), "granted");
  EXPECT_EQ(Ask(3, TakesUntil(milliseconds(10), milliseconds(100))), "waits");
  EXPECT_EQ(Ask(4, {.message_bytes = 10, .deadline = now_ + milliseconds(100)}), "waits");
  EXPECT_EQ(Ask(5, {}), "waits");
  now_ += milliseconds(91);
  Leave(1);
  EXPECT_EQ(refused_[3].code(), absl::StatusCode::kDeadlineExceeded) << "9 ms are not enough";
  EXPECT_THAT(granted_, ElementsAre(4));
  now_ += milliseconds(10);
  Leave(2);
  EXPECT_THAT(granted_, ElementsAre(4, 5));
  EXPECT_EQ(Count(Refusal::kExpiredInQueue), 1);
}

TEST_F(SlotsTest, WhoIsToldOfTheEndInTheQueueHoldsNothing) {
  EXPECT_EQ(Ask(1, {}), "granted");
  EXPECT_EQ(Ask(2, {}), "granted");
  EXPECT_EQ(Ask(3, {.message_bytes = 10, .deadline = now_ + milliseconds(100)}), "waits");
  EXPECT_EQ(Now().bytes, 10);
  now_ += milliseconds(101);
  Leave(1);
  EXPECT_EQ(ReasonOf(refused_[3]), "EXPIRED_IN_QUEUE");
  EXPECT_EQ(Now().bytes, 0);
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
          place, demand, [&](absl::StatusOr<Lane> granted) { told.set_value(granted); });
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
