// Who may compute now, who waits, who is turned away: a bound on requests and on bytes.
//
// A request takes a Place when it arrives, and reserves its bytes (tensors and workspace) once its
// shapes have been checked and before any of them is allocated. Bytes are granted in the order in
// which they were asked for. A request that waits holds none, so those that hold some can always
// finish: there is no deadlock.
//
// Thread-safe.
#ifndef CONVSERVE_SERVER_ADMISSION_H_
#define CONVSERVE_SERVER_ADMISSION_H_

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace convserve {

class Admission {
 public:
  struct Limits {
    std::int64_t memory_bytes = 0;
    std::int64_t requests = 0;
  };

  // What is held at a moment.
  struct Usage {
    std::int64_t requests = 0;  // accepted and not yet answered
    std::int64_t waiting = 0;   // of these, for memory
    std::int64_t bytes = 0;
  };

  // Told once that the bytes are there (OK), or CANCELLED after Withdraw. Must not throw.
  using Ready = std::function<void(absl::Status)>;

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
    std::int64_t held_ = 0;
  };

  explicit Admission(Limits limits) : limits_(limits) {}

  // Takes a place. RESOURCE_EXHAUSTED with a retry delay when all are taken, UNAVAILABLE after
  // Close.
  absl::Status Enter(Place& place);

  // Reserves `bytes` for a place that was entered and holds none. True: granted. False: `ready`
  // will be called, perhaps on another thread and before this returns. RESOURCE_EXHAUSTED when
  // `bytes` exceed the limit as such; CANCELLED after Withdraw. Where this throws (std::bad_alloc),
  // nothing was reserved.
  absl::StatusOr<bool> Reserve(Place& place, std::int64_t bytes, Ready ready);

  // The request was given up: if it waits, or comes to wait, it is told so at once.
  void Withdraw(Place& place);

  // The request is about to be answered: another may be accepted, while its bytes stay reserved
  // until the answer is on its way and the Place ends.
  void Answer(Place& place);

  // No further place is given.
  void Close();

  // Whether all places have ended before `deadline`.
  bool WaitUntilEmpty(std::chrono::steady_clock::time_point deadline);

  Usage usage() const;

 private:
  struct Waiter {
    Place* place;
    std::int64_t bytes;
    Ready ready;
  };

  void Leave(Place& place);
  // Needs mutex_.
  void CountAnswer(Place& place);
  // Moves the waiters whose turn it is from the queue to `granted`. Needs mutex_.
  void Grant(std::list<Waiter>& granted);

  const Limits limits_;
  mutable std::mutex mutex_;
  std::condition_variable left_;
  bool closed_ = false;
  std::int64_t places_ = 0;
  std::int64_t unanswered_ = 0;
  std::int64_t held_ = 0;
  std::list<Waiter> waiting_;
};

}  // namespace convserve

#endif  // CONVSERVE_SERVER_ADMISSION_H_
