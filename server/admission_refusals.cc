// Whom Admission turns away, and with which words.
#include <algorithm>
#include <array>
#include <string>

#include "fmt/format.h"
#include "proto/status.h"
#include "server/admission.h"
#include "server/saturating_add.h"

namespace convserve {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

// Where no estimate is known at all.
constexpr milliseconds kDefaultRetryDelay{250};

double Milliseconds(nanoseconds time) { return static_cast<double>(time.count()) / 1e6; }

}  // namespace

std::string_view Admission::Name(Refusal refusal) {
  constexpr std::array<std::string_view, kRefusals> kNames = {
      "SHUTTING_DOWN",     "TOO_MANY_REQUESTS", "MEMORY_BUSY",     "MEMORY_LIMIT",
      "DEADLINE_TOO_NEAR", "QUEUE_TOO_LONG",    "EXPIRED_IN_QUEUE"};
  return kNames[static_cast<std::size_t>(refusal)];
}

absl::Status Admission::Refuse(Refusal refusal, absl::StatusCode code, std::string message) {
  absl::Status status(code, message);
  SetReason(status, Name(refusal));
  if (code == absl::StatusCode::kResourceExhausted && refusal != Refusal::kMemoryLimit) {
    SetRetryDelay(status, RetryDelay());
  }
  ++refusals_[static_cast<std::size_t>(refusal)];
  return status;
}

absl::Status Admission::CheckPlaces(std::int64_t taken) {
  if (closed_) {
    return Refuse(Refusal::kShuttingDown, absl::StatusCode::kUnavailable,
                  "the server is shutting down");
  }
  if (taken >= limits_.requests) {
    return Refuse(
        Refusal::kTooManyRequests, absl::StatusCode::kResourceExhausted,
        fmt::format("{} requests are in progress or on their way, as many as this server accepts",
                    taken));
  }
  return absl::OkStatus();
}

absl::Status Admission::CheckMemory(const Demand& demand) {
  const std::int64_t bytes = SaturatingAdd(demand.message_bytes, demand.further_bytes);
  if (bytes > limits_.memory_bytes) {
    return Refuse(Refusal::kMemoryLimit, absl::StatusCode::kResourceExhausted,
                  fmt::format("the request needs {} bytes of memory, the server allows {}", bytes,
                              limits_.memory_bytes));
  }
  std::int64_t largest = demand.further_bytes;
  for (const Waiter& waiter : waiting_) largest = std::max(largest, waiter.demand.further_bytes);
  if (demand.message_bytes > limits_.memory_bytes - held_ ||
      largest > limits_.memory_bytes - messages_ - demand.message_bytes) {
    return Refuse(Refusal::kMemoryBusy, absl::StatusCode::kResourceExhausted,
                  fmt::format("no room for a message of {} bytes and what it takes to compute it: "
                              "requests in progress hold {} of {} bytes",
                              demand.message_bytes, held_, limits_.memory_bytes));
  }
  return absl::OkStatus();
}

absl::Status Admission::CheckDeadline(const Demand& demand, Clock::time_point due,
                                      Clock::time_point now) {
  if (!demand.estimate || demand.deadline == Clock::time_point::max()) return absl::OkStatus();
  const nanoseconds left = std::max<nanoseconds>(demand.deadline - now, nanoseconds(0));
  if (*demand.estimate > left) {
    return Refuse(Refusal::kDeadlineTooNear, absl::StatusCode::kDeadlineExceeded,
                  fmt::format("the deadline is in {:.3g} ms, and computing alone is estimated to "
                              "take {:.3g} ms",
                              Milliseconds(left), Milliseconds(*demand.estimate)));
  }
  if (demand.tiny) return absl::OkStatus();
  const nanoseconds ahead = WorkAhead(demand, due, now);
  if (ahead > left - *demand.estimate) {
    return Refuse(
        Refusal::kQueueTooLong, absl::StatusCode::kResourceExhausted,
        fmt::format("the deadline is in {:.3g} ms, and an estimated {:.3g} ms in the "
                    "queue and {:.3g} ms of computing are too long for it",
                    Milliseconds(left), Milliseconds(ahead), Milliseconds(*demand.estimate)));
  }
  return absl::OkStatus();
}

nanoseconds Admission::WorkAhead(const Demand& demand, Clock::time_point due,
                                 Clock::time_point now) const {
  if (FreeLane(demand) && (waiting_.empty() || waiting_.front().due > due)) return nanoseconds(0);
  const bool is_short = IsShort(demand.estimate) && limits_.express_slots > 0;
  nanoseconds work(0);
  for (const Waiter& waiter : waiting_) {
    if (waiter.due > due) break;
    if (waiter.demand.estimate && (!is_short || IsShort(waiter.demand.estimate))) {
      work += *waiter.demand.estimate;
    }
  }
  // A short one passes by those that compute.
  if (is_short) return work / (limits_.slots + limits_.express_slots);
  for (const Place* place : computing_) {
    if (!place->estimate_ || place->lane_ != Lane::kMain) continue;
    work += std::max<nanoseconds>(*place->estimate_ - (now - place->started_), nanoseconds(0));
  }
  return work / limits_.slots;
}

milliseconds Admission::RetryDelay() {
  double known = 0;
  nanoseconds work(0);
  const auto add = [&](const std::optional<nanoseconds>& estimate) {
    if (!estimate) return;
    known += 1;
    work += *estimate;
  };
  for (const Waiter& waiter : waiting_) add(waiter.demand.estimate);
  for (const Place* place : computing_) add(place->estimate_);
  const auto all = static_cast<double>(waiting_.size() + computing_.size());
  const double half = known == 0 ? Milliseconds(kDefaultRetryDelay)
                                 : Milliseconds(work) * all / known / limits_.slots / 2;
  // Each refusal its own part of the spread.
  std::int64_t so_far = 0;
  for (const std::int64_t count : refusals_) so_far += count;
  const double spread = 0.75 + 0.5 * static_cast<double>(so_far * 5 % 8) / 7;
  const double delay = std::min(half * spread, Milliseconds(kMaxRetryDelay));
  return std::max(kMinRetryDelay, milliseconds(static_cast<std::int64_t>(delay)));
}

}  // namespace convserve
