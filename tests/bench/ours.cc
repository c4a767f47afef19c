#include "tests/bench/ours.h"

#include <stdexcept>
#include <utility>

#include "core/convolve.h"

namespace convserve::bench {

Ours::Ours(const Workload& workload, Plan plan, std::optional<PackedWeight> packed_weight)
    : workload_(workload),
      plan_(std::move(plan)),
      packed_weight_(std::move(packed_weight)),
      output_(workload.problem.output_type(), workload.problem.output_shape()) {}

void Ours::Run() {
  const absl::Status status =
      Execute(plan_,
              {.input = workload_.input.view(),
               .weight = workload_.weight.view(),
               .packed_weight = packed_weight_ ? &*packed_weight_ : nullptr},
              {output_.data(), static_cast<std::size_t>(output_.byte_count())});
  if (!status.ok()) throw std::runtime_error(status.ToString());
}

std::span<const float> Ours::Output() { return AsFloats(output_, floats_); }

absl::StatusOr<std::unique_ptr<Ours>> PrepareOurs(const Workload& workload,
                                                  std::string_view algorithm) {
  absl::StatusOr<Plan> plan = MakePlan(workload.problem, algorithm);
  if (!plan.ok()) return plan.status();
  return std::make_unique<Ours>(workload, *std::move(plan));
}

std::unique_ptr<Ours> PreparePacked(const Workload& workload, const Ours& ours) {
  absl::StatusOr<PackedWeight> packed = PackWeight(ours.plan(), workload.weight.view());
  if (!packed.ok()) throw std::runtime_error(packed.status().ToString());
  if (packed->byte_count() == 0) return nullptr;
  return std::make_unique<Ours>(workload, ours.plan(), *std::move(packed));
}

}  // namespace convserve::bench
