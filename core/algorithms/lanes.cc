// Depthwise convolution with a channel in each lane of a vector (core/kernels/lanes_kernel.h),
// whatever kernel, stride, dilation and layout.
//
// Blocks of channels are computed strip by strip: the rows of the input that a strip of outputs
// meets are copied, with their padding, so that the channels of a block lie side by side; its
// outputs are computed a few rows at a time and copied to their places. Copying costs as much as
// about two taps. After it every multiply-add reads one vector that lies in one cache line, narrow
// rows fill vectors as wide ones do, and strides and dilations cost nothing.
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
#include "core/algorithms/window.h"
#include "core/divide.h"
#include "core/geometry.h"
#include "core/kernels/lanes_kernel.h"
#include "core/scratch.h"

namespace convserve {
namespace {

// Elements of a strip's window: its share of the L2 cache, and the most where one row of outputs
// needs more. Beyond that copying does not pay.
constexpr std::int64_t kWindowSize = std::int64_t{48} * 1024;
constexpr std::int64_t kLargestWindow = std::int64_t{128} * 1024;
// Outputs of one channel that are computed before they are copied to their places.
constexpr std::int64_t kOutputsAtOnce = 512;
constexpr std::int64_t kMaxTaps = 1024;
// Wider rows would leave no room for their outputs.
constexpr std::int64_t kMaxColumns = 8192;
// Multiply-adds of a task, at least, where there are enough for several.
constexpr std::int64_t kTaskProducts = std::int64_t{256} * 1024;
// Channels come in such numbers, or leave at most a fifth of the lanes unused.
constexpr std::int64_t kBlockChannels = 8;

constexpr std::int64_t kOutputsSize = (kMaxColumns + kOutputsAtOnce) * kMaxLaneChannels;
constexpr std::int64_t kWeightsSize = kMaxTaps * kMaxLaneChannels;
static_assert((kLargestWindow + kOutputsSize + kWeightsSize) * std::int64_t{sizeof(float)} <=
              kScratchBytes);

// Input positions that `outputs` of an axis and all their taps span.
std::int64_t Span(const Axis& axis, std::int64_t outputs) {
  return (outputs - 1) * axis.stride + axis.effective_kernel();
}

// Positions of a row of the window: what the outputs span, and all of the input.
std::int64_t WindowColumns(const Axis& x) {
  return std::max(Span(x, x.output), x.padding_begin + x.input);
}

class Lanes {
 public:
  explicit Lanes(const Run& run)
      : run_(run),
        g_(run.problem),
        y_(g_.axes[1]),
        x_(g_.axes[2]),
        bias_(LoadBias<float>(run)),
        pitch_(OddLines(WindowColumns(x_) * channels())) {
    std::int64_t rows = 1;
    while (rows < y_.output && Span(y_, rows + 1) <= kWindowSize / pitch_) ++rows;
    strips_ = CeilDivide(y_.output, rows);
    strip_rows_ = CeilDivide(y_.output, strips_);
    for (std::int64_t row = 0; row < std::min(y_.input, Span(y_, strip_rows_)); ++row) {
      for (std::int64_t column = 0; column < x_.input; ++column) {
        offsets_.push_back(
            static_cast<std::int32_t>(row * pitch_ + (x_.padding_begin + column) * channels()));
      }
    }
    for (std::int64_t tap = 0; tap < y_.kernel * x_.kernel; ++tap) {
      tap_offsets_.push_back(static_cast<std::int32_t>(tap * channels()));
    }
  }

  absl::Status Compute() {
    const std::int64_t blocks = CeilDivide(g_.groups, channels());
    const std::int64_t products =
        strip_rows_ * x_.output * y_.kernel * x_.kernel * channels();  // of a block's strip
    const std::int64_t at_once = std::min(blocks, CeilDivide(kTaskProducts, products));
    const std::int64_t tasks = CeilDivide(blocks, at_once);
    ForEachTask(g_.batch * tasks * strips_, run_.stop, [&](std::int64_t task) {
      const std::int64_t first = task / strips_ % tasks * at_once;
      ComputeStrip(task / strips_ / tasks, task % strips_ * strip_rows_, first * channels(),
                   std::min((first + at_once) * channels(), g_.groups));
    });
    // Padding is multiplied as zeros.
    if (!finite_ && !run_.stop.stop_requested()) {
      RepairBorder(run_,
                   WithPaddedTaps(run_.problem, g_, run_.operands.input, run_.operands.weight),
                   bias_.data());
    }
    return StatusAfter(run_.stop);
  }

 private:
  std::int64_t channels() const { return kernels_.channels; }

