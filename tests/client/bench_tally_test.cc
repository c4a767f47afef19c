#include "client/bench/tally.h"
#include "gtest/gtest.h"

namespace convserve::bench {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

TEST(Durations, OfNothingAreZero) {
  const Durations durations;
  EXPECT_EQ(durations.count(), 0);
  EXPECT_EQ(durations.mean().count(), 0);
  EXPECT_EQ(durations.Percentile(0.5).count(), 0);
}

TEST(Durations, BelowAQuarterMicrosecondAreExact) {
  Durations durations;
  for (int i = 1; i <= 200; ++i) durations.Add(nanoseconds(i));
  EXPECT_EQ(durations.Percentile(0.5).count(), 100);
  EXPECT_EQ(durations.Percentile(0.9).count(), 180);
  EXPECT_EQ(durations.Percentile(0.999).count(), 200);
  EXPECT_EQ(durations.Percentile(0).count(), 1);
  EXPECT_EQ(durations.Percentile(1).count(), 200);
}

TEST(Durations, AreKeptWithinOnePercentAndNeverTooLow) {
  for (std::int64_t value = 1; value < Durations::kMost.count(); value = value * 5 / 4 + 1) {
    Durations durations;
    durations.Add(nanoseconds(value));
    durations.Add(Durations::kMost);
    const std::int64_t kept = durations.Percentile(0.5).count();
    EXPECT_GE(kept, value);
    EXPECT_LE(static_cast<double>(kept), static_cast<double>(value) * 1.01);
  }
}

TEST(Durations, PercentilesNeverExceedTheLongest) {
  Durations durations;
  durations.Add(nanoseconds(1'000'001));
  EXPECT_EQ(durations.Percentile(0.99).count(), 1'000'001);
  EXPECT_EQ(durations.mean().count(), 1'000'001);
}

TEST(Durations, OutOfRangeAreTheEnds) {
  Durations durations;
  durations.Add(nanoseconds(-5));
  EXPECT_EQ(durations.most().count(), 0);
  durations.Add(std::chrono::hours(1000));
  EXPECT_EQ(durations.most(), Durations::kMost);
  EXPECT_EQ(durations.Percentile(1), Durations::kMost);
}

TEST(Durations, MergedAreAsIfCountedTogether) {
  Durations odd;
  Durations even;
  Durations all;
  for (int i = 1; i <= 1000; ++i) {
    (i % 2 == 0 ? even : odd).Add(nanoseconds(i * i));
    all.Add(nanoseconds(i * i));
  }
  odd.Merge(even);
  for (const double fraction : {0.0, 0.5, 0.99, 1.0}) {
    EXPECT_EQ(odd.Percentile(fraction), all.Percentile(fraction));
  }
  EXPECT_EQ(odd.mean(), all.mean());
}

TEST(Tally, KeepsAnswersAndErrorsApart) {
  Tally tally;
  tally.Add({.latency = seconds(4), .queue = seconds(1), .compute = seconds(1), .bytes = 10});
  tally.Add({.wrong = true, .latency = seconds(4), .compute = seconds(2), .bytes = 10});
  tally.Add({.status = absl::UnavailableError("gone"), .latency = seconds(100)});
  Tally other;
  other.Add({.status = absl::UnavailableError("away"), .latency = seconds(100)});
  other.Add({.status = absl::CancelledError("over")});
  tally.Merge(other);
  EXPECT_EQ(tally.answered(), 2);
  EXPECT_EQ(tally.wrong(), 1);
  EXPECT_EQ(tally.bytes(), 20);
  EXPECT_EQ(tally.latencies().most(), seconds(4));
  EXPECT_EQ(tally.errors(), 3);
  EXPECT_EQ(tally.errors(absl::StatusCode::kUnavailable), 2);
  EXPECT_EQ(tally.error(absl::StatusCode::kUnavailable), absl::UnavailableError("gone"));
  EXPECT_EQ(tally.error(absl::StatusCode::kCancelled), absl::CancelledError("over"));
  EXPECT_EQ(tally.server_share(), 0.5);
  EXPECT_EQ(tally.mean_queue(), std::chrono::milliseconds(500));
  EXPECT_EQ(tally.mean_compute(), std::chrono::milliseconds(1500));
}

}  // namespace
}  // namespace convserve::bench
