#include "server/admission.h"

#include <atomic>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/status.h"

namespace convserve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Requests named by number, and what they were told.
class AdmissionTest : public ::testing::Test {
 protected:
  // No place may end while it waits.
  void TearDown() override {
    for (const auto& place : places_) {
      if (place) admission_.Withdraw(*place);
    }
  }

  absl::Status Enter(int name) {
    places_[name] = std::make_unique<Admission::Place>(admission_);
    return admission_.Enter(*places_[name]);
  }

  absl::StatusOr<bool> Reserve(int name, std::int64_t bytes) {
    return admission_.Reserve(*places_[name], bytes, [this, name](absl::Status status) {
      (status.ok() ? granted_ : refused_).push_back(name);
    });
  }

  void Leave(int name) { places_[name].reset(); }
  void Withdraw(int name) { admission_.Withdraw(*places_[name]); }

  Admission admission_{{.memory_bytes = 100, .requests = 4}};
  std::vector<int> granted_;
  std::vector<int> refused_;
  std::unique_ptr<Admission::Place> places_[8];
};

TEST_F(AdmissionTest, GrantsWhatFitsAtOnce) {
  ASSERT_TRUE(Enter(1).ok());
  ASSERT_TRUE(Enter(2).ok());
  EXPECT_EQ(*Reserve(1, 60), true);
  EXPECT_EQ(*Reserve(2, 40), true);
}

TEST_F(AdmissionTest, QueuesBytesInTheOrderOfTheirRequests) {
  for (const int name : {1, 2, 3}) ASSERT_TRUE(Enter(name).ok());
  EXPECT_EQ(*Reserve(1, 60), true);
  EXPECT_EQ(*Reserve(2, 80), false);
  EXPECT_EQ(*Reserve(3, 20), false) << "would overtake";
  EXPECT_THAT(granted_, IsEmpty());
  Leave(1);
  EXPECT_THAT(granted_, ElementsAre(2, 3));
}

TEST_F(AdmissionTest, RefusesMoreThanThereIsWithoutAHintToRetry) {
  ASSERT_TRUE(Enter(1).ok());
  const absl::Status status = Reserve(1, 101).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("101 bytes"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("allows 100"));
  EXPECT_EQ(RetryDelayOf(status), std::nullopt);
}

TEST_F(AdmissionTest, RefusesARequestTooManyAtOnceWithAHintToRetry) {
  for (const int name : {1, 2, 3, 4}) ASSERT_TRUE(Enter(name).ok());
  const absl::Status status = Enter(5);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(status), "TOO_MANY_REQUESTS");
  EXPECT_NE(RetryDelayOf(status), std::nullopt);
  Leave(5);
  EXPECT_FALSE(Enter(5).ok()) << "a refused request held a place";
  Leave(1);
  EXPECT_TRUE(Enter(5).ok());
}

TEST_F(AdmissionTest, AnAnsweredRequestLeavesItsPlaceAndKeepsItsBytesUntilItEnds) {
  for (const int name : {1, 2, 3, 4}) ASSERT_TRUE(Enter(name).ok());
  EXPECT_EQ(*Reserve(1, 100), true);
  admission_.Answer(*places_[1]);
  EXPECT_TRUE(Enter(5).ok());
  EXPECT_EQ(*Reserve(5, 1), false);
  Leave(1);
  EXPECT_THAT(granted_, ElementsAre(5));
  EXPECT_FALSE(Enter(6).ok()) << "the place was given back twice";
}

TEST_F(AdmissionTest, AWithdrawnRequestStopsWaitingAndLetsOthersPass) {
  for (const int name : {1, 2, 3}) ASSERT_TRUE(Enter(name).ok());
  EXPECT_EQ(*Reserve(1, 60), true);
  EXPECT_EQ(*Reserve(2, 80), false);
  EXPECT_EQ(*Reserve(3, 40), false);
  Withdraw(2);
  EXPECT_THAT(refused_, ElementsAre(2));
  EXPECT_THAT(granted_, ElementsAre(3));
}

TEST_F(AdmissionTest, ARequestWithdrawnBeforeItReservesIsNotQueued) {
  ASSERT_TRUE(Enter(1).ok());
  Withdraw(1);
  EXPECT_EQ(Reserve(1, 10).status().code(), absl::StatusCode::kCancelled);
}

TEST_F(AdmissionTest, NothingIsAskedForWithoutWaiting) {
  for (const int name : {1, 2, 3}) ASSERT_TRUE(Enter(name).ok());
  EXPECT_EQ(*Reserve(1, 100), true);
  EXPECT_EQ(*Reserve(2, 1), false);
  EXPECT_EQ(*Reserve(3, 0), true);
}

TEST_F(AdmissionTest, OnceClosedItFinishesWhatItHasAndTakesNothingNew) {
  ASSERT_TRUE(Enter(1).ok());
  admission_.Close();
  EXPECT_EQ(Enter(2).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(*Reserve(1, 10), true);
  EXPECT_FALSE(admission_.WaitUntilEmpty(std::chrono::steady_clock::now()));
  Leave(1);
  EXPECT_TRUE(admission_.WaitUntilEmpty(std::chrono::steady_clock::now()));
}

TEST(AdmissionStorm, KeepsItsBoundsAndTellsEachRequestOnce) {
  constexpr int kThreads = 8;
  constexpr int kRounds = 2000;
  constexpr std::int64_t kBytes = 1000;
  Admission admission({.memory_bytes = kBytes, .requests = kThreads - 1});
  std::atomic<std::int64_t> held = 0;
  std::atomic<int> served = 0;
  const auto caller = [&](int thread) {
    for (int round = 0; round < kRounds; ++round) {
      Admission::Place place(admission);
      if (!admission.Enter(place).ok()) continue;
      const std::int64_t bytes = (thread * 131 + round * 17) % kBytes + 1;
      std::promise<absl::Status> told;  // set twice, it throws
      const auto granted =
          admission.Reserve(place, bytes, [&](absl::Status status) { told.set_value(status); });
      ASSERT_TRUE(granted.ok());
      if (!*granted) {
        if (round % 3 == 0) admission.Withdraw(place);
        if (!told.get_future().get().ok()) continue;
      }
      EXPECT_LE(held += bytes, kBytes);
      ++served;
      held -= bytes;
      admission.Answer(place);
    }
  };
  std::vector<std::thread> callers;
  for (int thread = 0; thread < kThreads; ++thread) callers.emplace_back(caller, thread);
  for (std::thread& thread : callers) thread.join();
  EXPECT_GT(served, 0);
  EXPECT_TRUE(admission.WaitUntilEmpty(std::chrono::steady_clock::now()));
}

}  // namespace
}  // namespace convserve
