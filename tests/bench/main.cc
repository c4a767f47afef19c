#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/convolve.h"
#include "fmt/format.h"
#include "oneapi/tbb/global_control.h"
#include "oneapi/tbb/task_arena.h"
#include "tests/bench/chart.h"
#include "tests/bench/machine.h"
#include "tests/bench/options.h"
#include "tests/bench/ours.h"
#include "tests/bench/peak.h"
#include "tests/bench/race.h"
#include "tests/bench/report.h"
#include "tests/bench/result.h"
#include "tests/bench/rival.h"
#include "tests/bench/verify.h"

namespace convserve::bench {
namespace {

struct Prepared {
  Rival rival;
  std::unique_ptr<Runner> runner;
};

// The rivals that can compute the workload, have done so once and agreed with `ours`. Those that
// disagreed are told to people and count as a failure.
std::vector<Prepared> PrepareRivals(const Workload& workload, Ours& ours, const Options& options,
                                    bool& failed) {
  const Workload magnitudes = Magnitudes(workload);
  Ours magnitude(magnitudes, ours.plan());
  magnitude.Run();
  std::vector<Prepared> prepared;
  for (const Rival& rival : Rivals()) {
    if (!options.rivals.empty() && std::find(options.rivals.begin(), options.rivals.end(),
                                             rival.name) == options.rivals.end()) {
      continue;
    }
    absl::StatusOr<std::unique_ptr<Runner>> runner = rival.prepare(workload);
    if (!runner.ok()) continue;
    (*runner)->Run();
    const double difference =
        LargestDifference(ours.Output(), (*runner)->Output(), magnitude.Output());
    if (difference > kDifferenceBound) {
      fmt::print("{}: {} differs from us by {:.3g}, allowed {}: not timed\n", workload.layer.name,
                 rival.name, difference, kDifferenceBound);
      failed = true;
      continue;
    }
    prepared.push_back({rival, *std::move(runner)});
  }
  return prepared;
}

std::optional<Result> Measure(const Layer& layer, const Options& options, bool& failed) {
  const absl::StatusOr<Workload> workload = MakeWorkload(layer);
  if (!workload.ok()) {
    fmt::print("{}: {}\n", layer.name, workload.status().ToString());
    failed = true;
    return std::nullopt;
  }
  const absl::StatusOr<std::unique_ptr<Ours>> ours = PrepareOurs(*workload, options.algorithm);
  if (!ours.ok()) {
    fmt::print("{:<16} {}\n", layer.name, ours.status().ToString());
    return std::nullopt;
  }
  (*ours)->Run();
  const double error = LargestError(*workload, (*ours)->Output());
  if (!(error <= kErrorBound)) {
    fmt::print("{}: our error is {:.3g}, promised {}\n", layer.name, error, kErrorBound);
    failed = true;
  }

  const std::vector<Prepared> rivals = PrepareRivals(*workload, **ours, options, failed);
  const Problem& problem = workload->problem;
  FmaPeak peak(options.threads);
  Stream stream(problem.input_bytes() + problem.weight_bytes(), problem.output_bytes(),
                options.threads);
  std::vector<Runner*> contenders = {ours->get(), &peak, &stream};
  for (const Prepared& prepared : rivals) contenders.push_back(prepared.runner.get());
  const std::vector<Times> times = Race(contenders, options.schedule);

  Result result{.layer = layer,
                .flops = workload->flops(),
                .algorithm = std::string((*ours)->plan().algorithm_name()),
                .time = Summarize(times[0]),
                .peak_flops = peak.flops() / Summarize(times[1]).median,
                .stream_seconds = Summarize(times[2]).median,
                .mandatory_bytes = workload->mandatory_bytes(),
                .workspace_bytes = (*ours)->plan().workspace_bytes(),
                .error = error,
                .rivals = {}};
  for (std::size_t i = 0; i < rivals.size(); ++i) {
    result.rivals.push_back({std::string(rivals[i].rival.name), rivals[i].rival.regime,
                             rivals[i].runner->Implementation(), Summarize(times[i + 3]),
                             Ratio(times[i + 3], times[0])});
  }
  return result;
}

bool WriteFile(const std::string& path, const std::string& text) {
  std::error_code ignored;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
  std::ofstream file(path);
  file << text;
  file.close();
  if (file) {
    fmt::print("{}\n", path);
  } else {
    fmt::print(stderr, "{}: cannot be written\n", path);
  }
  return static_cast<bool>(file);
}

// Large transfers, for the head of the report.
double BytesPerSecond(std::int64_t read, std::int64_t written, const Options& options) {
  Stream stream(read, written, options.threads);
  Runner* contender = &stream;
  const std::vector<Times> times = Race({&contender, 1}, {.seconds = 0.5, .rounds = 5});
  return static_cast<double>(read + written) / Summarize(times[0]).median;
}

int RunAll(const Options& options) {
  constexpr std::int64_t kLarge = std::int64_t{256} << 20;
  fmt::print("{}; {} thread{}; {}\n", MachineName(), options.threads,
             options.threads == 1 ? "" : "s", InstructionSet());
  fmt::print("memory: read {:.1f} GB/s, write {:.1f} GB/s\n\n",
             BytesPerSecond(kLarge, 0, options) / 1e9, BytesPerSecond(0, kLarge, options) / 1e9);
  fmt::print("{}", TableHead());
  bool failed = false;
  std::vector<Result> results;
  Times peaks;
  for (const Layer& layer : options.layers) {
    std::optional<Result> result = Measure(layer, options, failed);
    if (!result) continue;
    fmt::print("{}", TableLine(*result));
    std::fflush(stdout);
    peaks.push_back(result->peak_flops);
    results.push_back(*std::move(result));
  }
  if (results.empty()) return 1;
  const Summary peak = Summarize(peaks);
  fmt::print("\nFMA peak {:.1f} GFLOP/s, quartiles {:.0f} % apart\n\n", peak.median / 1e9,
             100 * peak.spread);
  fmt::print("{}\n", ClassTable(ByClass(results)));
  failed |= !WriteFile(options.csv_path, Csv(results));
  failed |= !WriteFile(options.svg_path, Chart(results));
  return failed ? 1 : 0;
}

int Main(int argc, char** argv) {
  int exit_code = 0;
  const std::optional<Options> options = ParseOptions(argc, argv, exit_code);
  if (!options) return exit_code;
  if (const absl::Status status =
          PrepareProcess({options->threads, options->instruction_set}, argv);
      !status.ok()) {
    fmt::print(stderr, "{}\n", status.ToString());
    return 1;
  }
  if (const absl::Status status = ForceInstructionSet(options->instruction_set); !status.ok()) {
    fmt::print(stderr, "{}\n", status.ToString());
    return 1;
  }
  tbb::global_control concurrency(tbb::global_control::max_allowed_parallelism,
                                  static_cast<std::size_t>(options->threads));
  tbb::task_arena arena(options->threads);
  return arena.execute([&] { return RunAll(*options); });
}

}  // namespace
}  // namespace convserve::bench

int main(int argc, char** argv) { return convserve::bench::Main(argc, argv); }
