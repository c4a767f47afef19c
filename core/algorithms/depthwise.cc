// 3x3 convolutions of single channels with stride 1, depthwise ones and image filters: planes are
// read where they are and written once (core/kernels/depthwise_kernel.h).
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "core/algorithms/algorithm.h"
#include "core/algorithms/border.h"
#include "core/algorithms/patches.h"
#include "core/algorithms/tasks.h"
#include "core/divide.h"
#include "core/geometry.h"
#include "core/kernels/depthwise_kernel.h"

namespace convserve {
namespace {

// Outputs of a task, about.
constexpr std::int64_t kTaskOutputs = std::int64_t{64} * 1024;
// Rows of a task are a multiple of this, which the kernel computes at once.
constexpr std::int64_t kRowStep = 3;

std::string Refusal(const Problem& problem) {
  const Geometry g(problem);
  if (problem.operation() != Operation::kConv) return "transposed";
  if (!IsFloat32(problem)) return "types other than float32";
  if (g.channels != 1 || g.filters != 1) return "several channels or filters a group";
  if (g.channels_last()) return "channels last";
  if (problem.padding_mode() != PaddingMode::kZeros) return "padding other than zeros";
  const Axis& z = g.axes[0];
  if (z.input != 1 || z.kernel != 1 || z.output != 1 || z.padding_begin != 0) return "three axes";
  for (const std::size_t i : {std::size_t{1}, std::size_t{2}}) {
    const Axis& axis = g.axes[i];
    if (axis.kernel != 3 || axis.stride != 1 || axis.dilation != 1) {
      return "kernels other than 3x3, strides or dilations";
    }
    if (axis.padding_begin > 2 || axis.padding_end > 2) return "wide padding";
  }
  if (!WeightsInOrder(problem, WithPaddedTaps(problem, g), DataType::kFloat32)) {
    return "weights in another order";
  }
  return "";
}

std::int64_t WorkspaceBytes(const Problem& /*problem*/) { return 0; }

absl::Status Compute(const Run& run) {
  const Geometry g(run.problem);
  const std::vector<float> bias = LoadBias<float>(run);
  const Axis& y = g.axes[1];
  const Axis& x = g.axes[2];
  // Tasks are rows of one plane, or several planes of an image.
  const std::int64_t rows =
      std::min(y.output, RoundUp(CeilDivide(kTaskOutputs, x.output), kRowStep));
  const std::int64_t bands = CeilDivide(y.output, rows);
  const std::int64_t at_once =
      std::clamp<std::int64_t>(kTaskOutputs / (rows * x.output), 1, bands == 1 ? g.groups : 1);
  const std::int64_t blocks = CeilDivide(g.groups, at_once);
  const bool past_caches = LeavesCaches(run.problem);
  const float* const weights = run.operands.weight.As<float>();
  ForEachTask(g.batch * blocks * bands, run.stop, [&](std::int64_t task) {
    const std::int64_t row = task % bands * rows;
    const std::int64_t group = task / bands % blocks * at_once;
    const std::int64_t plane = task / bands / blocks * g.groups + group;
    GetDepthwiseKernel()(
        {.planes = std::min(at_once, g.groups - group),
         .in = run.operands.input.As<float>() + plane * y.input * x.input,
         .in_rows = y.input,
         .in_columns = x.input,
         .out = reinterpret_cast<float*>(run.output.data()) + plane * y.output * x.output,
         .rows = y.output,
         .columns = x.output,
         .first_row = row,
         .last_row = std::min(row + rows, y.output),
         .top = y.padding_begin,
         .left = x.padding_begin,
         .weights = weights + 9 * group,
         .bias = bias.data() + group,
         .past_caches = past_caches});
  });
  // Padding beside a row is multiplied as zeros.
  if (!AllFinite(weights, 9 * g.groups) && !run.stop.stop_requested()) {
    RepairBorder(run, WithPaddedTaps(run.problem, g, run.operands.input, run.operands.weight),
                 bias.data());
  }
  return StatusAfter(run.stop);
}

}  // namespace

constexpr Algorithm kDepthwise = {"depthwise", Refusal, WorkspaceBytes, Compute};

}  // namespace convserve
