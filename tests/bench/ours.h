// Our side of the race.
#ifndef CONVSERVE_TESTS_BENCH_OURS_H_
#define CONVSERVE_TESTS_BENCH_OURS_H_

#include <memory>
#include <span>
#include <string_view>

#include "absl/status/statusor.h"
#include "core/planner.h"
#include "core/tensor.h"
#include "tests/bench/rival.h"

namespace convserve::bench {

// Execute with a plan made beforehand: packing of weights and the workspace are part of the time.
class Ours : public Runner {
 public:
  Ours(const Workload& workload, Plan plan);
  void Run() override;
  std::span<const float> Output() override;
  const Plan& plan() const { return plan_; }

 private:
  const Workload& workload_;
  Plan plan_;
  Tensor output_;
};

// `algorithm` forces one; empty leaves the choice to the planner. FAILED_PRECONDITION when it
// refuses the layer.
absl::StatusOr<std::unique_ptr<Ours>> PrepareOurs(const Workload& workload,
                                                  std::string_view algorithm);

}  // namespace convserve::bench

#endif  // CONVSERVE_TESTS_BENCH_OURS_H_
