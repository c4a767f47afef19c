#include "client/attempts.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "fmt/format.h"
#include "proto/status.h"

namespace convserve {
namespace {

using std::chrono::milliseconds;
using std::chrono::system_clock;

}  // namespace

Attempts::Attempts(const ClientOptions& options, const CallOptions& call)
    : wait_for_ready_(call.wait_for_ready),
      token_(options.security.token ? options.security.token() : ""),
      left_(std::clamp(options.max_attempts, 1, 5) - 1) {
  // Beyond a year the sum with the present could overflow.
  const milliseconds timeout =
      std::min<milliseconds>(call.timeout.value_or(options.timeout), std::chrono::hours(24 * 365));
  deadline_ = system_clock::now() + timeout;
}

void Attempts::SetUp(grpc::ClientContext& context) const {
  context.set_deadline(deadline_);
  context.set_wait_for_ready(wait_for_ready_);
  if (!token_.empty()) context.AddMetadata("authorization", fmt::format("Bearer {}", token_));
}

std::optional<Attempts::TimePoint> Attempts::NextAfter(const absl::Status& status) {
  if (status.code() != absl::StatusCode::kResourceExhausted || left_ == 0) return std::nullopt;
  const std::optional<milliseconds> pause = RetryDelayOf(status);
  const TimePoint now = system_clock::now();
  if (!pause || *pause < milliseconds(0) || *pause > deadline_ - now) return std::nullopt;
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
