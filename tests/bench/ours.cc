#include "tests/bench/ours.h"

#include <stdexcept>
#include <utility>

#include "core/convolve.h"

namespace convserve::bench {

Ours::Ours(const Workload& workload, Plan plan)
    : workload_(workload),
      plan_(std::move(plan)),
      output_(DataType::kFloat32, workload.problem.output_shape()) {}

void Ours::Run() {
  const absl::Status status =
      Execute(plan_, {workload_.input.view(), workload_.weight.view(), {}},
              {output_.data(), static_cast<std::size_t>(output_.byte_count())});
  if (!status.ok()) throw std::runtime_error(status.ToString());
}

std::span<const float> Ours::Output() {
  return {output_.As<float>(), static_cast<std::size_t>(output_.size())};
}

absl::StatusOr<std::unique_ptr<Ours>> PrepareOurs(const Workload& workload,
                                                  std::string_view algorithm) {
  absl::StatusOr<Plan> plan = MakePlan(workload.problem, algorithm);
  if (!plan.ok()) return plan.status();
  return std::make_unique<Ours>(workload, *std::move(plan));
}

}  // namespace convserve::bench
