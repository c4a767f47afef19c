// Transposed convolution of single input positions (the first layer of a generator): every output
// is one tap's sum over channels, so that
//
//   output [batch x (filters * taps)] = input [batch x channels] * weights [channels x (filters *
//   taps)]
//
// with the weight tensor read as it lies. The outputs are written as they are made, or, where
// channels come last, by way of a copy that puts the filters of a tap side by side.
#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "core/algorithms/algorithm.h"
#include "core/algorithms/border.h"
#include "core/algorithms/tasks.h"
#include "core/divide.h"
#include "core/geometry.h"
#include "core/kernels/gemm_kernel.h"
#include "core/kernels/packing_kernel.h"
#include "core/scratch.h"

namespace convserve {
namespace {

// Columns of a task, about: a block of depth of them stays in the L2 cache for all of the batch.
constexpr std::int64_t kTaskColumns = 256;
// Batch elements of a task at most.
constexpr std::int64_t kTaskRows = 256;
// Rows of the weight matrix are at most so long, that a block of them has 32-bit offsets.
constexpr std::int64_t kMaxColumns = std::int64_t{1} << 22;
// Elements of a task that are put in order before they are written.
constexpr std::int64_t kCopied = std::int64_t{128} * 1024;
static_assert(kCopied * std::int64_t{sizeof(float)} <= kScratchBytes);

std::string Refusal(const Problem& problem) {
  const Geometry g(problem);
  if (problem.operation() != Operation::kConvTranspose) return "not transposed";
  for (const Axis& axis : g.axes) {
    if (axis.input != 1 || axis.output != axis.kernel || axis.padding_begin != 0 ||
        axis.dilation != 1) {
      return "several input positions, or cropped outputs";
    }
  }
  if (!IsFloat32(problem)) return "types other than float32";
  if (problem.weight_layout() != WeightLayout::kChannelsFirst || problem.flip_kernel()) {
    return "weights in another order";
  }
  if (g.channels_last() && g.taps() > kCopied / (2 * kGemmSlack)) return "too many taps";
  // The kernel reads whole vectors: not past the last row.
  if (g.filters > kMaxColumns / g.taps() || g.filters * g.taps() % kGemmSlack != 0) {
    return "rows of weights that are not whole vectors, or too long";
  }
  return "";
}

std::int64_t WorkspaceBytes(const Problem& /*problem*/) { return 0; }

absl::Status Compute(const Run& run) {
  const Geometry g(run.problem);
  const std::int64_t taps = g.taps();
  const std::int64_t columns = g.filters * taps;
  const std::vector<float> bias = LoadBias<float>(run);
  // Of a task: the kernel reads whole vectors of its columns.
  const std::int64_t filters = std::min(
      g.filters, RoundUp(CeilDivide(kTaskColumns, taps), kGemmSlack / std::gcd(kGemmSlack, taps)));
  const std::int64_t blocks = CeilDivide(g.filters, filters);
  std::array<std::int32_t, kDepthBlock> offsets;
  for (std::size_t k = 0; k < offsets.size(); ++k) {
    offsets[k] = static_cast<std::int32_t>(static_cast<std::int64_t>(k) * columns);
  }
  // The copy of a task, where there is one.
  const std::int64_t most_rows =
      g.channels_last() ? std::min(kTaskRows, kCopied / (filters * taps)) : kTaskRows;
  const std::int64_t row_blocks = CeilDivide(g.batch, most_rows);
  ForEachTask(g.groups * blocks * row_blocks, run.stop, [&](std::int64_t task) {
    const std::int64_t row = task % row_blocks * most_rows;
    task /= row_blocks;
    const std::int64_t group = task / blocks;
    const std::int64_t first = task % blocks * filters;
    const std::int64_t count = std::min(filters, g.filters - first);
    const GemmSegment segment{0, count * taps, 0};
    GemmTile<float> tile;
    tile.a_stride = g.input.batch;
    tile.offsets = offsets.data();
    tile.rows = std::min(most_rows, g.batch - row);
    tile.segments = {&segment, 1};
    float* place = reinterpret_cast<float*>(run.output.data()) + row * g.output.batch +
                   group * g.output.group + first * g.output.channel;
    tile.c = place;
    tile.c_stride = g.output.batch;
    if (g.channels_last()) {
      tile.c = reinterpret_cast<float*>(ThreadScratch());
      tile.c_stride = count * taps;
    }
    for (std::int64_t k = 0; k < g.channels && !run.stop.stop_requested(); k += kDepthBlock) {
      tile.depth = std::min(kDepthBlock, g.channels - k);
      tile.a = run.operands.input.As<float>() + row * g.input.batch + group * g.input.group + k;
      tile.b =
          run.operands.weight.As<float>() + group * g.weight.group + k * columns + first * taps;
      tile.accumulate = k > 0;
      GetGemmKernel<float>()(tile);
    }
    for (std::int64_t n = 0; n < tile.rows; ++n) {
      float* out = tile.c + n * tile.c_stride;
      for (std::int64_t m = 0; m < count; ++m, out += taps) {
        const float value = bias[static_cast<std::size_t>(group * g.filters + first + m)];
        for (std::int64_t t = 0; t < taps; ++t) out[t] += value;
      }
      if (!g.channels_last()) continue;
      PackingKernels().transpose({.from = tile.c + n * tile.c_stride,
                                  .from_pitch = taps,
                                  .rows = taps,
                                  .columns = count,
                                  .to = place + n * g.output.batch,
                                  .to_pitch = g.output.spatial[2]});
    }
  });
  return StatusAfter(run.stop);
}

}  // namespace

constexpr Algorithm kOuter = {"outer", Refusal, WorkspaceBytes, Compute};

}  // namespace convserve
