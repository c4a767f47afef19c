#include <cstdio>
#include <filesystem>
#include <fstream>
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
#include "tests/bench/measure.h"
#include "tests/bench/options.h"
#include "tests/bench/peak.h"
#include "tests/bench/race.h"
#include "tests/bench/report.h"
#include "tests/bench/result.h"
#include "tests/bench/scaling.h"

namespace convserve::bench {
namespace {

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

int RunRace(const Options& options) {
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
    absl::StatusOr<Result> result = Measure(layer, options);
    if (!result.ok()) {
      fmt::print("{:<16} {}\n", layer.name, std::string(result.status().message()));
      continue;
    }
    fmt::print("{}", TableLine(*result));
    std::fflush(stdout);
    failed |= !result->wrong.empty();
    peaks.push_back(result->peak_flops);
    results.push_back(*std::move(result));
  }
  if (results.empty()) return 1;
  const Summary peak = Summarize(peaks);
  fmt::print("\nFMA peak {:.1f} GFLOP/s, quartiles {:.0f} % apart\n\n", peak.median / 1e9,
             100 * peak.spread);
  fmt::print("{}\n{}\n", ClassTable(ByClass(results)), Slower(results));
  failed |= !WriteFile(options.csv_path, Csv(results));
  failed |= !WriteFile(options.svg_path, Chart(results));
  return failed ? 1 : 0;
}

int RunScaling(const Options& options) {
  fmt::print("{}; {}\n\n{}", MachineName(), std::string(InstructionSet()),
             ScalingHead(options.threads));
  bool failed = false;
  for (const Layer& layer : options.layers) {
    const absl::StatusOr<ScalingResult> result = MeasureScaling(layer, options);
    if (!result.ok()) {
      fmt::print("{:<16} {}\n", layer.name, std::string(result.status().message()));
      continue;
    }
    fmt::print("{}", ScalingLine(*result));
    std::fflush(stdout);
    failed |= !result->same_bits;
  }
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
  if (options->scaling) return RunScaling(*options);
  tbb::task_arena arena(options->threads);
  return arena.execute([&] { return RunRace(*options); });
}

}  // namespace
}  // namespace convserve::bench

int main(int argc, char** argv) { return convserve::bench::Main(argc, argv); }
