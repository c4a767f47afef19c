#include "tests/bench/measure.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "fmt/format.h"
#include "tests/bench/ours.h"
#include "tests/bench/peak.h"
#include "tests/bench/race.h"
#include "tests/bench/rival.h"
#include "tests/bench/verify.h"

namespace convserve::bench {
namespace {

// The specification is no contender for larger layers than this.
constexpr std::int64_t kMostForReference = std::int64_t{1} << 24;

struct Contender {
  RivalResult result;
  std::unique_ptr<Runner> runner;
};

bool IsChosen(const Options& options, std::string_view rival) {
  return options.rivals.empty() ||
         std::find(options.rivals.begin(), options.rivals.end(), rival) != options.rivals.end();
}

std::vector<Contender> PrepareRivals(const Workload& workload, const Options& options) {
  std::vector<Contender> contenders;
  for (const Rival& rival : Rivals()) {
    if (!IsChosen(options, rival.name)) continue;
    if (!rival.every_type && options.types != &kElementTypes.front()) continue;
    if (!rival.every_layout && workload.channels_last()) continue;
    absl::StatusOr<std::unique_ptr<Runner>> runner = rival.prepare(workload);
    if (!runner.ok()) continue;
    contenders.push_back({{.name = std::string(rival.name),
                           .regime = rival.regime,
                           .implementation = (*runner)->Implementation()},
                          *std::move(runner)});
  }
  return contenders;
}

// Our algorithms other than the one of `chosen` that accept the workload.
std::vector<Contender> PrepareAlgorithms(const Workload& workload, const Plan& chosen) {
  std::vector<Contender> contenders;
  for (const std::string_view name : AlgorithmNames()) {
    if (name == chosen.algorithm_name()) continue;
    if (name == "reference" && workload.problem.multiply_adds() > kMostForReference) continue;
    absl::StatusOr<std::unique_ptr<Ours>> ours = PrepareOurs(workload, name);
    if (!ours.ok()) continue;
    const std::int64_t workspace = (*ours)->plan().workspace_bytes();
    contenders.push_back({{.name = fmt::format("convserve/{}", name),
                           .regime = Regime::kOurs,
                           .implementation = std::string(name),
                           .workspace_bytes = workspace},
                          *std::move(ours)});
  }
  return contenders;
}

// Runs all of them once and keeps those that agree with `expected`.
std::vector<Contender> KeepRight(std::vector<Contender> contenders, Ours& expected,
                                 const Workload& workload, const ExactSample& exact,
                                 std::vector<std::string>& wrong) {
  const Workload magnitudes = Magnitudes(workload);
  Ours magnitude(magnitudes, expected.plan());
  magnitude.Run();
  std::erase_if(contenders, [&](Contender& contender) {
    contender.runner->Run();
    const std::span<const float> output = contender.runner->Output();
    contender.result.error = exact.LargestError(output);
    const double difference = LargestDifference(expected.Output(), output, magnitude.Output());
    if (difference <= kDifferenceBound) return false;
    wrong.push_back(fmt::format("{} differs from us by {:.3g}, allowed {}: not timed",
                                contender.result.name, difference, kDifferenceBound));
    return true;
  });
  return contenders;
}

// Ways to compute a layer again and again: its weight packed beforehand where that helps, and its
// tensors in either layout.
struct Steady {
  std::unique_ptr<Workload> other;  // in the other layout
  std::vector<std::unique_ptr<Ours>> prepared;
  std::vector<Ours*> ways;
};

absl::StatusOr<Steady> PrepareSteady(const Layer& layer, const Options& options,
                                     const Workload& workload, Ours& ours) {
  Steady steady;
  const auto add = [&](const Workload& of, Ours& unpacked) {
    std::unique_ptr<Ours> packed = PreparePacked(of, unpacked);
    steady.ways.push_back(packed != nullptr ? packed.get() : &unpacked);
    if (packed != nullptr) steady.prepared.push_back(std::move(packed));
  };
  add(workload, ours);
  absl::StatusOr<Workload> other = MakeWorkload(
      layer, *options.types,
      workload.channels_last() ? TensorLayout::kChannelsFirst : TensorLayout::kChannelsLast);
  if (!other.ok()) return other.status();
  steady.other = std::make_unique<Workload>(*std::move(other));
  absl::StatusOr<std::unique_ptr<Ours>> turned = PrepareOurs(*steady.other, options.algorithm);
  if (!turned.ok()) return steady;  // the algorithm that is forced takes one layout
  steady.prepared.push_back(*std::move(turned));
  add(*steady.other, *steady.prepared.back());
  return steady;
}

// A packed weight gives the same bits, another layout as small an error.
void Check(const Steady& steady, Ours& ours, const ExactSample& exact,
           std::vector<std::string>& wrong) {
  if (!std::ranges::equal(steady.ways.front()->Output(), ours.Output())) {
    wrong.push_back("a packed weight gives other bits");
  }
  if (steady.ways.size() == 1) return;
  const double error = exact.LargestError(steady.ways.back()->Output(), *steady.other);
  if (error > kErrorBound) {
    wrong.push_back(fmt::format("our error is {:.3g} in the other layout", error));
  }
}

}  // namespace

absl::StatusOr<Result> Measure(const Layer& layer, const Options& options) {
  const absl::StatusOr<Workload> workload = MakeWorkload(layer, *options.types, options.layout);
  if (!workload.ok()) return workload.status();
  const absl::StatusOr<std::unique_ptr<Ours>> ours = PrepareOurs(*workload, options.algorithm);
  if (!ours.ok()) return ours.status();

  Result result;
  result.layer = layer;
  result.flops = workload->flops();
  result.mandatory_bytes = workload->mandatory_bytes();
  result.algorithm = std::string((*ours)->plan().algorithm_name());
  result.workspace_bytes = (*ours)->plan().workspace_bytes();
  (*ours)->Run();
  const ExactSample exact(*workload);
  result.error = exact.LargestError((*ours)->Output());
  if (result.error > kErrorBound) {
    result.wrong.push_back(
        fmt::format("our error is {:.3g}, promised {}", result.error, kErrorBound));
  }

  std::vector<Contender> contenders = PrepareRivals(*workload, options);
  if (options.every_algorithm) {
    std::ranges::move(PrepareAlgorithms(*workload, (*ours)->plan()),
                      std::back_inserter(contenders));
  }
  contenders = KeepRight(std::move(contenders), **ours, *workload, exact, result.wrong);

  const Problem& problem = workload->problem;
  FmaPeak peak(options.threads);
  Stream stream(problem.input_bytes() + problem.weight_bytes(), problem.output_bytes(),
                options.threads);
  absl::StatusOr<Steady> steady = PrepareSteady(layer, options, *workload, **ours);
  if (!steady.ok()) return steady.status();
  std::vector<Runner*> runners = {ours->get(), &peak, &stream};
  for (const Contender& contender : contenders) runners.push_back(contender.runner.get());
  const std::size_t first_steady = runners.size();
  for (Ours* way : steady->ways) runners.push_back(way);
  const std::vector<Times> times = Race(runners, options.schedule);

  result.time = Summarize(times[0]);
  const auto fastest = std::min_element(
      times.begin() + static_cast<std::ptrdiff_t>(first_steady), times.end(),
      [](const Times& a, const Times& b) { return Summarize(a).median < Summarize(b).median; });
  const Ours& way = *steady->ways[static_cast<std::size_t>(fastest - times.begin()) - first_steady];
  result.steady_time = Summarize(*fastest);
  result.steady_algorithm = std::string(way.plan().algorithm_name());
  result.steady_layout = way.plan().problem().tensor_layout();
  Check(*steady, **ours, exact, result.wrong);
  result.peak_flops = peak.flops() / Summarize(times[1]).median;
  result.stream_seconds = Summarize(times[2]).median;
  for (std::size_t i = 0; i < contenders.size(); ++i) {
    RivalResult& rival = contenders[i].result;
    rival.time = Summarize(times[i + 3]);
    rival.ratio = Ratio(times[i + 3], rival.regime == Regime::kSteady ? *fastest : times[0]);
    result.rivals.push_back(std::move(rival));
  }
  return result;
}

}  // namespace convserve::bench
