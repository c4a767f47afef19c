#include <algorithm>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "client/bench/load.h"
#include "client/bench/report.h"
#include "client/bench/workload.h"
#include "client/cli/argument_syntax.h"
#include "client/cli/command.h"
#include "client/cli/exit_code.h"
#include "client/cli/option.h"
#include "client/cli/text.h"
#include "fmt/format.h"

namespace convserve::cli {
namespace {

constexpr int kMaxSenders = 4096;
// Of an open loop: enough for the server to feel all of the rate.
constexpr int kOpenConcurrency = 64;
constexpr std::int64_t kNoLimit = std::numeric_limits<std::int64_t>::max();

struct BenchOptions {
  std::vector<std::string> requests;
  double rate = 0;
  int concurrency = 0;
  int connections = 1;
  std::chrono::milliseconds duration = std::chrono::seconds(10);
  std::chrono::milliseconds warm_up{0};
  std::int64_t count = 0;
  int attempts = 1;
  bool verify = false;
};

// CLI::Range lets NaN through.
absl::StatusOr<double> ParseRate(std::string_view text) {
  const double rate = ParseDouble(text).value_or(0);
  if (rate >= 0.001 && rate <= 1e7) return rate;
  return absl::InvalidArgumentError(
      fmt::format("expected 0.001 to 10000000 requests a second, got {}", Quoted(text)));
}

absl::StatusOr<std::vector<bench::RequestKind>> ParseKinds(const std::vector<std::string>& texts) {
  std::vector<bench::RequestKind> kinds;
  for (const std::string& text : texts) {
    absl::StatusOr<bench::RequestKind> kind = bench::ParseRequestKind(text);
    if (!kind.ok()) {
      return UsageError(fmt::format("--request: {}", std::string(kind.status().message())));
    }
    kinds.push_back(*std::move(kind));
  }
  if (kinds.empty()) kinds.push_back(bench::Presets().at(1));
  return kinds;
}

// Nobody wants ten seconds of the same error: one of each kind is sent, and only a server that is
// busy may refuse it.
absl::Status Try(const bench::Workload& workload, Session& session) {
  for (std::size_t kind = 0; kind < workload.kinds().size(); ++kind) {
    std::int64_t number = 0;
    while (workload.KindOf(number) != kind) ++number;
    const absl::StatusOr<bench::Outcome> outcome =
        session.Run([&](const ConvolutionClient& client,
                        const CallOptions& call) -> absl::StatusOr<bench::Outcome> {
          bench::Outcome sent = workload.Send(client, number, call);
          if (!sent.status.ok() && sent.status.code() != absl::StatusCode::kResourceExhausted) {
            return sent.status;
          }
          return sent;
        });
    if (!outcome.ok()) return outcome.status();
  }
  return absl::OkStatus();
}

// A busy server that refuses is what a load may be meant to provoke: no failure, as long as
// anything was answered. Other errors are, and the most frequent one chooses the exit code.
absl::Status Verdict(const bench::Tally& all) {
  if (all.wrong() > 0) return absl::DataLossError(fmt::format("{} results are wrong", all.wrong()));
  const std::int64_t failed = all.errors();
  const bool only_busy = failed == all.errors(absl::StatusCode::kResourceExhausted);
  if (failed == 0 || (only_busy && all.answered() > 0)) return absl::OkStatus();
  const absl::StatusCode code = all.most_frequent_error();
  return WithExitCode(
      ExitCodeOf(all.error(code)),
      absl::Status(code, fmt::format("{} of {} requests failed, most with {}", failed,
                                     failed + all.answered(), absl::StatusCodeToString(code))));
}

absl::Status Run(const BenchOptions& options, Session& session) {
  absl::StatusOr<std::vector<bench::RequestKind>> kinds = ParseKinds(options.requests);
  if (!kinds.ok()) return kinds.status();
  const absl::StatusOr<bench::Workload> workload =
      bench::Workload::Make(*std::move(kinds), options.verify);
  if (!workload.ok()) return workload.status();
  const absl::StatusOr<const ConvolutionClient*> client =
      session.Client({.max_attempts = options.attempts, .connections = options.connections});
  if (!client.ok()) return client.status();
  if (absl::Status status = Try(*workload, session); !status.ok()) return status;

  bench::ReportHead head{.rate = options.rate,
                         .concurrency = options.concurrency > 0 ? options.concurrency
                                        : options.rate > 0      ? kOpenConcurrency
                                                                : 1,
                         .connections = options.connections,
                         .verified = options.verify,
                         .kinds = {}};
  for (const bench::RequestKind& kind : workload->kinds()) head.kinds.push_back(kind.name);
  const CallOptions call = session.call_options();
  bench::Load load{
      .send = [&](const bench::Send& send) { return workload->Send(**client, send.number, call); },
      .kind = [&](std::int64_t number) { return workload->KindOf(number); },
      .kinds = head.kinds.size()};
  if (session.shows_progress()) {
    load.progress = [&](const bench::LoadResult& so_far) {
      session.err() << "\r\x1b[K" << bench::ProgressReport(so_far) << std::flush;
    };
  }
  const bench::LoadResult result = bench::RunLoad(load, {.rate = options.rate,
                                                         .concurrency = head.concurrency,
                                                         .duration = options.duration,
                                                         .requests = options.count,
                                                         .warm_up = options.warm_up,
                                                         .stop = call.stop});
  if (session.shows_progress()) session.err() << "\r\x1b[K" << std::flush;
  session.out() << (session.options().json ? bench::JsonReport(head, result)
                                           : bench::TextReport(head, result))
                << std::flush;
  const bench::Tally all = result.All();
  if (all.wrong() == 0 && call.stop.stop_requested()) return absl::CancelledError("interrupted");
  return Verdict(all);
}

Action Declare(CLI::App& app) {
  auto options = std::make_shared<BenchOptions>();
  app.add_option("--request", options->requests,
                 "what to send, repeatable: [COUNT*]tiny, small, medium, large, or "
                 "[COUNT*]X:W[:stride=S][:padding=P][:dilation=D][:groups=G][:type=T][:transpose] "
                 "with the shapes of input and weight; default small")
      ->type_name("KIND")
      ->allow_extra_args(false);
  AddParsedOption(
      app, "--rate", options->rate, ParseRate,
      "open loop: requests a second, evenly spaced, whatever becomes of them; latencies "
      "count from the moment at which a request was to be sent. Default: closed loop")
      ->type_name("R");
  AddIntegerOption(
      app, "--concurrency", options->concurrency, 1, kMaxSenders,
      fmt::format("requests in flight: default 1; with --rate at most so many, default "
                  "{}",
                  kOpenConcurrency));
  AddIntegerOption(app, "--connections", options->connections, 1, kMaxConnections,
                   "to each address; default 1");
  AddParsedOption(app, "--duration", options->duration, ParseTimeout, "how long; default 10s")
      ->type_name("TIME");
  AddParsedOption(app, "--warm-up", options->warm_up, ParseTimeout,
                  "what is sent in this time before is not counted; default none")
      ->type_name("TIME");
  AddIntegerOption(app, "--requests", options->count, std::int64_t{1}, kNoLimit,
                   "at most so many, the warm-up aside");
  AddIntegerOption(app, "--attempts", options->attempts, 1, 5,
                   "how often a request is tried, 1 to 5; default 1: errors show");
  app.add_flag("--verify", options->verify,
               "compute every result here too and compare it bit by bit");
  return [options](Session& session) { return Run(*options, session); };
}

}  // namespace

Command BenchCommand() {
  return {.name = "bench",
          .summary = "Send a load and measure it",
          .examples = {"convctl --embedded bench --requests 100 --verify",
                       "convctl --embedded bench --rate 200 --duration 1s --request '4*tiny' "
                       "--request 1,8,32,32:8,8,3,3"},
          .declare = Declare,
          .notes =
              "Exit code: 0 when every request was answered, or some were and a busy server "
              "refused the\nothers (RESOURCE_EXHAUSTED); 1 when results are wrong; otherwise "
              "that of the most\nfrequent error, as with the other commands."};
}

}  // namespace convserve::cli
