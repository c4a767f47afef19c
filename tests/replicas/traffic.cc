#include "tests/replicas/traffic.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <thread>

#include "client/bench/workload.h"
#include "gtest/gtest.h"
#include "tests/server/http.h"

namespace convserve {
namespace {

using bench::Workload;

const bench::LoadOptions kClosed{.concurrency = 8};

// Enough callers that none is late when a third of the calls hang for seconds.
const bench::LoadOptions kSteady{.rate = 150, .concurrency = 256};

// Small ones that a proxy can buffer, some that it cannot, and a few whose answers are long on the
// way: a connection may end in the midst of them.
const Workload& Calls() {
  static const Workload calls = [] {
    std::vector<bench::RequestKind> kinds;
    for (const char* text :
         {"12*tiny", "12*1,4,16,16:8,4,3,3", "3*1,8,64,64:8,8,3,3", "1*1,8,128,128:16,8,1,1"}) {
      kinds.push_back(*bench::ParseRequestKind(text));
    }
    return *Workload::Make(std::move(kinds), /*verify=*/true);
  }();
  return calls;
}

bench::Tally Run(const ConvolutionClient& client, const CallOptions& call,
                 const bench::LoadOptions& load) {
  const bench::LoadResult result = bench::RunLoad(
      {.send = [&](const bench::Send& send) { return Calls().Send(client, send.number, call); }},
      load);
  return result.kinds[0];
}

}  // namespace

Traffic::Traffic(const std::string& target, const ClientOptions& options, const CallOptions& call,
                 Pace pace) {
  Calls();
  bench::LoadOptions load = pace == Pace::kSteady ? kSteady : kClosed;
  load.duration = std::chrono::hours(1);
  load.stop = stop_.get_token();
  result_ = std::async(std::launch::async,
                       [=] { return Run(ConvolutionClient(target, options), call, load); });
}

Traffic::~Traffic() { stop_.request_stop(); }

bench::Tally Traffic::End() {
  stop_.request_stop();
  return result_.get();
}

void ExpectPerfect(const bench::Tally& tally) {
  EXPECT_GT(tally.answered(), 0);
  EXPECT_EQ(tally.wrong(), 0);
  EXPECT_EQ(tally.errors(), 0);
  for (int code = 1; code < static_cast<int>(bench::Tally::kCodes); ++code) {
    const auto status = static_cast<absl::StatusCode>(code);
    if (tally.errors(status) > 0) {
      ADD_FAILURE() << tally.errors(status) << " of " << tally.answered() + tally.errors() << ": "
                    << tally.error(status);
    }
  }
}

Shares::Shares(const Fleet& fleet, const std::vector<int>& replicas)
    : fleet_(fleet), replicas_(replicas), start_(Answered()) {}

std::vector<std::int64_t> Shares::Now() const {
  std::vector<std::int64_t> shares = Answered();
  for (std::size_t i = 0; i < shares.size(); ++i) shares[i] -= start_[i];
  return shares;
}

std::vector<std::int64_t> Shares::Answered() const {
  constexpr std::string_view kName =
      "\nconvserve_calls_finished_total{code=\"OK\",method=\"Conv\"} ";
  std::vector<std::int64_t> answered;
  for (const int replica : replicas_) {
    const std::string body = HttpAsk(fleet_.metrics(replica), "/metrics").body;
    const std::size_t at = body.find(kName);
    answered.push_back(at == std::string::npos ? 0 : std::atoll(body.c_str() + at + kName.size()));
  }
  return answered;
}

std::int64_t Sum(const std::vector<std::int64_t>& shares) {
  return std::accumulate(shares.begin(), shares.end(), std::int64_t{0});
}

bool Even(const std::vector<std::int64_t>& shares, double tolerance) {
  const double equal = static_cast<double>(Sum(shares)) / static_cast<double>(shares.size());
  return std::all_of(shares.begin(), shares.end(), [&](std::int64_t share) {
    return std::abs(static_cast<double>(share) - equal) <= tolerance * equal;
  });
}

void WaitForAnswers(const Fleet& fleet, const std::vector<int>& replicas, std::int64_t calls) {
  const Shares shares(fleet, replicas);
  while (Sum(shares.Now()) < calls) std::this_thread::sleep_for(std::chrono::milliseconds(20));
}

void WaitForEvenShares(const Fleet& fleet, const std::vector<int>& replicas) {
  for (;;) {
    const Shares shares(fleet, replicas);
    WaitForAnswers(fleet, replicas, 200);
    // Calls under way when the counters are read make a difference of a few.
    if (Even(shares.Now(), 0.25)) return;
  }
}

std::vector<std::int64_t> Spread(const Fleet& fleet, const std::string& target) {
  std::vector<int> all(static_cast<std::size_t>(fleet.size()));
  std::iota(all.begin(), all.end(), 0);
  const ConvolutionClient client(target);
  bench::LoadOptions load = kClosed;
  load.duration = std::chrono::hours(1);
  // The first calls go to whoever is connected first.
  load.requests = 300;
  ExpectPerfect(Run(client, {}, load));
  const Shares shares(fleet, all);
  load.requests = 900;
  ExpectPerfect(Run(client, {}, load));
  return shares.Now();
}

}  // namespace convserve
