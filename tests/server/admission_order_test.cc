// Who computes when, and who would come too late.
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/admission_fixture.h"

namespace convserve {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

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

}  // namespace
}  // namespace convserve
