// How long a request will take to compute, learnt from those that were computed.
//
// Requests are of one kind when operation, algorithm and arithmetic agree and their multiply-adds
// lie within the same factor of four. A kind is known once kEnough of its requests were computed
// within kMemory; its estimate is the lower quartile of their times per multiply-add, times the
// multiply-adds asked for: three of four took longer. So it follows the load, a few outliers do not
// move it, and it is forgotten when nothing confirms it any more.
//
// Thread-safe; constant time and memory.
#ifndef CONVSERVE_SERVER_COMPUTE_TIMES_H_
#define CONVSERVE_SERVER_COMPUTE_TIMES_H_

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string_view>
#include <tuple>

#include "absl/container/flat_hash_map.h"
#include "core/planner.h"

namespace convserve {

class ComputeTimes {
 public:
  using Clock = std::chrono::steady_clock;

  static constexpr int kEnough = 8;
  static constexpr std::chrono::seconds kMemory{30};

  explicit ComputeTimes(std::function<Clock::time_point()> now = Clock::now);

  // Nothing while the plan's kind is unknown, and for a plan without multiply-adds.
  std::optional<std::chrono::nanoseconds> Estimate(const Plan& plan) const;

  // The plan was computed, in this time. Throws std::bad_alloc.
  void Learn(const Plan& plan, std::chrono::nanoseconds time);

 private:
  static constexpr std::size_t kKept = 32;

  // Operation, algorithm (a name of core/planner.h, which lives for ever), arithmetic, magnitude.
  using Kind = std::tuple<Operation, std::string_view, Arithmetic, int>;

  struct Sample {
    Clock::time_point when;
    double nanoseconds_per_multiply_add;
  };

  struct Samples {
    std::array<Sample, kKept> ring;
    std::size_t count = 0;  // ever; the ring holds the last ones
  };

  static Kind KindOf(const Plan& plan);

  const std::function<Clock::time_point()> now_;
  mutable std::mutex mutex_;
  absl::flat_hash_map<Kind, Samples> kinds_;
};

}  // namespace convserve

#endif  // CONVSERVE_SERVER_COMPUTE_TIMES_H_
