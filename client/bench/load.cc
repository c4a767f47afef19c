#include "client/bench/load.h"

#include <algorithm>
#include <atomic>
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
      const std::int64_t number = next_++;
      if (options_.requests > 0 && number >= options_.requests) return;
      const Clock::time_point moment = MomentOf(number);
      if (moment >= start_ + options_.warm_up + options_.duration) return;
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
  std::atomic<std::int64_t> next_ = 0;
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

LoadResult RunLoad(const Load& load, const LoadOptions& options, const Time& time) {
  return Runner(load, options, time).Run();
}

}  // namespace convserve::bench
