// Load on a fleet through the client library, in which every result is compared, and who answered
// it.
#ifndef CONVSERVE_TESTS_REPLICAS_TRAFFIC_H_
#define CONVSERVE_TESTS_REPLICAS_TRAFFIC_H_

#include <chrono>
#include <cstdint>
#include <future>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "client/bench/load.h"
#include "client/convolution_client.h"
#include "tests/replicas/fleet.h"

namespace convserve {

enum class Pace {
  kCallers,  // 8 callers, each of which makes its next call when the last one is answered
  kSteady,   // calls at fixed moments, from which latencies count, however long others take
};

// Goes on until it is ended.
class Traffic {
 public:
  Traffic(const std::string& target, const ClientOptions& options, const CallOptions& call = {},
          Pace pace = Pace::kCallers);
  ~Traffic();

  // Returns when every call has been answered. Latencies count from the moment at which a call was
  // to be sent.
  bench::Tally End();

 private:
  std::stop_source stop_;
  std::future<bench::Tally> result_;
};

// Expects that all calls were answered with what they had to be.
void ExpectPerfect(const bench::Tally& tally);

// Convolutions that each of some replicas has answered since this was made.
class Shares {
 public:
  Shares(const Fleet& fleet, const std::vector<int>& replicas);
  std::vector<std::int64_t> Now() const;

 private:
  std::vector<std::int64_t> Answered() const;

  const Fleet& fleet_;
  const std::vector<int> replicas_;
  const std::vector<std::int64_t> start_;
};

std::int64_t Sum(const std::vector<std::int64_t>& shares);

// Whether each is within `tolerance` of an equal part.
bool Even(const std::vector<std::int64_t>& shares, double tolerance);

// Returns when these replicas have answered `calls` more.
void WaitForAnswers(const Fleet& fleet, const std::vector<int>& replicas, std::int64_t calls);

// Returns when each of these replicas answers about as many calls as the others among them.
void WaitForEvenShares(const Fleet& fleet, const std::vector<int>& replicas);

// How 900 calls that 8 callers make on one client were spread over the fleet.
std::vector<std::int64_t> Spread(const Fleet& fleet, const std::string& target);

}  // namespace convserve

#endif  // CONVSERVE_TESTS_REPLICAS_TRAFFIC_H_
