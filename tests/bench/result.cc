#include "tests/bench/result.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "tests/bench/verify.h"

namespace convserve::bench {
namespace {

class GeometricMean {
 public:
  void Add(double value) {
    sum_ += std::log(value);
    least_ = count_ == 0 ? value : std::min(least_, value);
    ++count_;
  }
  double value() const { return count_ == 0 ? 0 : std::exp(sum_ / count_); }
  double least() const { return least_; }

 private:
  double sum_ = 0;
  double least_ = 0;
  int count_ = 0;
};

template <typename Belongs>
ClassResult Summarise(std::string name, const std::vector<Result>& results, Belongs belongs) {
  GeometricMean speed, peak, roofline, plain, steady, accurate;
  int layers = 0;
  for (const Result& result : results) {
    if (!belongs(result)) continue;
    ++layers;
    speed.Add(result.flops_per_second());
    peak.Add(result.part_of_peak());
    roofline.Add(result.part_of_roofline());
    if (const RivalResult* rival = result.best(Regime::kPlain)) plain.Add(rival->ratio);
    if (const RivalResult* rival = result.best(Regime::kSteady)) steady.Add(rival->ratio);
    if (const RivalResult* rival = result.best(Regime::kSteady, kErrorBound)) {
      accurate.Add(rival->ratio);
    }
  }
  return {.name = std::move(name),
          .layers = layers,
          .flops_per_second = speed.value(),
          .part_of_peak = peak.value(),
          .part_of_roofline = roofline.value(),
          .against_plain = plain.value(),
          .against_steady = steady.value(),
          .against_accurate = accurate.value(),
          .worst_against_plain = plain.least(),
          .worst_against_steady = steady.least()};
}

}  // namespace

double Result::part_of_roofline() const {
  return std::max(flops / peak_flops, stream_seconds) / time.median;
}

bool Result::has_large_workspace() const {
  return workspace_bytes > std::max(mandatory_bytes / 10, std::int64_t{4} << 20);
}

const RivalResult* Result::best(Regime regime, double most_error) const {
  const RivalResult* best = nullptr;
  for (const RivalResult& rival : rivals) {
    if (rival.regime != regime || rival.error > most_error) continue;
    if (best == nullptr || rival.ratio < best->ratio) best = &rival;
  }
  return best;
}

std::vector<ClassResult> ByClass(const std::vector<Result>& results) {
  std::vector<ClassResult> rows;
  for (const Result& result : results) {
    const std::string& name = result.layer.class_name;
    if (std::any_of(rows.begin(), rows.end(), [&](const auto& row) { return row.name == name; })) {
      continue;
    }
    rows.push_back(Summarise(name, results,
                             [&](const Result& other) { return other.layer.class_name == name; }));
  }
  if (!rows.empty()) rows.push_back(Summarise("all", results, [](const Result&) { return true; }));
  return rows;
}

}  // namespace convserve::bench
