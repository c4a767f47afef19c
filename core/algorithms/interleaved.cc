// Depthwise convolution of channels-last tensors, which are read and written in place, a vector of
// neighbouring channels at a time (core/kernels/lanes_kernel.h). What is in the padding is left
// out: by the kernel where outputs share what they load, otherwise outputs that meet the same taps
// are computed together.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "core/algorithms/algorithm.h"
#include "core/algorithms/border.h"
#include "core/algorithms/stretches.h"
#include "core/algorithms/tasks.h"
#include "core/divide.h"
#include "core/geometry.h"
#include "core/kernels/lanes_kernel.h"
#include "core/kernels/packing_kernel.h"

namespace convserve {
namespace {

// Elements of the input that stay in the L2 cache while the kernel goes down its columns, and how
// many columns those are, about.
constexpr std::int64_t kInputs = std::int64_t{32} * 1024;
constexpr std::int64_t kColumns = 16;
// Multiply-adds of a task, at least, where there are enough for several.
constexpr std::int64_t kTaskProducts = std::int64_t{256} * 1024;
// Bytes of inputs that are taken to be in the caches.
constexpr std::int64_t kCachedBytes = std::int64_t{512} << 10;
constexpr std::int64_t kMostTaps = std::int64_t{16} * 1024;

// Whether the channels of a tap lie side by side.
bool WeightsInPlace(const Geometry& g) { return g.weight.group == 1; }

// What is padding among the inputs that the outputs of a row share.
struct Padding {
  std::int64_t before, after;
};

// Where all outputs of a row are computed together, as the kernel leaves out padding itself.
std::optional<Padding> SharedPadding(const Geometry& g) {
  constexpr std::int64_t kFew = 4;  // whose sums would keep the processor waiting
  const Axis& x = g.axes[2];
  const std::int64_t step = SharedStep(g.axes[1].kernel, x.kernel, x.stride, x.dilation);
  if (step == 0 || x.output < kFew) return std::nullopt;
  const std::int64_t inputs = step * (x.output - 1) + x.kernel;
  const std::int64_t end = CeilDivide(x.padding_begin + x.input, x.dilation);
  const Padding padding = {CeilDivide(x.padding_begin, x.dilation),
                           std::max<std::int64_t>(inputs - end, 0)};
  if (std::max(padding.before, padding.after) >= x.kernel) return std::nullopt;
  return padding;
}

class Interleaved {
 public:
  explicit Interleaved(const Run& run)
      : run_(run),
        g_(run.problem),
        bias_(LoadBias<float>(run)),
        weights_(WeightsInPlace(g_) ? run.operands.weight.As<float>() + g_.weight.offset
                                    : reinterpret_cast<const float*>(run.workspace.data())),
        weight_row_(WeightsInPlace(g_) ? g_.weight.kernel[1] : g_.axes[2].kernel * g_.groups),
        weight_column_(WeightsInPlace(g_) ? g_.weight.kernel[2] : g_.groups),
        shared_(SharedPadding(g_)),
        rows_(Stretches(g_.axes[1])),
        columns_(shared_ ? std::vector<Stretch>{{0, g_.axes[2].output, 0, g_.axes[2].kernel}}
                         : Stretches(g_.axes[2])) {}

  absl::Status Compute() const {
    PackWeights();
    const Axis& y = g_.axes[1];
    const std::int64_t products = g_.axes[2].output * g_.groups * g_.taps();  // of a row
    const std::int64_t most =
        std::max(CeilDivide(kTaskProducts, products),
                 (kInputs / (kColumns * g_.groups) - y.effective_kernel()) / y.stride);
    const std::int64_t bands = CeilDivide(y.output, most);
    const std::int64_t rows = CeilDivide(y.output, bands);
    ForEachTask(g_.batch * bands, run_.stop, [&](std::int64_t task) {
      const std::int64_t first = task % bands * rows;
      for (const Stretch& some_rows : rows_) {
        for (const Stretch& columns : columns_) {
          if (run_.stop.stop_requested()) return;
          ComputePart(task / bands, some_rows.Cut(first, first + rows), columns);
        }
      }
    });
    return StatusAfter(run_.stop);
  }

