#include "client/attempts.h"

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <random>

#include "fmt/format.h"
#include "proto/status.h"

namespace convserve {
namespace {

using std::chrono::milliseconds;
using std::chrono::system_clock;

// Beyond it the sum with the present could overflow.
constexpr milliseconds kYear = std::chrono::hours(24 * 365);

// What gRPC says, beside UNAVAILABLE, of a connection that ended under an answer which had begun.
bool StreamRemoved(const absl::Status& status) {
  return status.code() == absl::StatusCode::kUnknown && status.message() == "Stream removed";
}

// `pause`, more or less: callers that failed together do not come back together.
milliseconds Randomised(milliseconds pause) {
  thread_local std::minstd_rand generator{std::random_device{}()};
  std::uniform_real_distribution<double> factor(0.8, 1.2);
  return milliseconds(
      static_cast<std::int64_t>(static_cast<double>(pause.count()) * factor(generator)));
}

}  // namespace

Attempts::Attempts(const ClientOptions& options, const CallOptions& call)
    : wait_for_ready_(call.wait_for_ready),
      token_(options.security.token ? options.security.token() : ""),
      status_(CheckToken(token_)),
      pause_(std::clamp<milliseconds>(options.initial_backoff, milliseconds(0), kYear)),
      left_(std::clamp(options.max_attempts, 1, 5) - 1) {
  deadline_ = system_clock::now() +
              std::clamp<milliseconds>(call.timeout.value_or(options.timeout), -kYear, kYear);
}

void Attempts::SetUp(grpc::ClientContext& context) const {
  context.set_deadline(deadline_);
  context.set_wait_for_ready(wait_for_ready_);
  if (!token_.empty()) context.AddMetadata("authorization", fmt::format("Bearer {}", token_));
}

std::optional<Attempts::TimePoint> Attempts::NextAfter(const absl::Status& status) {
  if (left_ == 0) return std::nullopt;
  const bool unavailable = status.code() == absl::StatusCode::kUnavailable;
  std::optional<milliseconds> pause;
  if (unavailable || status.code() == absl::StatusCode::kResourceExhausted) {
    pause = RetryDelayOf(status);
  }
  if (!pause && (unavailable || StreamRemoved(status))) {
    pause = Randomised(pause_);
    pause_ *= 2;
  }
  const TimePoint now = system_clock::now();
  const auto left = std::chrono::duration_cast<milliseconds>(deadline_ - now);
  if (!pause || *pause < milliseconds(0) || *pause > left) return std::nullopt;
  --left_;
  return now + *pause;
}

bool SleepUntil(Attempts::TimePoint time, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any stopped;
  std::unique_lock lock(mutex);
  stopped.wait_until(lock, stop, time, [] { return false; });
  return !stop.stop_requested();
}

}  // namespace convserve
