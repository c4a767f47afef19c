#include "tests/bench/scaling.h"

#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <utility>

#include "fmt/format.h"
#include "oneapi/tbb/task_arena.h"
#include "tests/bench/ours.h"
#include "tests/bench/peak.h"
#include "tests/bench/race.h"

namespace convserve::bench {
namespace {

class InArena : public Runner {
 public:
  InArena(std::unique_ptr<Runner> runner, int threads)
      : runner_(std::move(runner)), arena_(threads) {}
  void Run() override {
    arena_.execute([this] { runner_->Run(); });
  }
  std::span<const float> Output() override { return runner_->Output(); }

 private:
  std::unique_ptr<Runner> runner_;
  tbb::task_arena arena_;
};

bool SameBits(std::span<const float> left, std::span<const float> right) {
  return left.size() == right.size() &&
         std::memcmp(left.data(), right.data(), left.size_bytes()) == 0;
}

}  // namespace

std::vector<int> ThreadCounts(int threads) {
  std::vector<int> counts;
  for (int count = 1; count < threads; count *= 2) counts.push_back(count);
  counts.push_back(threads);
  return counts;
}

absl::StatusOr<ScalingResult> MeasureScaling(const Layer& layer, const Options& options) {
  const absl::StatusOr<Workload> workload = MakeWorkload(layer, *options.types, options.layout);
  if (!workload.ok()) return workload.status();
  ScalingResult result;
  result.layer = layer;
  result.multiply_adds = static_cast<double>(workload->problem.multiply_adds());

  const std::vector<int> counts = ThreadCounts(options.threads);
  std::vector<std::unique_ptr<InArena>> contenders;
  for (const int threads : counts) {
    absl::StatusOr<std::unique_ptr<Ours>> ours = PrepareOurs(*workload, options.algorithm);
    if (!ours.ok()) return ours.status();
    result.algorithm = std::string((*ours)->plan().algorithm_name());
    contenders.push_back(std::make_unique<InArena>(*std::move(ours), threads));
  }
  for (const int threads : counts) {
    contenders.push_back(std::make_unique<InArena>(std::make_unique<FmaPeak>(threads), threads));
  }
  std::vector<Runner*> runners;
  for (const auto& contender : contenders) runners.push_back(contender.get());
  const std::vector<Times> times = Race(runners, options.schedule);

  result.one_thread_seconds = Summarize(times[0]).median;
  const std::size_t machine = counts.size();
  for (std::size_t i = 0; i < counts.size(); ++i) {
    result.speed_ups.push_back(Ratio(times[0], times[i]));
    // Each thread has as much to do as the only one.
    result.machine_speed_ups.push_back(counts[i] * Ratio(times[machine], times[machine + i]));
    result.same_bits &= SameBits(contenders[0]->Output(), contenders[i]->Output());
  }
  return result;
}

std::string ScalingHead(int threads) {
  std::string text =
      fmt::format("{:<16} {:<12} {:>10} {:>9}", "layer", "algorithm", "M mul-adds", "ms at 1");
  for (const int count : ThreadCounts(threads)) text += fmt::format(" {:>15}", count);
  return text + "  bits   (in brackets: register-only multiply-adds)\n";
}

std::string ScalingLine(const ScalingResult& result) {
  std::string text =
      fmt::format("{:<16} {:<12} {:>10.1f} {:>9.3f}", result.layer.name, result.algorithm,
                  result.multiply_adds / 1e6, result.one_thread_seconds * 1e3);
  for (std::size_t i = 0; i < result.speed_ups.size(); ++i) {
    text += fmt::format(" {:>6.2f}x ({:.2f}x)", result.speed_ups[i], result.machine_speed_ups[i]);
  }
  return text + (result.same_bits ? "  same\n" : "  DIFFERENT\n");
}

}  // namespace convserve::bench
