// Who may compute now, who waits and in which order, who is turned away: a bound on requests, on
// bytes and on computations at a time.
//
// A request is expected from its first sign on; one that will find no place is refused then, before
// anything is done for it. It takes a Place when it arrives; the bytes of its message, which are in
// memory already, count from then on. What parsing a long one takes is asked for before it is
// parsed. Once its shapes have been checked, and before any tensor is allocated, it states its
// Demand: the bytes of the message and the further bytes (output, workspace, decoded tensors),
// which count from the moment when it may compute. All bytes together never exceed the limit, and
// whoever was taken in can be served in the end: the messages of those that wait always leave room
// for the largest of their further demands.
//
// Order. The waiting request with the earliest due time comes first:
//
//   due = min(deadline - estimate, arrival + kPatience + kStretch * estimate)
//
// where the estimate is the time that computing it takes, 0 while unknown. Among requests that
// are in a hurry this is earliest deadline first. Among those that are not, each waits in
// proportion to its own size, so small ones pass large ones, and a large one that has waited for
// long enough is passed by nobody.
//   - A request whose bytes are not there yet is passed by others until it is due; then the bytes
//     that come free are kept for it.
//   - `slots` requests compute at a time. Short ones (estimate at most kShort) have `express_slots`
//     besides, which are used while a request that is not short holds a slot: a short request
//     never waits for the end of a long one.
//   - A request that states itself tiny takes no slot and passes everybody, if its bytes are there.
//
// Refusals, each at once and with a reason (proto/status.h):
//   SHUTTING_DOWN      UNAVAILABLE          after Close
//   TOO_MANY_REQUESTS  RESOURCE_EXHAUSTED   all places are taken; retry delay
//   MEMORY_BUSY        RESOURCE_EXHAUSTED   no room for its message now; retry delay
//   MEMORY_LIMIT       RESOURCE_EXHAUSTED   it needs more than the limit as such
//   DEADLINE_TOO_NEAR  DEADLINE_EXCEEDED    its own estimate does not fit before its deadline
//   QUEUE_TOO_LONG     RESOURCE_EXHAUSTED   nor does the estimate with that of the requests ahead
//                                           of it; retry delay, for another server may do it
// Only known estimates count for the last two. A request that runs out of time while it waits is
// told so when its turn comes and is not computed.
//
// The retry delay follows the backlog: half of the time that the accepted requests are estimated to
// take, within kMinRetryDelay and kMaxRetryDelay, spread by a quarter so that those who were turned
// away together do not return together.
//
// Thread-safe.
#ifndef CONVSERVE_SERVER_ADMISSION_H_
#define CONVSERVE_SERVER_ADMISSION_H_

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <limits>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace convserve {

class Admission {
 public:
  using Clock = std::chrono::steady_clock;

  static constexpr std::chrono::milliseconds kShort{5};
  static constexpr std::chrono::milliseconds kPatience{500};
  static constexpr int kStretch = 10;
  static constexpr std::chrono::milliseconds kArrival{100};
  static constexpr std::chrono::milliseconds kMinRetryDelay{20};
  static constexpr std::chrono::milliseconds kMaxRetryDelay{10'000};

  struct Limits {
    std::int64_t memory_bytes = 0;
    std::int64_t requests = 0;  // accepted at a time
    int slots = 1;              // computing at a time, at least 1
    int express_slots = 1;
  };

  // What serving a request takes.
  struct Demand {
    std::int64_t message_bytes = 0;
    std::int64_t further_bytes = 0;
    Clock::time_point deadline = Clock::time_point::max();
    std::optional<std::chrono::nanoseconds> estimate = {};  // of the time to compute
    bool tiny = false;
  };

  // Where a request that was granted computes.
  enum class Lane { kMain, kExpress, kTiny };

  // Told once: the lane, or why there will be none (CANCELLED after Withdraw, DEADLINE_EXCEEDED).
  // Must not throw.
  using Ready = std::function<void(absl::StatusOr<Lane>)>;

  enum class Refusal {
    kShuttingDown,
    kTooManyRequests,
    kMemoryBusy,
    kMemoryLimit,
    kDeadlineTooNear,
    kQueueTooLong,
    kExpiredInQueue,
  };
  static constexpr std::size_t kRefusals = 7;
  static std::string_view Name(Refusal refusal);  // "TOO_MANY_REQUESTS"

  // What is held at a moment, and who was turned away so far.
  struct Usage {
    std::int64_t requests = 0;   // accepted and not yet answered
    std::int64_t waiting = 0;    // of these: in the queue
    std::int64_t computing = 0;  // of these: in a slot
    std::int64_t bytes = 0;
    std::array<std::int64_t, kRefusals> refusals = {};  // by Refusal
  };

  // What one request holds; empty until Enter. Gives everything back when it ends, and must end
  // before the Admission and not while it waits.
  class Place {
   public:
    explicit Place(Admission& admission) : admission_(admission) {}
    ~Place() { admission_.Leave(*this); }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

   private:
    friend class Admission;
    Admission& admission_;
    bool entered_ = false;
    bool answered_ = false;
    bool withdrawn_ = false;
    std::optional<Lane> lane_;
    std::int64_t held_ = 0;
    std::optional<std::chrono::nanoseconds> estimate_;
    Clock::time_point started_;
    std::optional<std::list<Clock::time_point>::iterator> expected_;
  };

  // Told of the bytes that all requests hold together, whenever they change, under a lock. Must not
  // throw.
  using Watch = std::function<void(std::int64_t bytes)>;

  // `now` is read under a lock.
  explicit Admission(
      Limits limits, std::function<Clock::time_point()> now = Clock::now,
      Watch watch = [](std::int64_t) {});

  // A request whose message is on its way: for kArrival it counts as if it had entered, so that no
  // more are received than there is place for; those who dawdle hold up nobody. Or refuses, as
  // Enter would.
  absl::Status Expect(Place& place);

  // Takes a place for a request whose message has this many bytes, or refuses.
  absl::Status Enter(Place& place, std::int64_t message_bytes = 0);

  // Parsing the message of an entered request takes so many bytes more, until its Demand counts
  // what it holds. Refuses as Reserve would.
  absl::Status Grow(Place& place, std::int64_t bytes);

  // Asks for bytes and a slot, for a place that was entered and has neither. A lane: granted.
  // Nothing: `ready` will be called, perhaps on another thread and before this returns. CANCELLED
  // after Withdraw. On an error, and where this throws (std::bad_alloc), nothing was reserved.
  absl::StatusOr<std::optional<Lane>> Reserve(Place& place, const Demand& demand, Ready ready);

  // The request was given up: if it waits, or comes to wait, it is told so at once.
  void Withdraw(Place& place);

  // The request is about to be answered: another may be accepted and compute, and of its bytes at
  // most `bytes` stay reserved until the answer is on its way and the Place ends. Returns whether a
  // quarter of all bytes is taken.
  bool Answer(Place& place, std::int64_t bytes = std::numeric_limits<std::int64_t>::max());

  // No further place is given.
  void Close();

  // Whether all places have ended before `deadline`.
  bool WaitUntilEmpty(Clock::time_point deadline);

  Usage usage() const;

 private:
  struct Waiter {
    Place* place;
    Demand demand;
    Clock::time_point due;
    Ready ready;
    std::optional<Lane> granted = {};  // nothing, once out of the queue: refused
  };

  static bool IsShort(const std::optional<std::chrono::nanoseconds>& estimate) {
    return estimate && *estimate <= kShort;
  }

  void Leave(Place& place);

  // All below need mutex_. Those up to RetryDelay are in server/admission_refusals.cc.
  absl::Status CheckPlaces(std::int64_t taken);
  absl::Status CheckMemory(const Demand& demand);
  absl::Status CheckDeadline(const Demand& demand, Clock::time_point due, Clock::time_point now);
  absl::Status Refuse(Refusal refusal, absl::StatusCode code, std::string message);
  std::chrono::nanoseconds WorkAhead(const Demand& demand, Clock::time_point due,
                                     Clock::time_point now) const;
  std::chrono::milliseconds RetryDelay();
  void Arrived(Place& place);
  std::optional<Lane> FreeLane(const Demand& demand) const;
  void Grant(Place& place, const Demand& demand, Lane lane, Clock::time_point now);
  // So many bytes more.
  void Hold(Place& place, std::int64_t bytes);
  void Release(Place& place, std::int64_t bytes) { Hold(place, -bytes); }
  void LeaveSlot(Place& place);
  void CountAnswer(Place& place);
  void Dequeue(std::list<Waiter>::iterator waiter, std::list<Waiter>& told);
  // Moves those whose turn it is, and those whose time is over, from the queue to `told`.
  void Dispatch(std::list<Waiter>& told);
  // Without mutex_.
  static void Tell(std::list<Waiter>& told);

  const Limits limits_;
  const std::function<Clock::time_point()> now_;
  const Watch watch_;
  mutable std::mutex mutex_;
  std::condition_variable left_;
  bool closed_ = false;
  std::list<Clock::time_point> expected_;  // since when
  std::int64_t places_ = 0;
  std::int64_t unanswered_ = 0;
  std::int64_t held_ = 0;      // messages of all, further bytes of those that were granted
  std::int64_t messages_ = 0;  // messages of those that wait
  std::vector<Place*> computing_;
  std::list<Waiter> waiting_;  // by due time, then arrival
  std::array<std::int64_t, kRefusals> refusals_ = {};
};

}  // namespace convserve

#endif  // CONVSERVE_SERVER_ADMISSION_H_