  // The strip from output row `first` on, of channels [channel, last).
  void ComputeStrip(std::int64_t batch, std::int64_t first, std::int64_t channel,
                    std::int64_t last) {
    float* const window = reinterpret_cast<float*>(ThreadScratch());
    const std::int64_t rows = std::min(strip_rows_, y_.output - first);
    const std::int64_t top = first * y_.stride - y_.padding_begin;  // the window's first row
    const std::int64_t begin = std::clamp<std::int64_t>(top, 0, y_.input);
    const std::int64_t end = std::clamp(top + Span(y_, rows), begin, y_.input);
    const std::int64_t left = x_.padding_begin * channels();
    const std::int64_t right = left + x_.input * channels();
    for (std::int64_t row = 0; row < Span(y_, rows); ++row) {
      float* const to = window + row * pitch_;
      if (top + row < begin || top + row >= end) {
        std::fill_n(to, pitch_, 0.0F);
      } else {
        std::fill(to, to + left, 0.0F);
        std::fill(to + right, to + pitch_, 0.0F);
      }
    }
    for (; channel < last && !run_.stop.stop_requested(); channel += channels()) {
      LanePlanes planes{.channels = std::min(channels(), last - channel),
                        .positions = (end - begin) * x_.input,
                        .channel_stride = g_.input.group,
                        .position_stride = g_.input.spatial[2]};
      kernels_.interleave(run_.operands.input.As<float>() + batch * g_.input.batch +
                              channel * g_.input.group + begin * g_.input.spatial[1],
                          planes, offsets_.data(), window + (begin - top) * pitch_);
      planes.channel_stride = g_.output.group;
      planes.position_stride = g_.output.spatial[2];
      ComputeBlock(window, channel, planes, rows,
                   reinterpret_cast<float*>(run_.output.data()) + batch * g_.output.batch +
                       channel * g_.output.group + first * g_.output.spatial[1]);
    }
  }

  // `rows` rows of outputs of the channels from `channel` on, to `out`.
  void ComputeBlock(const float* window, std::int64_t channel, LanePlanes planes, std::int64_t rows,
                    float* out) {
    float* const outputs = reinterpret_cast<float*>(ThreadScratch()) + kLargestWindow;
    float* const weights = outputs + kOutputsSize;
    alignas(64) std::array<float, kMaxLaneChannels> bias{};
    std::copy_n(bias_.data() + channel, planes.channels, bias.data());
    PackWeights(channel, planes.channels, weights);
    const std::int64_t at_once = std::max<std::int64_t>(kOutputsAtOnce / x_.output, 1);
    for (std::int64_t row = 0; row < rows; row += at_once) {
      const std::int64_t count = std::min(at_once, rows - row);
      kernels_.compute({.window = window + row * y_.stride * pitch_,
                        .row_stride = y_.stride * pitch_,
                        .stride = x_.stride * channels(),
                        .tap_row = y_.dilation * pitch_,
                        .tap_column = x_.dilation * channels(),
                        .tap_rows = y_.kernel,
                        .tap_columns = x_.kernel,
                        .weights = weights,
                        .weight_row = x_.kernel * channels(),
                        .weight_column = channels(),
                        .bias = bias.data(),
                        .channels = channels(),
                        .out = outputs,
                        .out_row = x_.output * channels(),
                        .out_column = channels(),
                        .rows = count,
                        .columns = x_.output});
      planes.positions = count * x_.output;
      kernels_.separate(outputs, planes, out + row * g_.output.spatial[1]);
    }
  }

  // [taps][channels()]
  void PackWeights(std::int64_t channel, std::int64_t count, float* out) {
    const float* weight =
        run_.operands.weight.As<float>() + g_.weight.offset + channel * g_.weight.group;
    const auto taps = static_cast<std::int64_t>(tap_offsets_.size());
    const bool in_order = g_.weight.kernel[1] == x_.kernel * g_.weight.kernel[2];
    const LanePlanes planes{.channels = count,
                            .positions = in_order ? taps : x_.kernel,
                            .channel_stride = g_.weight.group,
                            .position_stride = g_.weight.kernel[2]};
    if (count < channels()) std::fill_n(out, taps * channels(), 0.0F);
    for (std::int64_t tap = 0; tap < taps; tap += planes.positions) {
      kernels_.interleave(weight, planes, tap_offsets_.data(), out + tap * channels());
      weight += g_.weight.kernel[1];
    }
    if (!AllFinite(out, taps * channels())) finite_ = false;
  }

  const Run& run_;
  const Geometry g_;
  const Axis& y_;
  const Axis& x_;
  const std::vector<float> bias_;
  const LanesTable& kernels_ = LanesKernels();
  const std::int64_t pitch_;  // elements from one row of the window to the next
  std::int64_t strips_ = 0;
  std::int64_t strip_rows_ = 0;
  // Where the positions of the input's rows, one after the other, stand in the window.
  std::vector<std::int32_t> offsets_;
  std::vector<std::int32_t> tap_offsets_;  // and the taps among the weights of a block
  std::atomic<bool> finite_ = true;
};

std::string Refusal(const Problem& problem) {
  const Geometry g(problem);
  if (problem.operation() != Operation::kConv) return "transposed";
  if (!IsFloat32(problem)) return "types other than float32";
  if (g.channels != 1 || g.filters != 1) return "several channels or filters a group";
  if (g.groups * 5 < RoundUp(g.groups, kBlockChannels) * 4) {
    return "channels that leave lanes unused";
  }
  if (problem.padding_mode() != PaddingMode::kZeros) return "padding other than zeros";
  const auto& [z, y, x] = g.axes;
  if (z.input != 1 || z.kernel != 1 || z.output != 1 || z.padding_begin != 0) return "three axes";
  if (x.kernel > kMaxTaps || y.kernel > kMaxTaps / x.kernel) return "too many taps";
  if (x.output > kMaxColumns || WindowColumns(x) > kLargestWindow / kMaxLaneChannels ||
      Span(y, 1) > kLargestWindow / OddLines(WindowColumns(x) * kMaxLaneChannels)) {
    return "rows too wide, or taps too far apart";
  }
  return "";
}

std::int64_t WorkspaceBytes(const Problem& /*problem*/) { return 0; }

absl::Status Compute(const Run& run) { return Lanes(run).Compute(); }

}  // namespace

constexpr Algorithm kLanes = {"lanes", Refusal, WorkspaceBytes, Compute};

}  // namespace convserve
