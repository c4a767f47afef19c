// Convolutions of a few thousand products: computed where they stand, on the calling thread, with
// nothing allocated or prepared. Padded taps are skipped.
#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "core/algorithms/algorithm.h"
#include "core/algorithms/tasks.h"
#include "core/divide.h"
#include "core/geometry.h"
#include "core/kernels/running_sum.h"
#include "core/kernels/tiny_kernel.h"

namespace convserve {
namespace {

// Products of one batch element, about a microsecond; more are faster with a window and vectors.
constexpr std::int64_t kMaxProducts = 1024;
// Batch elements of a task.
constexpr std::int64_t kImages = 64;

std::string Refusal(const Problem& problem) {
  if (problem.operation() != Operation::kConv) return "transposed";
  if (problem.multiply_adds() > kMaxProducts * problem.batch()) return "too large";
  if (!IsFloat32(problem) || (problem.has_bias() && problem.bias_type() != DataType::kFloat32)) {
    return "not float32";
  }
  if (problem.padding_mode() != PaddingMode::kZeros) return "padding mode";
  std::int64_t depth = problem.input_channels() / problem.groups();
  for (const Axis& axis : problem.axes()) depth *= axis.kernel;
  const Axis& row = problem.axes().back();
  if (depth > kRunningSum || row.output > kMaxTinyRow || row.kernel > kMaxTinyTaps) {
    return "too long";
  }
  return "";
}

std::int64_t WorkspaceBytes(const Problem& /*problem*/) { return 0; }

absl::Status Compute(const Run& run) {
  const Geometry g(run.problem);
  ForEachTask(CeilDivide(g.batch, kImages), run.stop, [&](std::int64_t task) {
    GetTinyKernel()({.g = g,
                     .input = run.operands.input.As<float>(),
                     .weight = run.operands.weight.As<float>(),
                     .bias = run.operands.bias ? run.operands.bias->As<float>() : nullptr,
                     .output = reinterpret_cast<float*>(run.output.data()),
                     .first = task * kImages,
                     .last = std::min(task * kImages + kImages, g.batch)});
  });
  return StatusAfter(run.stop);
}

}  // namespace

constexpr Algorithm kTiny = {"tiny", Refusal, WorkspaceBytes, Compute};

}  // namespace convserve
