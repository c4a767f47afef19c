// What a load came to: latencies, errors, bytes.
#ifndef CONVSERVE_CLIENT_BENCH_TALLY_H_
#define CONVSERVE_CLIENT_BENCH_TALLY_H_

#include <array>
#include <chrono>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"

namespace convserve::bench {

// Counts of durations, kept with a relative error below 1 %: a logarithmic scale of octaves, each
// divided into 128 equal parts. From 0 to kMost; what is longer counts as kMost.
class Durations {
 public:
  static constexpr std::chrono::nanoseconds kMost = std::chrono::hours(2);

  Durations();

  void Add(std::chrono::nanoseconds duration);
  void Merge(const Durations& other);

  std::int64_t count() const { return count_; }
  // Exact. 0 when empty.
  std::chrono::nanoseconds most() const { return std::chrono::nanoseconds(most_); }
  std::chrono::nanoseconds mean() const;

  // The least duration that at least the part `fraction` (0 to 1) of all do not exceed, rounded up
  // by less than 1 % and never above most(). 0 when empty.
  std::chrono::nanoseconds Percentile(double fraction) const;

 private:
  std::vector<std::int64_t> counts_;
  std::int64_t count_ = 0;
  std::int64_t most_ = 0;
  double sum_ = 0;
};

// What became of one request.
struct Outcome {
  absl::Status status = {};
  bool wrong = false;  // answered, but not with the result that it should have
  std::chrono::nanoseconds latency{0};
  // Of the server, from its answer.
  std::chrono::nanoseconds queue{0};
  std::chrono::nanoseconds compute{0};
  std::int64_t bytes = 0;  // of the tensors, there and back
};

class Tally {
 public:
  static constexpr std::size_t kCodes = 17;

  void Add(const Outcome& outcome);
  void Merge(const Tally& other);

  // Only what was answered counts here; wrong results do too.
  const Durations& latencies() const { return latencies_; }
  std::int64_t answered() const { return latencies_.count(); }
  std::int64_t wrong() const { return wrong_; }
  std::int64_t bytes() const { return bytes_; }
  std::chrono::nanoseconds mean_queue() const;
  std::chrono::nanoseconds mean_compute() const;
  // The part of the latencies that the server spent, in its queue and computing: 0 to 1.
  double server_share() const;

  std::int64_t errors() const;
  std::int64_t errors(absl::StatusCode code) const;
  // The first error with this code; OK where there is none.
  const absl::Status& error(absl::StatusCode code) const;
  // The code with most errors; OK where there are none.
  absl::StatusCode most_frequent_error() const;

 private:
  struct Error {
    std::int64_t count = 0;
    absl::Status first;
  };

  Durations latencies_;
  std::int64_t wrong_ = 0;
  std::int64_t bytes_ = 0;
  double latency_ = 0;  // nanoseconds
  double queue_ = 0;
  double compute_ = 0;
  std::array<Error, kCodes> errors_;
};

}  // namespace convserve::bench

#endif  // CONVSERVE_CLIENT_BENCH_TALLY_H_
