// Sends requests at a pace and measures them.
//
//   closed loop   each of `concurrency` senders sends its next request when the last one is done:
//                 the load follows the server
//   open loop     request k is meant to be sent at start + k / rate, whatever became of the others.
//                 Its latency counts from that moment, also when all senders were busy then: a
//                 server that stalls is charged with everybody whom it made wait, not only with the
//                 few requests that were under way (coordinated omission)
#ifndef CONVSERVE_CLIENT_BENCH_LOAD_H_
#define CONVSERVE_CLIENT_BENCH_LOAD_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <stop_token>
#include <vector>

#include "client/bench/tally.h"

namespace convserve::bench {

using Clock = std::chrono::steady_clock;

// The time that a load lives in; a test has its own.
struct Time {
  std::function<Clock::time_point()> now = Clock::now;
  // Returns at `moment`, or earlier when a stop is requested.
  std::function<void(Clock::time_point moment, const std::stop_token& stop)> sleep_until;

  static Time Real();
};

struct LoadOptions {
  double rate = 0;      // requests a second; 0: closed loop
  int concurrency = 1;  // senders, and so the most requests in flight
  Clock::duration duration = std::chrono::seconds(10);
  std::int64_t requests = 0;  // at most so many that count; 0: as many as the time allows
  // What is meant to be sent before this has passed is sent but not counted.
  Clock::duration warm_up{0};
  std::stop_token stop = {};
};

struct LoadResult {
  std::vector<Tally> kinds;    // one a kind of request
  Clock::duration elapsed{0};  // counted: without the warm-up

  Tally All() const;
};

// One request: sends it and fills all of the outcome but the latency. Called by several threads.
struct Send {
  int sender = 0;
  std::int64_t number = 0;  // from 0 on, in the order of the moments at which they are due
};
using Sender = std::function<Outcome(const Send& send)>;

struct Load {
  Sender send;
  // The kind of request `number`: below kinds.
  std::function<std::size_t(std::int64_t number)> kind = [](std::int64_t) { return 0; };
  std::size_t kinds = 1;
  // What was measured so far, about once a second; may be empty.
  std::function<void(const LoadResult& so_far)> progress = {};
};

// Returns once all requests that were sent have ended. Those that end CANCELLED after a stop was
// requested are not counted.
LoadResult RunLoad(const Load& load, const LoadOptions& options, const Time& time = Time::Real());

}  // namespace convserve::bench

#endif  // CONVSERVE_CLIENT_BENCH_LOAD_H_
