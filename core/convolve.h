// Carries out a plan.
//
//   Conv           y[m, o] = bias[m] + sum over c, t of x[c, o*s + t*d - pl] * w[m, c, t]
//   ConvTranspose  its exact adjoint: every input cell adds the whole kernel, scaled, at i*s; then
//   the result is
//                  cropped by pl and pr (output padding reveals more of it at the end)
//
// Products and sums are formed in the problem's Arithmetic and rounded to the output type once.
// Taps that fall on zero padding are skipped, not multiplied: an Inf or NaN in a weight reaches no
// output through padding, and an output cell that no input reaches holds the bias.
//
// Runs on the calling thread and on the oneTBB arena that the caller is in. The bits of the result
// do not depend on the number of threads.
#ifndef CONVSERVE_CORE_CONVOLVE_H_
#define CONVSERVE_CORE_CONVOLVE_H_

#include <cstddef>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/packed_weight.h"
#include "core/planner.h"
#include "core/tensor.h"

namespace convserve {

// The operands of a plan. Types and shapes must be those of the plan's problem.
struct Operands {
  TensorView input = {};
  TensorView weight = {};
  std::optional<TensorView> bias = {};
  // The weight, packed for the plan, where runs share it; `weight` has to be there all the same, as
  // some values (an infinity or NaN among them) are computed from it.
  const PackedWeight* packed_weight = nullptr;
};

// Computes into `output`, which holds problem().output_bytes() bytes, aligned for its type.
// CANCELLED when a stop was requested before the end (the output is then unspecified);
// INVALID_ARGUMENT when the operands or the output do not fit the plan. Throws std::bad_alloc when
// the workspace cannot be had. Thread-safe.
absl::Status Execute(const Plan& plan, const Operands& operands, std::span<std::byte> output,
                     std::stop_token stop = {});

// Validate, plan and execute in one call, for tensors in memory. `ForcedAlgorithm()` is honoured.
absl::StatusOr<Tensor> Conv(const Operands& operands, const ConvParameters& parameters,
                            DataType output_type = DataType::kUnspecified);
absl::StatusOr<Tensor> ConvTranspose(const Operands& operands,
                                     const ConvTransposeParameters& parameters,
                                     DataType output_type = DataType::kUnspecified);

// The instruction set that kernels run on: "avx512", "avx2", "neon" or "portable".
std::string_view InstructionSet();

// Forces an instruction set by name for the whole process, or gives the choice back with an empty
// name. INVALID_ARGUMENT for an unknown name, FAILED_PRECONDITION when this machine lacks it; both
// list what can be had. Not to be called while anything executes.
absl::Status ForceInstructionSet(std::string_view name);

// Those that this machine can run, best first.
std::vector<std::string_view> InstructionSets();

}  // namespace convserve

#endif  // CONVSERVE_CORE_CONVOLVE_H_
