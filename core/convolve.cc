#include "core/convolve.h"

#include <memory>
#include <utility>

#include "core/algorithms/algorithm.h"
#include "core/algorithms/tasks.h"
#include "core/aligned_buffer.h"
#include "fmt/format.h"

namespace convserve {
namespace {

TensorSpec SpecOf(const TensorView& view) {
  return {view.data_type, view.shape, ByteCount(view.data_type, view.shape)};
}

void CheckOperand(const TensorView& view, DataType type, const Shape& shape, std::string name,
                  Violations& violations) {
  if (view.data_type != type || view.shape != shape) {
    violations.push_back(
        {std::move(name), fmt::format("expected {} {}, got {} {}", Name(type), ToString(shape),
                                      Name(view.data_type), ToString(view.shape))});
  }
}

absl::Status CheckFit(const Plan& plan, const Operands& operands, std::span<std::byte> output) {
  const Problem& problem = plan.problem();
  Violations violations;
  CheckOperand(operands.input, problem.input_type(), problem.input_shape(), "input", violations);
  CheckOperand(operands.weight, problem.weight_type(), problem.weight_shape(), "weight",
               violations);
  if (operands.bias.has_value() != problem.has_bias()) {
    violations.push_back(
        {"bias", problem.has_bias() ? "expected one, got none" : "expected none, got one"});
  } else if (problem.has_bias()) {
    CheckOperand(*operands.bias, problem.bias_type(), {problem.output_channels()}, "bias",
                 violations);
  }
  if (static_cast<std::int64_t>(output.size()) != problem.output_bytes()) {
    violations.push_back({"output", fmt::format("expected {} bytes, got {}", problem.output_bytes(),
                                                output.size())});
  }
  if (operands.packed_weight != nullptr) {
    std::string refusal = operands.packed_weight->RefusalFor(plan);
    if (!refusal.empty()) violations.push_back({"packed_weight", std::move(refusal)});
  }
  return violations.empty() ? absl::OkStatus() : InvalidArgument(violations);
}

// Has the system supply an output's pages one by one: it may take milliseconds to find and clear a
// huge one, and kernels that look for a stop between tiles write to dozens of them in a tile.
void TouchPages(std::span<std::byte> output, const std::stop_token& stop) {
  const std::size_t pages = output.size() / AlignedBuffer::kHugePage;
  if (pages < 2) return;
  ForEachTask(static_cast<std::int64_t>(pages), stop, [&](std::int64_t page) {
    output[static_cast<std::size_t>(page) * AlignedBuffer::kHugePage] = std::byte{0};
  });
}

template <typename Parameters>
absl::StatusOr<Tensor> ConvolveOnce(const Operands& operands, const Parameters& parameters,
                                    DataType output_type) {
  ProblemSpec spec;
  spec.input = SpecOf(operands.input);
  spec.weight = SpecOf(operands.weight);
  if (operands.bias) spec.bias = SpecOf(*operands.bias);
  spec.parameters = parameters;
  spec.output_type = output_type;
  absl::StatusOr<Problem> problem = MakeProblem(spec);
  if (!problem.ok()) return problem.status();
  const absl::StatusOr<std::string> forced = ForcedAlgorithm();
  if (!forced.ok()) return forced.status();
  const absl::StatusOr<Plan> plan = MakePlan(*std::move(problem), *forced);
  if (!plan.ok()) return plan.status();
  Tensor output(plan->problem().output_type(), plan->problem().output_shape());
  const absl::Status status =
      Execute(*plan, operands, {output.data(), static_cast<std::size_t>(output.byte_count())});
  if (!status.ok()) return status;
  return output;
}

}  // namespace

absl::Status Execute(const Plan& plan, const Operands& operands, std::span<std::byte> output,
                     std::stop_token stop) {
  absl::Status status = CheckFit(plan, operands, output);
  if (!status.ok() || output.empty()) return status;
  std::optional<AlignedBuffer> workspace;
  if (plan.workspace_bytes() > 0) workspace.emplace(plan.workspace_bytes());
  TouchPages(output, stop);
  return plan.algorithm().run({plan.problem(), operands, output,
                               workspace ? workspace->span() : std::span<std::byte>(),
                               std::move(stop),
                               operands.packed_weight != nullptr ? operands.packed_weight->bytes()
                                                                 : std::span<const std::byte>()});
}

std::string PackedWeight::RefusalFor(const Plan& plan) const {
  if (plan.problem() != plan_.problem() || &plan.algorithm() != &plan_.algorithm()) {
    return fmt::format("expected one packed for {}, got one for {}", plan.ToString(),
                       plan_.ToString());
  }
  if (instruction_set_ != InstructionSet()) {
    return fmt::format("expected one packed for {}, got one for {}", InstructionSet(),
                       instruction_set_);
  }
  return "";
}

absl::StatusOr<PackedWeight> PackWeight(const Plan& plan, const TensorView& weight) {
  const Problem& problem = plan.problem();
  Violations violations;
  CheckOperand(weight, problem.weight_type(), problem.weight_shape(), "weight", violations);
  if (!violations.empty()) return InvalidArgument(violations);
  const Algorithm& algorithm = plan.algorithm();
  const bool packs = algorithm.pack != nullptr && problem.output_bytes() > 0;
  PackedWeight packed(plan, InstructionSet(), packs ? algorithm.packed_bytes(problem) : 0);
  if (packs) algorithm.pack(problem, weight, packed.data_.span());
  return packed;
}

absl::StatusOr<Tensor> Conv(const Operands& operands, const ConvParameters& parameters,
                            DataType output_type) {
  return ConvolveOnce(operands, parameters, output_type);
}

absl::StatusOr<Tensor> ConvTranspose(const Operands& operands,
                                     const ConvTransposeParameters& parameters,
                                     DataType output_type) {
  return ConvolveOnce(operands, parameters, output_type);
}

}  // namespace convserve
