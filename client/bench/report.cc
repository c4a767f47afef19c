#include "client/bench/report.h"

#include <algorithm>

#include "client/cli/render.h"
#include "client/cli/text.h"
#include "fmt/format.h"

namespace convserve::bench {
namespace {

using std::chrono::nanoseconds;

constexpr std::pair<const char*, double> kPercentiles[] = {
    {"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99_9", 0.999}};

double Milliseconds(nanoseconds time) { return static_cast<double>(time.count()) / 1e6; }

double Seconds(const LoadResult& result) {
  return std::chrono::duration<double>(result.elapsed).count();
}

double PerSecond(double amount, const LoadResult& result) {
  return result.elapsed.count() > 0 ? amount / Seconds(result) : 0;
}

double Rate(const Tally& tally, const LoadResult& result) {
  return PerSecond(static_cast<double>(tally.answered()), result);
}

double Megabytes(const Tally& tally, const LoadResult& result) {
  return PerSecond(static_cast<double>(tally.bytes()) / 1e6, result);
}

// Three digits and a unit: "812 us", "1.24 ms", "30.1 s".
std::string Text(nanoseconds time) {
  const double ns = static_cast<double>(time.count());
  const auto [value, unit] = ns < 1e6   ? std::pair(ns / 1e3, "us")
                             : ns < 1e9 ? std::pair(ns / 1e6, "ms")
                                        : std::pair(ns / 1e9, "s");
  const int decimals = value < 10 ? 2 : value < 100 ? 1 : 0;
  return fmt::format("{:.{}f} {}", value, decimals, unit);
}

std::string Row(const std::string& name, const Tally& tally, const LoadResult& result) {
  const Durations& latencies = tally.latencies();
  std::string row = fmt::format("{:<24}{:>9}{:>8}{:>10.1f}{:>9.1f}", name, tally.answered(),
                                tally.errors(), Rate(tally, result), Megabytes(tally, result));
  for (const auto& [label, fraction] : kPercentiles) {
    row += fmt::format("{:>9}", Text(latencies.Percentile(fraction)));
  }
  return row + fmt::format("{:>9}\n", Text(latencies.most()));
}

std::string Object(const Tally& tally, const LoadResult& result) {
  std::string errors;
  for (std::size_t i = 0; i < Tally::kCodes; ++i) {
    const auto code = static_cast<absl::StatusCode>(i);
    if (tally.errors(code) == 0) continue;
    errors += fmt::format("{}\"{}\": {}", errors.empty() ? "" : ", ",
                          absl::StatusCodeToString(code), tally.errors(code));
  }
  const Durations& latencies = tally.latencies();
  std::string times = fmt::format("\"mean\": {:.6f}", Milliseconds(latencies.mean()));
  for (const auto& [label, fraction] : kPercentiles) {
    times += fmt::format(", \"{}\": {:.6f}", label, Milliseconds(latencies.Percentile(fraction)));
  }
  times += fmt::format(", \"max\": {:.6f}", Milliseconds(latencies.most()));
  return fmt::format(
      "\"answered\": {}, \"wrong\": {}, \"errors\": {{{}}}, \"rate\": {:.3f}, "
      "\"megabytes_per_second\": {:.3f}, \"latency_ms\": {{{}}}, \"server_ms\": {{\"queue\": "
      "{:.6f}, \"compute\": {:.6f}}}, \"server_share\": {:.4f}",
      tally.answered(), tally.wrong(), errors, Rate(tally, result), Megabytes(tally, result), times,
      Milliseconds(tally.mean_queue()), Milliseconds(tally.mean_compute()), tally.server_share());
}

}  // namespace

std::string TextReport(const ReportHead& head, const LoadResult& result) {
  const Tally all = result.All();
  std::string text = head.rate > 0 ? fmt::format("open loop, {:g} requests/s, up to {} in flight",
                                                 head.rate, head.concurrency)
                                   : fmt::format("closed loop, {} in flight", head.concurrency);
  text += fmt::format(", {} connection{}, {:.1f} s\n", head.connections,
                      head.connections == 1 ? "" : "s", Seconds(result));
  text += fmt::format("{:<24}{:>9}{:>8}{:>10}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}\n", "", "answered",
                      "errors", "per s", "MB/s", "p50", "p90", "p99", "p99.9", "max");
  text += Row("all", all, result);
  for (std::size_t kind = 0; kind < head.kinds.size() && head.kinds.size() > 1; ++kind) {
    text += Row(head.kinds[kind], result.kinds[kind], result);
  }
  for (std::size_t i = 0; i < Tally::kCodes; ++i) {
    const auto code = static_cast<absl::StatusCode>(i);
    if (all.errors(code) == 0) continue;
    text += fmt::format("errors  {} {}: {}\n", all.errors(code), absl::StatusCodeToString(code),
                        cli::Printable(std::string(all.error(code).message())));
  }
  if (head.verified) {
    text += all.wrong() == 0 ? "results all as computed here, bit by bit\n"
                             : fmt::format("results {} WRONG\n", all.wrong());
  }
  if (all.answered() > 0) {
    text += fmt::format("server  {:.0f} % of the time: {} in the queue, {} computing, on average\n",
                        100 * all.server_share(), Text(all.mean_queue()), Text(all.mean_compute()));
  }
  return text;
}

std::string JsonReport(const ReportHead& head, const LoadResult& result) {
  std::string kinds;
  for (std::size_t kind = 0; kind < head.kinds.size(); ++kind) {
    kinds += fmt::format("{}{{\"request\": {}, {}}}", kind == 0 ? "" : ", ",
                         cli::JsonString(head.kinds[kind]), Object(result.kinds[kind], result));
  }
  return fmt::format(
      "{{\"seconds\": {:.3f}, \"loop\": \"{}\", \"intended_rate\": {:g}, \"concurrency\": {}, "
      "\"connections\": {}, \"verified\": {}, {}, \"kinds\": [{}]}}\n",
      Seconds(result), head.rate > 0 ? "open" : "closed", head.rate, head.concurrency,
      head.connections, head.verified, Object(result.All(), result), kinds);
}

std::string ProgressReport(const LoadResult& so_far) {
  const Tally all = so_far.All();
  return fmt::format("{:.0f} s: {} answered, {:.1f}/s, {:.1f} MB/s, p50 {}, p99 {}, {} errors{}",
                     Seconds(so_far), all.answered(), Rate(all, so_far), Megabytes(all, so_far),
                     Text(all.latencies().Percentile(0.5)), Text(all.latencies().Percentile(0.99)),
                     all.errors(),
                     all.wrong() > 0 ? fmt::format(", {} WRONG", all.wrong()) : std::string());
}

}  // namespace convserve::bench
