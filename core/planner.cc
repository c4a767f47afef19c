#include "core/planner.h"

#include <array>
#include <cstdlib>
#include <utility>

#include "absl/status/status.h"
#include "core/algorithms/algorithm.h"
#include "fmt/format.h"

namespace convserve {
namespace {

// In order of preference; the last one accepts every problem.
constexpr std::array kAlgorithms = {&kTiny,   &kOuter,     &kScatter,  &kDepthwise, &kInterleaved,
                                    &kLanes,  &kConverted, &kDirect,   &kWinograd,  &kChannelsLast,
                                    &kPanels, &kGemm,      &kReference};

std::string JoinedNames() { return fmt::format("{}", fmt::join(AlgorithmNames(), ", ")); }

}  // namespace

std::string_view Plan::algorithm_name() const { return algorithm_->name; }

std::string Plan::ToString() const {
  return fmt::format("{}: {}, workspace {} bytes", algorithm_->name, problem_.ToString(),
                     workspace_bytes_);
}

absl::StatusOr<Plan> MakePlan(Problem problem, std::string_view algorithm) {
  for (const Algorithm* candidate : kAlgorithms) {
    if (!algorithm.empty() && algorithm != candidate->name) continue;
    const std::string refusal = candidate->refusal(problem);
    if (refusal.empty()) {
      const std::int64_t workspace = candidate->workspace_bytes(problem);
      return Plan(std::move(problem), candidate, workspace);
    }
    if (!algorithm.empty()) {
      return absl::FailedPreconditionError(
          fmt::format("algorithm {} does not compute this problem: {}", algorithm, refusal));
    }
  }
  return absl::InvalidArgumentError(
      fmt::format("algorithm: expected one of {}, got {}", JoinedNames(), algorithm));
}

std::vector<std::string_view> AlgorithmNames() {
  std::vector<std::string_view> names;
  names.reserve(kAlgorithms.size());
  for (const Algorithm* algorithm : kAlgorithms) names.push_back(algorithm->name);
  return names;
}

absl::StatusOr<std::string> ForcedAlgorithm() {
  const char* value = std::getenv("CONVSERVE_ALGORITHM");
  if (value == nullptr || *value == '\0') return std::string();
  for (const std::string_view name : AlgorithmNames()) {
    if (name == value) return std::string(name);
  }
  return absl::InvalidArgumentError(
      fmt::format("CONVSERVE_ALGORITHM: expected one of {}, got {}", JoinedNames(), value));
}

}  // namespace convserve
