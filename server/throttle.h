// Keeps what strangers can cause from flooding the log.
#ifndef CONVSERVE_SERVER_THROTTLE_H_
#define CONVSERVE_SERVER_THROTTLE_H_

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <utility>

namespace convserve {

// Lets ten events a second pass. Thread-safe.
class Throttle {
 public:
  // For an event that may pass: how many before it did not. Otherwise nothing.
  std::optional<std::int64_t> Pass() {
    const auto now = std::chrono::steady_clock::now();
    const std::lock_guard lock(mutex_);
    if (now - second_ >= std::chrono::seconds(1)) {
      second_ = now;
      passed_ = 0;
    }
    if (passed_ == kEachSecond) {
      ++held_back_;
      return std::nullopt;
    }
    ++passed_;
    return std::exchange(held_back_, 0);
  }

 private:
  static constexpr int kEachSecond = 10;

  std::mutex mutex_;
  std::chrono::steady_clock::time_point second_;
  int passed_ = 0;
  std::int64_t held_back_ = 0;
};

}  // namespace convserve

#endif  // CONVSERVE_SERVER_THROTTLE_H_
