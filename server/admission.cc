#include "server/admission.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "fmt/format.h"
#include "proto/status.h"

namespace convserve {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using Clock = Admission::Clock;

// Where no estimate is known at all.
constexpr milliseconds kDefaultRetryDelay{250};

// Made once: who is told in the queue is told without an allocation.
const absl::Status& Withdrawn() {
  static const auto* const status =
      new absl::Status(absl::CancelledError("given up before it was computed"));
  return *status;
}

const absl::Status& Expired() {
  static const auto* const status = [] {
    auto* late = new absl::Status(absl::DeadlineExceededError(
        "the deadline came too near while the request waited; it was not computed"));
    SetReason(*late, Admission::Name(Admission::Refusal::kExpiredInQueue));
    return late;
  }();
  return *status;
}

bool IsShort(const std::optional<nanoseconds>& estimate) {
  return estimate && *estimate <= Admission::kShort;
}

// a - b for an `a` that may be the end of time.
Clock::time_point Before(Clock::time_point a, nanoseconds b) {
  return a == Clock::time_point::max() ? a : a - b;
}

Clock::time_point Due(const Admission::Demand& demand, Clock::time_point now) {
  const nanoseconds estimate =
      std::min<nanoseconds>(demand.estimate.value_or(nanoseconds(0)), std::chrono::hours(24));
  return std::min(Before(demand.deadline, estimate),
                  now + Admission::kPatience + Admission::kStretch * estimate);
}

std::int64_t SaturatingAdd(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? std::numeric_limits<std::int64_t>::max() : sum;
}

double Milliseconds(nanoseconds time) { return static_cast<double>(time.count()) / 1e6; }

}  // namespace

std::string_view Admission::Name(Refusal refusal) {
  constexpr std::array<std::string_view, kRefusals> kNames = {
      "SHUTTING_DOWN",     "TOO_MANY_REQUESTS", "MEMORY_BUSY",     "MEMORY_LIMIT",
      "DEADLINE_TOO_NEAR", "QUEUE_TOO_LONG",    "EXPIRED_IN_QUEUE"};
  return kNames[static_cast<std::size_t>(refusal)];
}

Admission::Admission(Limits limits, std::function<Clock::time_point()> now)
    : limits_(limits), now_(std::move(now)) {
  computing_.reserve(static_cast<std::size_t>(limits_.slots + limits_.express_slots));
}

absl::Status Admission::Expect(Place& place) {
  const std::lock_guard lock(mutex_);
  const Clock::time_point now = now_();
  std::int64_t coming = 0;
  for (auto since = expected_.rbegin(); since != expected_.rend(); ++since) {
    if (now - *since > kArrival || coming >= limits_.requests / 2) break;
    ++coming;
  }
  if (absl::Status status = CheckPlaces(unanswered_ + coming); !status.ok()) return status;
  place.expected_ = expected_.insert(expected_.end(), now);
  return absl::OkStatus();
}

absl::Status Admission::Enter(Place& place, std::int64_t message_bytes) {
  const std::lock_guard lock(mutex_);
  Arrived(place);
  if (absl::Status status = CheckPlaces(unanswered_); !status.ok()) return status;
  if (absl::Status status = CheckMemory({.message_bytes = message_bytes}); !status.ok()) {
    return status;
  }
  ++places_;
  ++unanswered_;
  place.entered_ = true;
  held_ += message_bytes;
  place.held_ = message_bytes;
  return absl::OkStatus();
}

absl::Status Admission::Grow(Place& place, std::int64_t bytes) {
  const std::lock_guard lock(mutex_);
  const std::int64_t before = place.held_;
  Release(place, before);  // what follows counts it again
  const std::int64_t after = SaturatingAdd(before, bytes);
  absl::Status status = CheckMemory({.message_bytes = after});
  const std::int64_t held = status.ok() ? after : before;
  held_ += held;
  place.held_ = held;
  return status;
}

absl::StatusOr<std::optional<Admission::Lane>> Admission::Reserve(Place& place,
                                                                  const Demand& demand,
                                                                  Ready ready) {
  std::list<Waiter> told;
  std::optional<Lane> granted;
  {
    const std::lock_guard lock(mutex_);
    if (place.withdrawn_) return Withdrawn();
    const Clock::time_point now = now_();
    const Clock::time_point due = Due(demand, now);
    Release(place, place.held_);  // what follows counts the message again
    if (absl::Status status = CheckMemory(demand); !status.ok()) return status;
    if (absl::Status status = CheckDeadline(demand, due, now); !status.ok()) return status;
    std::list<Waiter> own;
    own.push_back({&place, demand, due, std::move(ready)});
    held_ += demand.message_bytes;
    place.held_ = demand.message_bytes;
    if (demand.tiny && demand.further_bytes <= limits_.memory_bytes - held_) {
      Grant(place, demand, Lane::kTiny, now);
      return Lane::kTiny;
    }
    messages_ += demand.message_bytes;
    const auto later = std::find_if(waiting_.begin(), waiting_.end(),
                                    [&](const Waiter& waiter) { return waiter.due > due; });
    waiting_.splice(later, own);
    Dispatch(told);
    const auto self = std::find_if(told.begin(), told.end(),
                                   [&](const Waiter& waiter) { return waiter.place == &place; });
    if (self != told.end() && self->granted) {
      granted = self->granted;
      told.erase(self);
    }
  }
  Tell(told);
  return granted;
}

