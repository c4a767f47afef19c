#include "server/admission.h"

#include <algorithm>
#include <utility>

#include "fmt/format.h"
#include "proto/status.h"

namespace convserve {
namespace {

constexpr std::chrono::milliseconds kRetryDelay{250};

absl::Status Withdrawn() { return absl::CancelledError("given up before it was computed"); }

}  // namespace

absl::Status Admission::Enter(Place& place) {
  const std::lock_guard lock(mutex_);
  if (closed_) {
    absl::Status status = absl::UnavailableError("the server is shutting down");
    SetReason(status, "SHUTTING_DOWN");
    return status;
  }
  if (unanswered_ >= limits_.requests) {
    absl::Status status = absl::ResourceExhaustedError(
        fmt::format("{} requests are in progress, as many as this server accepts", unanswered_));
    SetReason(status, "TOO_MANY_REQUESTS");
    SetRetryDelay(status, kRetryDelay);
    return status;
  }
  ++places_;
  ++unanswered_;
  place.entered_ = true;
  return absl::OkStatus();
}

absl::StatusOr<bool> Admission::Reserve(Place& place, std::int64_t bytes, Ready ready) {
  if (bytes > limits_.memory_bytes) {
    absl::Status status = absl::ResourceExhaustedError(fmt::format(
        "the request needs {} bytes of memory, the server allows {}", bytes, limits_.memory_bytes));
    SetReason(status, "MEMORY_LIMIT");
    return status;
  }
  const std::lock_guard lock(mutex_);
  if (place.withdrawn_) return Withdrawn();
  const bool granted = bytes == 0 || (waiting_.empty() && bytes <= limits_.memory_bytes - held_);
  if (granted) {
    held_ += bytes;
    place.held_ = bytes;
  } else {
    waiting_.push_back({&place, bytes, std::move(ready)});
  }
  return granted;
}

void Admission::Withdraw(Place& place) {
  std::list<Waiter> withdrawn;
  std::list<Waiter> granted;
  {
    const std::lock_guard lock(mutex_);
    place.withdrawn_ = true;
    const auto waiter = std::find_if(waiting_.begin(), waiting_.end(),
                                     [&](const Waiter& w) { return w.place == &place; });
    if (waiter == waiting_.end()) return;
    withdrawn.splice(withdrawn.end(), waiting_, waiter);
    Grant(granted);
  }
  withdrawn.front().ready(Withdrawn());
  for (Waiter& waiter : granted) waiter.ready(absl::OkStatus());
}

void Admission::Answer(Place& place) {
  const std::lock_guard lock(mutex_);
  CountAnswer(place);
}

void Admission::CountAnswer(Place& place) {
  if (!place.entered_ || place.answered_) return;
  place.answered_ = true;
  --unanswered_;
}

void Admission::Close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
}

bool Admission::WaitUntilEmpty(std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  return left_.wait_until(lock, deadline, [this] { return places_ == 0; });
}

Admission::Usage Admission::usage() const {
  const std::lock_guard lock(mutex_);
  return {.requests = unanswered_,
          .waiting = static_cast<std::int64_t>(waiting_.size()),
          .bytes = held_};
}

void Admission::Leave(Place& place) {
  if (!place.entered_) return;
  std::list<Waiter> granted;
  {
    const std::lock_guard lock(mutex_);
    CountAnswer(place);
    --places_;
    held_ -= place.held_;
    Grant(granted);
    left_.notify_all();
  }
  for (Waiter& waiter : granted) waiter.ready(absl::OkStatus());
}

void Admission::Grant(std::list<Waiter>& granted) {
  while (!waiting_.empty() && waiting_.front().bytes <= limits_.memory_bytes - held_) {
    held_ += waiting_.front().bytes;
    waiting_.front().place->held_ = waiting_.front().bytes;
    granted.splice(granted.end(), waiting_, waiting_.begin());
  }
}

}  // namespace convserve
