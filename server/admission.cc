#include "server/admission.h"

#include <algorithm>
#include <utility>

#include "proto/status.h"
#include "server/saturating_add.h"

namespace convserve {
namespace {

using std::chrono::nanoseconds;
using Clock = Admission::Clock;

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

}  // namespace

Admission::Admission(Limits limits, std::function<Clock::time_point()> now, Watch watch)
    : limits_(limits), now_(std::move(now)), watch_(std::move(watch)) {
  computing_.reserve(static_cast<std::size_t>(limits_.slots) +
                     static_cast<std::size_t>(limits_.express_slots));
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
  Hold(place, message_bytes);
  return absl::OkStatus();
}

absl::Status Admission::Grow(Place& place, std::int64_t bytes) {
  const std::lock_guard lock(mutex_);
  const std::int64_t before = place.held_;
  Release(place, before);  // what follows counts it again
  const std::int64_t after = SaturatingAdd(before, bytes);
  absl::Status status = CheckMemory({.message_bytes = after});
  Hold(place, status.ok() ? after : before);
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
    Hold(place, demand.message_bytes);
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

bool Admission::Answer(Place& place, std::int64_t bytes) {
  std::list<Waiter> told;
  bool crowded = false;
  {
    const std::lock_guard lock(mutex_);
    CountAnswer(place);
    LeaveSlot(place);
    if (bytes < place.held_) Release(place, place.held_ - bytes);
    crowded = held_ > limits_.memory_bytes / 4;
    Dispatch(told);
  }
  Tell(told);
  return crowded;
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

void Admission::Arrived(Place& place) {
  if (!place.expected_) return;
  expected_.erase(*place.expected_);
  place.expected_.reset();
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
  Hold(place, demand.further_bytes);
  place.lane_ = lane;
  place.estimate_ = demand.estimate;
  place.started_ = now;
  if (lane != Lane::kTiny) computing_.push_back(&place);
}

void Admission::Hold(Place& place, std::int64_t bytes) {
  held_ += bytes;
  place.held_ += bytes;
  watch_(held_);
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
