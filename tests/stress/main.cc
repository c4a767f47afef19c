// What an overloaded server still does: a process of its own, offered what it can take and four
// times as much in turns, then nothing, then one request. Prints a table; the exit code is 0 when
//   - the work that was answered under overload is at least 90 % of the peak,
//   - every answer is right and every refusal names a time to come back,
//   - its memory stays within the budget plus 64 MiB,
//   - the first request afterwards is answered within twice its usual time plus 50 ms,
//   - a cancelled computation has let go of its thread and of its bytes within 10 ms.
// A measurement: for a machine that does nothing else, of at least two processors. The server gets
// one half of them and the load the other, else the peak would be what the load leaves of them.
#include <sched.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <iostream>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>

#include "client/bench/load.h"
#include "client/bench/workload.h"
#include "core/problem.h"
#include "fmt/format.h"
#include "proto/status.h"
#include "server/server.h"
#include "tests/server/child.h"

namespace convserve::bench {
namespace {

constexpr std::int64_t kMiB = std::int64_t{1} << 20;
constexpr std::int64_t kBudget = 256 * kMiB;
constexpr std::int64_t kBesides = 64 * kMiB;
constexpr double kGoodput = 0.9;

// Runs this process, and what it starts from now on, on the one or the other half of its
// processors.
class Halves {
 public:
  Halves() {
    sched_getaffinity(0, sizeof all_, &all_);
    for (int cpu = 0, seen = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(cpu, &all_)) CPU_SET(cpu, &halves_[seen++ % 2]);
    }
  }
  ~Halves() { Restrict(all_); }

  bool exist() const { return CPU_COUNT(&all_) > 1; }
  void Use(std::size_t half) { Restrict(halves_.at(half)); }

 private:
  static void Restrict(const cpu_set_t& set) { sched_setaffinity(0, sizeof set, &set); }

  cpu_set_t all_ = {};
  std::array<cpu_set_t, 2> halves_ = {};
};

double Seconds(Clock::duration time) { return std::chrono::duration<double>(time).count(); }

struct Phase {
  double work = 0;  // multiply-adds a second that were answered
  double rate = 0;
  std::int64_t answered = 0;
  std::int64_t refused = 0;
  std::int64_t bad = 0;  // wrong answers and refusals without a time to come back

  // Of two equally long ones.
  Phase& operator+=(const Phase& other) {
    work += other.work;
    rate += other.rate;
    answered += other.answered;
    refused += other.refused;
    bad += other.bad;
    return *this;
  }
};

class Stress {
 public:
  Stress(const std::string& address, Workload workload)
      : workload_(std::move(workload)), client_(address, {.max_attempts = 1, .connections = 4}) {
    for (const RequestKind& kind : workload_.kinds()) {
      ProblemSpec spec;
      spec.input = {kind.type, kind.input, {}};
      spec.weight = {kind.type, kind.weights, {}};
      spec.parameters = kind.parameters;
      work_.push_back(static_cast<double>(MakeProblem(spec)->multiply_adds()));
    }
  }

  Phase Run(const char* name, const LoadOptions& options) {
    bad_ = 0;
    const Load load{.send =
                        [&](const struct Send& send) {
                          Outcome outcome = workload_.Send(client_, send.number, {});
                          const bool told =
                              outcome.status.ok() || RetryDelayOf(outcome.status).has_value();
                          if (outcome.wrong || !told) ++bad_;
                          return outcome;
                        },
                    .kind = [&](std::int64_t number) { return workload_.KindOf(number); },
                    .kinds = work_.size()};
    const LoadResult result = RunLoad(load, options);
    Phase phase;
    for (std::size_t kind = 0; kind < work_.size(); ++kind) {
      const Tally& tally = result.kinds[kind];
      phase.answered += tally.answered();
      phase.refused += tally.errors();
      phase.work += static_cast<double>(tally.answered()) * work_[kind] / Seconds(result.elapsed);
    }
    phase.rate = static_cast<double>(phase.answered) / Seconds(result.elapsed);
    phase.bad = bad_;
    std::cout << fmt::format("{:<22}{:>10}{:>10}{:>12.1f}{:>12.2f}{:>8}\n", name, phase.answered,
                             phase.refused, phase.rate, phase.work / 1e9, phase.bad)
              << std::flush;
    return phase;
  }

