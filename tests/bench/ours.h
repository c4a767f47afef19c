// Our side of the race.
#ifndef CONVSERVE_TESTS_BENCH_OURS_H_
#define CONVSERVE_TESTS_BENCH_OURS_H_

#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/packed_weight.h"
#include "core/planner.h"
#include "core/tensor.h"
#include "tests/bench/rival.h"

namespace convserve::bench {

// Execute with a plan made beforehand. Packing of weights is part of the time unless they come
// packed; the workspace always is.
class Ours : public Runner {
 public:
  Ours(const Workload& workload, Plan plan, std::optional<PackedWeight> packed_weight = {});
  void Run() override;
  std::span<const float> Output() override;
  const Plan& plan() const { return plan_; }

 private:
  const Workload& workload_;
  Plan plan_;
  std::optional<PackedWeight> packed_weight_;
  Tensor output_;
  std::vector<float> floats_;
};

// `algorithm` forces one; empty leaves the choice to the planner. FAILED_PRECONDITION when it
// refuses the layer.
absl::StatusOr<std::unique_ptr<Ours>> PrepareOurs(const Workload& workload,
                                                  std::string_view algorithm);

// The same with a packed weight; null where `ours` reads weights as they come.
std::unique_ptr<Ours> PreparePacked(const Workload& workload, const Ours& ours);

}  // namespace convserve::bench

#endif  // CONVSERVE_TESTS_BENCH_OURS_H_
