#include "client/cli/progress.h"

#include <cstdint>

#include "fmt/format.h"

namespace convserve::cli {

std::string ProgressLine(std::chrono::milliseconds elapsed) {
  constexpr std::int64_t kWidth = 24;
  constexpr std::int64_t kBlock = 6;
  constexpr std::int64_t kWay = kWidth - kBlock;
  const std::int64_t step = elapsed.count() / 100 % (2 * kWay);
  const auto left = static_cast<std::size_t>(step < kWay ? step : 2 * kWay - step);
  std::string bar(kWidth, ' ');
  bar.replace(left, kBlock, std::string(kBlock, '='));
  return fmt::format("computing [{}] {}.{} s", bar, elapsed.count() / 1000,
                     elapsed.count() % 1000 / 100);
}

Progress::Progress(std::ostream& err, std::chrono::milliseconds delay)
    : err_(err), thread_([this, delay] { Draw(delay); }) {}

Progress::~Progress() {
  {
    const std::lock_guard lock(mutex_);
    done_ = true;
  }
  done_changed_.notify_one();
  thread_.join();
}

void Progress::Draw(std::chrono::milliseconds delay) {
  const auto start = std::chrono::steady_clock::now();
  const auto is_done = [this] { return done_; };
  std::unique_lock lock(mutex_);
  if (done_changed_.wait_for(lock, delay, is_done)) return;
  do {
    const auto elapsed = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::steady_clock::now() - start);
    err_ << '\r' << ProgressLine(elapsed) << std::flush;
  } while (!done_changed_.wait_for(lock, std::chrono::milliseconds(100), is_done));
  err_ << "\r\x1b[K" << std::flush;
}

}  // namespace convserve::cli