 private:
  const Workload workload_;
  const ConvolutionClient client_;
  std::vector<double> work_;
  std::atomic<std::int64_t> bad_ = 0;
};

// From a caller's stop in the midst of a computation of seconds until the server holds nothing more
// of it: the longest of several.
double LongestCancellation() {
  const auto server = Server::Start({.listen = {"127.0.0.1:0"}});
  if (!server.ok()) return 1e9;
  const ConvolutionClient client((*server)->addresses()[0]);
  const Tensor input(DataType::kFloat32, {4, 64, 256, 256});
  const Tensor weight(DataType::kFloat32, {64, 64, 5, 5});
  // Once to its end, as pages of memory that nothing has used before take milliseconds to be had.
  if (!client.Conv({input.view(), weight.view(), {}}, {}).ok()) return 1e9;
  double longest = 0;
  for (int round = 0; round < 20; ++round) {
    std::stop_source stop;
    auto result =
        client.ConvAsync({input.view(), weight.view(), {}}, {}, {.stop = stop.get_token()});
    while ((*server)->load().computing == 0) {
      if (result.wait_for(std::chrono::microseconds(100)) == std::future_status::ready) {
        std::cerr << "not computed: " << result.get().status() << "\n";
        return 1e9;
      }
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5 * round));
    const Clock::time_point start = Clock::now();
    stop.request_stop();
    while ((*server)->load().computing > 0 || (*server)->load().bytes > 0) {
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
    longest = std::max(longest, Seconds(Clock::now() - start));
    result.wait();
  }
  return longest;
}

bool Check(bool good, const std::string& what) {
  std::cout << (good ? "ok      " : "FAILED  ") << what << "\n";
  return good;
}

int Main(int argc, char** argv) {
  const double cancellation = LongestCancellation();
  const Clock::duration duration = std::chrono::seconds(argc > 1 ? std::atoi(argv[1]) : 30);
  Halves processors;
  if (!processors.exist()) {
    std::cerr << "expected at least two processors, got one\n";
    return 1;
  }
  processors.Use(0);
  Child server({"--listen", "127.0.0.1:0", "--memory-limit", fmt::format("{}", kBudget),
                "--max-requests", "32", "--log-level", "off"});
  processors.Use(1);
  const std::string line = server.ReadLine();
  const std::string address = line.substr(line.rfind(' ') + 1);

  std::vector<RequestKind> kinds;
  for (const char* text : {"4*small", "4*1,16,32,32:16,16,5,5", "4*1,32,64,64:32,32,7,7",
                           "1,64,112,112:64,64,5,5:padding=2"}) {
    kinds.push_back(*ParseRequestKind(text));
  }
  auto workload = Workload::Make(std::move(kinds), /*verify=*/true);
  if (!workload.ok()) {
    std::cerr << workload.status() << "\n";
    return 1;
  }
  Stress stress(address, *std::move(workload));

  std::cout << fmt::format("{:<22}{:>10}{:>10}{:>12}{:>12}{:>8}\n", "", "answered", "refused",
                           "answers/s", "GMAC/s", "bad");
  const Phase alone = stress.Run("alone", {.concurrency = 1, .duration = duration / 6});
  // In turns, as the speed of a machine that is shared drifts.
  constexpr int kTurns = 3;
  Phase peak;
  Phase over;
  for (int turn = 1; turn <= kTurns; ++turn) {
    peak += stress.Run("peak", {.concurrency = 8, .duration = duration / 3});
    over += stress.Run(
        "4 times the peak",
        {.rate = 4 * peak.rate / turn, .concurrency = 256, .duration = duration / kTurns});
  }
  const std::int64_t memory = server.PeakMemory();
  const Clock::time_point before = Clock::now();
  const Phase after = stress.Run("one request after it", {.requests = 1});
  const double recovery = Seconds(Clock::now() - before);
  const double usual = alone.rate > 0 ? 1 / alone.rate : 0;

  bool good = Check(over.work >= kGoodput * peak.work,
                    fmt::format("goodput {:.1f} % of the peak", 100 * over.work / peak.work));
  good &= Check(alone.bad + peak.bad + over.bad + after.bad == 0,
                "every answer is right, every refusal names a time to come back");
  good &= Check(memory <= kBudget + kBesides,
                fmt::format("resident memory at most {} MiB, budget {} + {} MiB", memory / kMiB,
                            kBudget / kMiB, kBesides / kMiB));
  good &= Check(after.answered == 1 && recovery < 2 * usual + 0.05,
                fmt::format("the next request took {:.1f} ms, {:.1f} ms is usual", 1e3 * recovery,
                            1e3 * usual));
  good &= Check(cancellation < 0.01, fmt::format("a cancelled computation is over within {:.1f} ms",
                                                 1e3 * cancellation));
  return good ? 0 : 1;
}

}  // namespace
}  // namespace convserve::bench

int main(int argc, char** argv) { return convserve::bench::Main(argc, argv); }
