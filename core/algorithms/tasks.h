// Parallel work, until a stop is requested.
#ifndef CONVSERVE_CORE_ALGORITHMS_TASKS_H_
#define CONVSERVE_CORE_ALGORITHMS_TASKS_H_

#include <cstdint>
#include <stop_token>

#include "absl/status/status.h"
#include "tbb/parallel_for.h"

namespace convserve {

// body(task) for every task < tasks, in any order, on the arena that the caller is in; a single one
// on the calling thread, which costs nothing. Tasks not begun when a stop is requested are left
// out.
template <typename Body>
void ForEachTask(std::int64_t tasks, const std::stop_token& stop, Body body) {
  if (tasks == 1) {
    if (!stop.stop_requested()) body(std::int64_t{0});
    return;
  }
  tbb::parallel_for(std::int64_t{0}, tasks, [&](std::int64_t task) {
    if (!stop.stop_requested()) body(task);
  });
}

// What a run answers when it has no more to do: CANCELLED when a stop was requested, as then tasks
// were left out.
inline absl::Status StatusAfter(const std::stop_token& stop) {
  return stop.stop_requested() ? absl::CancelledError("a stop was requested") : absl::OkStatus();
}

}  // namespace convserve

#endif  // CONVSERVE_CORE_ALGORITHMS_TASKS_H_
