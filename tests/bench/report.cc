#include "tests/bench/report.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "fmt/format.h"
#include "tests/bench/verify.h"

namespace convserve::bench {
namespace {

constexpr double kGiga = 1e9;
constexpr double kMilli = 1e3;

const char* RegimeName(Regime regime) {
  switch (regime) {
    case Regime::kPlain:
      return "plain";
    case Regime::kSteady:
      return "steady";
    case Regime::kOurs:
      return "ours";
  }
  return "";
}

double Percent(double part) { return 100 * part; }

std::string Against(const RivalResult* rival) {
  if (rival == nullptr) return fmt::format("{:>36}", "- ");
  return fmt::format("{:>15} {:>10.3f} {:>7.2f}x{}", rival->name, rival->time.median * kMilli,
                     rival->ratio, rival->error > kErrorBound ? '!' : ' ');
}

std::string RatioOrDash(double ratio) {
  return ratio == 0 ? fmt::format("{:>9}", "-") : fmt::format("{:>8.2f}x", ratio);
}

}  // namespace

std::string TableHead() {
  return fmt::format(
      "ms         median of the rounds; +-: distance of the quartiles\n"
      "peak       part of the multiply-adds that registers allow\n"
      "roof       part of what that peak and the bandwidth for the mandatory bytes allow\n"
      "steady     ms with a weight packed beforehand, in the faster layout (L: channels last): "
      "what "
      "steady\n           rivals are compared with, whose layouts are their own\n"
      "rival      the best one, its ms, and how many times faster we are; ! past the error that we "
      "promise\n"
      "accurate   of steady rivals without those\n"
      "error      the largest against float64: c of c * 2^-24 * sum|x||w|, promised {}\n"
      "work       workspace as part of input + weight + output; ! above 10 % and 4 MiB\n\n"
      "{:<16} {:<12} {:>9} {:>5} {:>9} {:>7} {:>5} {:>5} |{:>36} |{:>36} |{:>6} {:>8}\n",
      kErrorBound, "layer", "algorithm", "ms", "+-", "steady", "GFLOP/s", "peak", "roof",
      "plain rival ", "steady rival ", "error", "work");
}

std::string TableLine(const Result& result) {
  const auto workspace = [&](std::int64_t bytes) {
    return Percent(static_cast<double>(bytes) / static_cast<double>(result.mandatory_bytes));
  };
  std::string text = fmt::format(
      "{:<16} {:<12} {:>9.3f} {:>4.0f}% {:>9} {:>7.1f} {:>4.0f}% {:>4.0f}% |{} |{} |{:>6.2f} "
      "{:>6.0f}%{}\n",
      result.layer.name, result.algorithm, result.time.median * kMilli, Percent(result.time.spread),
      fmt::format("{:.3f}{}", result.steady_time.median * kMilli,
                  result.steady_layout == TensorLayout::kChannelsLast ? 'L' : ' '),
      result.flops_per_second() / kGiga, Percent(result.part_of_peak()),
      Percent(result.part_of_roofline()), Against(result.best(Regime::kPlain)),
      Against(result.best(Regime::kSteady)), result.error, workspace(result.workspace_bytes),
      result.has_large_workspace() ? '!' : ' ');
  for (const RivalResult& other : result.rivals) {
    if (other.regime != Regime::kOurs) continue;
    text += fmt::format(
        "{:>16} {:<12} {:>9.3f} {:>4.0f}% takes {:.2f} times as long; error {:.2f}, work {:.0f}%\n",
        "or", other.implementation, other.time.median * kMilli, Percent(other.time.spread),
        other.ratio, other.error, workspace(other.workspace_bytes));
  }
  for (const std::string& wrong : result.wrong) text += fmt::format("{:>16} {}\n", "WRONG", wrong);
  return text;
}

std::string Slower(const std::vector<Result>& results) {
  std::vector<std::pair<double, std::string>> slower;
  for (const Result& result : results) {
    const RivalResult* rival = result.best(Regime::kPlain);
    if (rival != nullptr && rival->ratio < 1) slower.emplace_back(rival->ratio, result.layer.name);
  }
  std::sort(slower.begin(), slower.end());
  std::string text =
      fmt::format("slower than a plain rival: {} of {} layers\n", slower.size(), results.size());
  for (const auto& [ratio, name] : slower) text += fmt::format("{:>7.2f}x {}\n", ratio, name);
  return text;
}

std::string ClassTable(const std::vector<ClassResult>& rows) {
  std::string text = fmt::format("{:<18} {:>6} {:>8} {:>5} {:>5} {:>9} {:>9} {:>9} {:>9} {:>9}\n",
                                 "geometric means", "layers", "GFLOP/s", "peak", "roof", "plain",
                                 "worst", "steady", "worst", "accurate");
  for (const ClassResult& row : rows) {
    text += fmt::format("{:<18} {:>6} {:>8.1f} {:>4.0f}% {:>4.0f}% {} {} {} {} {}\n", row.name,
                        row.layers, row.flops_per_second / kGiga, Percent(row.part_of_peak),
                        Percent(row.part_of_roofline), RatioOrDash(row.against_plain),
                        RatioOrDash(row.worst_against_plain), RatioOrDash(row.against_steady),
                        RatioOrDash(row.worst_against_steady), RatioOrDash(row.against_accurate));
  }
  return text;
}

std::string Csv(const std::vector<Result>& results) {
  std::string text =
      "layer,class,multiply_adds,contender,regime,implementation,seconds,spread,gflops,"
      "ours_times_faster,part_of_peak,part_of_roofline,error,workspace_bytes,mandatory_bytes\n";
  for (const Result& result : results) {
    const std::string start =
        fmt::format("{},{},{:.0f}", result.layer.name, result.layer.class_name, result.flops / 2);
    text += fmt::format("{},convserve,plain,{},{:.6g},{:.3f},{:.2f},1,{:.4f},{:.4f},{:.3f},{},{}\n",
                        start, result.algorithm, result.time.median, result.time.spread,
                        result.flops_per_second() / kGiga, result.part_of_peak(),
                        result.part_of_roofline(), result.error, result.workspace_bytes,
                        result.mandatory_bytes);
    const Summary& steady = result.steady_time;
    text += fmt::format("{},convserve,steady,{},{:.6g},{:.3f},{:.2f},{:.3f},,,,,\n", start,
                        result.steady_algorithm, steady.median, steady.spread,
                        result.flops / steady.median / kGiga, steady.median / result.time.median);
    for (const RivalResult& rival : result.rivals) {
      const double speed = result.flops / rival.time.median;
      text += fmt::format("{},{},{},{},{:.6g},{:.3f},{:.2f},{:.3f},{:.4f},,{:.3f},,\n", start,
                          rival.name, RegimeName(rival.regime), rival.implementation,
                          rival.time.median, rival.time.spread, speed / kGiga, rival.ratio,
                          speed / result.peak_flops, rival.error);
    }
  }
  return text;
}

}  // namespace convserve::bench
