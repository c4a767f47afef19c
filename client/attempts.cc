#include "client/attempts.h"

#include <algorithm>
#include <condition_variable>
#include <iterator>
#include <mutex>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "fmt/format.h"
#include "proto/status.h"

namespace convserve {
namespace {

using std::chrono::milliseconds;
using std::chrono::system_clock;

// What gRPC says of a connection that ended under an answer which had begun: its own retries end
// where an answer begins.
bool BrokeOff(const absl::Status& status) {
  if (status.code() == absl::StatusCode::kUnknown) return status.message() == "Stream removed";
  if (status.code() != absl::StatusCode::kUnavailable) return false;
  constexpr absl::string_view kTexts[] = {"Broken pipe", "Connection reset by peer",
                                          "Socket closed", "keepalive watchdog timeout"};
  return std::any_of(std::begin(kTexts), std::end(kTexts), [&](absl::string_view text) {
    return absl::StrContains(status.message(), text);
  });
}

}  // namespace

Attempts::Attempts(const ClientOptions& options, const CallOptions& call)
    : wait_for_ready_(call.wait_for_ready),
      token_(options.security.token ? options.security.token() : ""),
      status_(CheckToken(token_)),
      pause_(options.initial_backoff),
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
  if (left_ == 0) return std::nullopt;
  std::optional<milliseconds> pause;
  if (status.code() == absl::StatusCode::kResourceExhausted) pause = RetryDelayOf(status);
  if (BrokeOff(status)) pause = pause_;
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
