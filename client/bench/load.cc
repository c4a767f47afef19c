#include "client/bench/load.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

namespace convserve::bench {
namespace {

// What one sender has measured; read by the progress while it is written.
struct Recorder {
  std::mutex mutex;
  std::vector<Tally> kinds;
};

class Runner {
 public:
  Runner(const Load& load, const LoadOptions& options, const Time& time)
      : load_(load), options_(options), time_(time), recorders_(Senders(options)) {
    for (Recorder& recorder : recorders_) recorder.kinds.resize(load.kinds);
  }

  LoadResult Run() {
    start_ = time_.now();
    {
      std::jthread watcher;
      if (load_.progress)
        watcher = std::jthread([this](const std::stop_token& done) { Watch(done); });
      std::vector<std::jthread> senders;
      for (int sender = 1; sender < static_cast<int>(recorders_.size()); ++sender) {
        senders.emplace_back([this, sender] { SendAll(sender); });
      }
      SendAll(0);
    }
    return Measured();
  }

 private:
  static std::size_t Senders(const LoadOptions& options) {
    return static_cast<std::size_t>(std::max(options.concurrency, 1));
  }

  void SendAll(int sender) {
    while (!options_.stop.stop_requested()) {
      const std::optional<Due> due = Next();
      if (!due) return;
      const auto [number, moment] = *due;
      if (options_.rate > 0) {
        time_.sleep_until(moment, options_.stop);
        if (options_.stop.stop_requested()) return;
      }
      Outcome outcome = load_.send({sender, number});
      const Clock::time_point end = time_.now();
      if (moment < start_ + options_.warm_up) continue;
      if (outcome.status.code() == absl::StatusCode::kCancelled && options_.stop.stop_requested()) {
        return;
      }
      outcome.latency = end - moment;
      Recorder& recorder = recorders_[static_cast<std::size_t>(sender)];
      const std::lock_guard lock(recorder.mutex);
      recorder.kinds.at(load_.kind(number)).Add(outcome);
    }
  }

  struct Due {
    std::int64_t number;
    Clock::time_point moment;
  };

  // Nothing at the end. In a closed loop the moment is now: one after the other, so that the
  // requests of the warm-up are the first.
  std::optional<Due> Next() {
    const std::lock_guard lock(next_mutex_);
    const Due due{next_, MomentOf(next_)};
    const bool warm_up = due.moment < start_ + options_.warm_up;
    if (!warm_up && options_.requests > 0 && next_ - warm_ups_ >= options_.requests) return {};
    if (due.moment >= start_ + options_.warm_up + options_.duration) return {};
    ++next_;
    if (warm_up) ++warm_ups_;
    return due;
  }

  Clock::time_point MomentOf(std::int64_t number) const {
    if (options_.rate <= 0) return time_.now();
    const std::chrono::duration<double> after(static_cast<double>(number) / options_.rate);
    return start_ + std::chrono::duration_cast<Clock::duration>(after);
  }

  LoadResult Measured() {
    LoadResult result;
    result.kinds.resize(load_.kinds);
    for (Recorder& recorder : recorders_) {
      const std::lock_guard lock(recorder.mutex);
      for (std::size_t kind = 0; kind < load_.kinds; ++kind) {
        result.kinds[kind].Merge(recorder.kinds[kind]);
      }
    }
    result.elapsed = std::max(time_.now() - start_ - options_.warm_up, Clock::duration::zero());
    return result;
  }

  void Watch(const std::stop_token& done) {
    std::mutex mutex;
    std::condition_variable_any tick;
    std::unique_lock lock(mutex);
    const auto never = [] { return false; };
    while (!tick.wait_for(lock, done, std::chrono::seconds(1), never) && !done.stop_requested()) {
      load_.progress(Measured());
    }
  }

  const Load& load_;
  const LoadOptions& options_;
  const Time& time_;
  std::vector<Recorder> recorders_;
  Clock::time_point start_;
  std::mutex next_mutex_;
  std::int64_t next_ = 0;
  std::int64_t warm_ups_ = 0;
};

}  // namespace

Time Time::Real() {
  return {.now = Clock::now,
          .sleep_until = [](Clock::time_point moment, const std::stop_token& stop) {
            std::mutex mutex;
            std::condition_variable_any stopped;
            std::unique_lock lock(mutex);
            stopped.wait_until(lock, stop, moment, [] { return false; });
          }};
}

Tally LoadResult::All() const {
  Tally all;
  for (const Tally& kind : kinds) all.Merge(kind);
  return all;
}

LoadResult RunLoad(const Load& load, const LoadOptions& options, const Time& time) {
  return Runner(load, options, time).Run();
}

}  // namespace convserve::bench