 private:
  // [taps][channels]
  void PackWeights() const {
    if (WeightsInPlace(g_)) return;
    const float* from = run_.operands.weight.As<float>() + g_.weight.offset;
    float* to = reinterpret_cast<float*>(run_.workspace.data());
    // Row by row of the taps, unless rows follow each other.
    const std::int64_t row = g_.axes[2].kernel;
    const std::int64_t taps = g_.weight.kernel[1] == row ? g_.taps() : row;
    for (std::int64_t tap = 0; tap < g_.taps(); tap += taps, from += g_.weight.kernel[1]) {
      if (g_.weight.kernel[2] == 1) {
        PackingKernels().transpose({from, g_.weight.group, taps, g_.groups, to, g_.groups});
        to += taps * g_.groups;
        continue;
      }
      for (std::int64_t t = 0; t < taps; ++t) {
        const float* at = from + t * g_.weight.kernel[2];
        for (std::int64_t c = 0; c < g_.groups; ++c, at += g_.weight.group) *to++ = *at;
      }
    }
  }

  void ComputePart(std::int64_t image, const Stretch& rows, const Stretch& columns) const {
    if (rows.outputs() <= 0) return;
    const auto& [z, y, x] = g_.axes;
    const auto input = [](const Axis& axis, const Stretch& stretch) {
      return stretch.first * axis.stride + stretch.tap_first * axis.dilation - axis.padding_begin;
    };
    LaneRows lanes{
        .window = run_.operands.input.As<float>() + image * g_.input.batch,
        .row_stride = y.stride * g_.input.spatial[1],
        .stride = x.stride * g_.input.spatial[2],
        .tap_row = y.dilation * g_.input.spatial[1],
        .tap_column = x.dilation * g_.input.spatial[2],
        .tap_rows = columns.taps() > 0 ? rows.taps() : 0,
        .tap_columns = columns.taps(),
        .ahead = in_caches_ ? 0 : ((rows.taps() - 1) * y.dilation + y.stride) * g_.input.spatial[1],
        .weights = weights_ + rows.tap_first * weight_row_ + columns.tap_first * weight_column_,
        .weight_row = weight_row_,
        .weight_column = weight_column_,
        .bias = bias_.data(),
        .channels = g_.groups,
        .out = reinterpret_cast<float*>(run_.output.data()) + image * g_.output.batch +
               rows.first * g_.output.spatial[1] + columns.first * g_.output.spatial[2],
        .out_row = g_.output.spatial[1],
        .out_column = g_.output.spatial[2],
        .rows = rows.outputs(),
        .columns = columns.outputs()};
    if (shared_) {
      lanes.before = shared_->before;
      lanes.after = shared_->after;
    }
    if (lanes.tap_rows > 0) {
      const std::int64_t column = input(x, columns) + lanes.before * x.dilation;
      lanes.window += input(y, rows) * g_.input.spatial[1] + column * g_.input.spatial[2];
    }
    // The kernel keeps the sums of neighbours in a row: the longer side is one.
    if (!shared_ && lanes.rows > lanes.columns) {
      std::swap(lanes.rows, lanes.columns);
      std::swap(lanes.row_stride, lanes.stride);
      std::swap(lanes.out_row, lanes.out_column);
    }
    kernels_.compute(lanes);
  }

  const Run& run_;
  const Geometry g_;
  const std::vector<float> bias_;
  const float* const weights_;                     // of the first tap
  const std::int64_t weight_row_, weight_column_;  // from tap to tap
  const std::optional<Padding> shared_;
  const std::vector<Stretch> rows_, columns_;
  const bool in_caches_ = run_.problem.input_bytes() <= kCachedBytes;
  const LanesTable& kernels_ = LanesKernels();
};

std::string Refusal(const Problem& problem) {
  const Geometry g(problem);
  if (problem.operation() != Operation::kConv) return "transposed";
  if (!IsFloat32(problem)) return "types other than float32";
  if (!g.channels_last()) return "channels first";
  if (g.channels != 1 || g.filters != 1) return "several channels or filters a group";
  if (g.groups < kMaxLaneChannels) return "fewer channels than lanes";
  if (problem.padding_mode() != PaddingMode::kZeros) return "padding other than zeros";
  const auto& [z, y, x] = g.axes;
  if (z.input != 1 || z.kernel != 1 || z.output != 1 || z.padding_begin != 0) return "three axes";
  if (x.kernel > kMostTaps || y.kernel > kMostTaps / x.kernel) return "too many taps";
  return "";
}

// The weights, tap by tap.
std::int64_t WorkspaceBytes(const Problem& problem) {
  return WeightsInPlace(Geometry(problem)) ? 0 : problem.weight_bytes();
}

absl::Status Compute(const Run& run) { return Interleaved(run).Compute(); }

}  // namespace

constexpr Algorithm kInterleaved = {"interleaved", Refusal, WorkspaceBytes, Compute};

}  // namespace convserve