void Admission::Withdraw(Place& place) {
  std::list<Waiter> told;
  std::list<Waiter> withdrawn;
  {
    const std::lock_guard lock(mutex_);
    place.withdrawn_ = true;
    const auto waiter = std::find_if(waiting_.begin(), waiting_.end(),
                                     [&](const Waiter& w) { return w.place == &place; });
    if (waiter == waiting_.end()) return;
    Dequeue(waiter, withdrawn);
    Release(place, place.held_);
    Dispatch(told);
  }
  withdrawn.front().ready(Withdrawn());
  Tell(told);
}

void Admission::Answer(Place& place, std::int64_t bytes) {
  std::list<Waiter> told;
  {
    const std::lock_guard lock(mutex_);
    CountAnswer(place);
    LeaveSlot(place);
    if (bytes < place.held_) Release(place, place.held_ - bytes);
    Dispatch(told);
  }
  Tell(told);
}

void Admission::Leave(Place& place) {
  if (!place.entered_ && !place.expected_) return;
  std::list<Waiter> told;
  {
    const std::lock_guard lock(mutex_);
    Arrived(place);
    if (!place.entered_) return;
    CountAnswer(place);
    LeaveSlot(place);
    Release(place, place.held_);
    --places_;
    Dispatch(told);
    left_.notify_all();
  }
  Tell(told);
}

void Admission::Close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
}

bool Admission::WaitUntilEmpty(Clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  return left_.wait_until(lock, deadline, [this] { return places_ == 0; });
}

Admission::Usage Admission::usage() const {
  const std::lock_guard lock(mutex_);
  return {.requests = unanswered_,
          .waiting = static_cast<std::int64_t>(waiting_.size()),
          .computing = static_cast<std::int64_t>(computing_.size()),
          .bytes = held_,
          .refusals = refusals_};
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

void Admission::Arrived(Place& place) {
  if (!place.expected_) return;
  expected_.erase(*place.expected_);
  place.expected_.reset();
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

std::optional<Admission::Lane> Admission::FreeLane(const Demand& demand) const {
  int main = 0;
  bool long_one = false;
  for (const Place* place : computing_) {
    if (place->lane_ != Lane::kMain) continue;
    ++main;
    long_one = long_one || !IsShort(place->estimate_);
  }
  if (main < limits_.slots) return Lane::kMain;
  const int express = static_cast<int>(computing_.size()) - main;
  if (IsShort(demand.estimate) && long_one && express < limits_.express_slots) {
    return Lane::kExpress;
  }
  return std::nullopt;
}

void Admission::Grant(Place& place, const Demand& demand, Lane lane, Clock::time_point now) {
  held_ += demand.further_bytes;
  place.held_ += demand.further_bytes;
  place.lane_ = lane;
  place.estimate_ = demand.estimate;
  place.started_ = now;
  if (lane != Lane::kTiny) computing_.push_back(&place);
}

void Admission::Release(Place& place, std::int64_t bytes) {
  held_ -= bytes;
  place.held_ -= bytes;
}

void Admission::LeaveSlot(Place& place) { std::erase(computing_, &place); }

void Admission::CountAnswer(Place& place) {
  if (!place.entered_ || place.answered_) return;
  place.answered_ = true;
  --unanswered_;
}

void Admission::Dequeue(std::list<Waiter>::iterator waiter, std::list<Waiter>& told) {
  messages_ -= waiter->demand.message_bytes;
  told.splice(told.end(), waiting_, waiter);
}

void Admission::Dispatch(std::list<Waiter>& told) {
  static constexpr Demand kAnyShort{.estimate = nanoseconds(0)};
  if (waiting_.empty()) return;
  const Clock::time_point now = now_();
  for (auto next = waiting_.begin(); next != waiting_.end() && FreeLane(kAnyShort);) {
    const auto waiter = next++;
    const Demand& demand = waiter->demand;
    if (Before(demand.deadline, demand.estimate.value_or(nanoseconds(0))) < now) {
      ++refusals_[static_cast<std::size_t>(Refusal::kExpiredInQueue)];
      Release(*waiter->place, waiter->place->held_);
      Dequeue(waiter, told);
      continue;
    }
    const std::optional<Lane> lane = FreeLane(demand);
    if (!lane) continue;
    if (demand.further_bytes > limits_.memory_bytes - held_) {
      if (waiter->due <= now) break;
      continue;
    }
    Grant(*waiter->place, demand, *lane, now);
    waiter->granted = lane;
    Dequeue(waiter, told);
  }
}

void Admission::Tell(std::list<Waiter>& told) {
  for (Waiter& waiter : told) {
    if (waiter.granted) {
      waiter.ready(*waiter.granted);
    } else {
      waiter.ready(Expired());
    }
  }
}

}  // namespace convserve
