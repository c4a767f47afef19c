// Chooses how a problem is computed.
#ifndef CONVSERVE_CORE_PLANNER_H_
#define CONVSERVE_CORE_PLANNER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/problem.h"

namespace convserve {

struct Algorithm;  // core/algorithms/algorithm.h

// A problem, the algorithm that will compute it and the scratch memory that this takes. A plan
// follows from the problem alone, never from thread count, load or instruction set, so that every
// replica computes the same bits.
class Plan {
 public:
  const Problem& problem() const { return problem_; }
  const Algorithm& algorithm() const { return *algorithm_; }
  std::string_view algorithm_name() const;
  std::int64_t workspace_bytes() const { return workspace_bytes_; }
  std::string ToString() const;

 private:
  friend absl::StatusOr<Plan> MakePlan(Problem problem, std::string_view algorithm);
  Plan(Problem problem, const Algorithm* algorithm, std::int64_t workspace_bytes)
      : problem_(std::move(problem)), algorithm_(algorithm), workspace_bytes_(workspace_bytes) {}

  Problem problem_;
  const Algorithm* algorithm_;
  std::int64_t workspace_bytes_;
};

// The first algorithm of the planner's list that accepts the problem; the last one accepts all.
// With a non-empty `algorithm` that one is forced: INVALID_ARGUMENT when no algorithm has the name,
// FAILED_PRECONDITION with its reason when it refuses the problem. Thread-safe.
absl::StatusOr<Plan> MakePlan(Problem problem, std::string_view algorithm = {});

// The names, in the planner's order.
std::vector<std::string_view> AlgorithmNames();

// The value of CONVSERVE_ALGORITHM: empty when unset; INVALID_ARGUMENT, listing the names, when it
// is none of them.
absl::StatusOr<std::string> ForcedAlgorithm();

}  // namespace convserve

#endif  // CONVSERVE_CORE_PLANNER_H_
