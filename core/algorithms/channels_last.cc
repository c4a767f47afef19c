// Convolution of channels-last tensors without a transpose:
//
//   output [positions x filters] += input [positions x run] * weights [run x filters]
//
// A run is what lies side by side in the input: the channels of neighbouring taps of a row, or of
// one tap where a dilation parts them. The positions of a product are neighbours along a row, or
// along a column at the borders, that meet the same taps; taps in the padding are left out. Weights
// are packed once, the filters of one tap and channel side by side.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "core/algorithms/algorithm.h"
#include "core/algorithms/border.h"
#include "core/algorithms/copy_row.h"
#include "core/algorithms/stretches.h"
#include "core/algorithms/tasks.h"
#include "core/algorithms/window.h"
#include "core/divide.h"
#include "core/geometry.h"
#include "core/kernels/gemm_kernel.h"
#include "core/scratch.h"

namespace convserve {
namespace {

constexpr std::int64_t kLeastFilters = 16;  // a product with fewer columns wastes its vectors
constexpr std::int64_t kLeastDepth = 4;
// Shorter runs read and write sums too often, unless an output has but one.
constexpr std::int64_t kLeastRun = 32;
constexpr std::int64_t kLeastPositions = 128;
// Fewer are better in panels, whose weights take less to pack.
constexpr std::int64_t kManyPositions = 512;
constexpr std::int64_t kTaskPositions = 128;  // whose inputs stay in the L2 cache for all filters
constexpr std::int64_t kTaskFilters = 64;     // at least
constexpr std::int64_t kWantedTasks = 8;
constexpr std::int64_t kFiltersPacked = 16;  // a cache line
// Weights of one filter that are copied at once, but for one channel's where they are more.
constexpr std::int64_t kWeightsCopied = 512;
constexpr std::int64_t kMaxTaps = std::int64_t{16} * 1024;
static_assert(kFiltersPacked * (std::max(kMaxTaps, kWeightsCopied) + 1) *
                  std::int64_t{sizeof(float)} <=
              kScratchBytes);
static_assert(kTaskPositions * kDepthBlock * std::int64_t{sizeof(float)} <= kScratchBytes);

// Elements of a run of an output that meets no padding.
std::int64_t RunLength(const Geometry& g) {
  return g.axes[2].dilation == 1 ? g.channels * g.axes[2].kernel : g.channels;
}

// From one row of packed weights to the next.
std::int64_t Pitch(const Geometry& g) { return OddLines(g.filters); }
std::int64_t PackedSize(const Geometry& g) { return g.depth() * Pitch(g); }

// Whether runs are so short that they are brought together first.
bool Gathers(const Geometry& g) { return RunLength(g) < kLeastRun && g.depth() > RunLength(g); }

// [taps][channels][Pitch(g)], by way of a copy in the cache: neither reading nor writing is in
// steps.
void PackWeights(const Geometry& g, const TensorView& weights, const std::stop_token& stop,
                 float* packed) {
  const std::int64_t pitch = Pitch(g);
  std::vector<std::int64_t> taps;
  for (std::int64_t z = 0; z < g.axes[0].kernel; ++z) {
    for (std::int64_t y = 0; y < g.axes[1].kernel; ++y) {
      for (std::int64_t x = 0; x < g.axes[2].kernel; ++x) {
        taps.push_back(z * g.weight.kernel[0] + y * g.weight.kernel[1] + x * g.weight.kernel[2]);
      }
    }
  }
  ForEachTask(CeilDivide(g.filters, kFiltersPacked), stop, [&](std::int64_t task) {
    const std::int64_t first = task * kFiltersPacked;
    const std::int64_t count = std::min(kFiltersPacked, g.filters - first);
    float* const copy = reinterpret_cast<float*>(ThreadScratch());
    const auto size = static_cast<std::int64_t>(taps.size());
    const std::int64_t at_once = std::max<std::int64_t>(kWeightsCopied / size, 1);
    for (std::int64_t c = 0; c < g.channels; c += at_once) {
      const std::int64_t channels = std::min(at_once, g.channels - c);
      const float* weight =
          weights.As<float>() + g.weight.offset + first * g.weight.filter + c * g.weight.channel;
      for (std::int64_t m = 0; m < count; ++m, weight += g.weight.filter) {
        float* to = copy + m * (at_once * size + 1);
        for (std::int64_t i = 0; i < channels; ++i) {
          for (const std::int64_t tap : taps) *to++ = weight[i * g.weight.channel + tap];
        }
      }
      for (std::int64_t t = 0; t < size; ++t) {
        float* out = packed + (t * g.channels + c) * pitch + first;
        for (std::int64_t i = 0; i < channels; ++i, out += pitch) {
          for (std::int64_t m = 0; m < count; ++m) {
            out[m] = copy[m * (at_once * size + 1) + i * size + t];
          }
        }
      }
    }
  });
}

class ChannelsLast {
 public:
  explicit ChannelsLast(const Run& run)
      : run_(run),
        g_(Geometry::Joined(run.problem)),
        pitch_(Pitch(g_)),
        weights_(reinterpret_cast<const float*>(gathers_ || run.packed_weight.empty()
                                                    ? run.workspace.data()
                                                    : run.packed_weight.data())),
        bias_(LoadBias<float>(run)) {
    for (std::size_t axis = 0; axis < 3; ++axis) stretches_[axis] = Stretches(g_.axes[axis]);
    for (std::size_t k = 0; k < offsets_.size(); ++k) {
      offsets_[k] = static_cast<std::int32_t>(static_cast<std::int64_t>(k) * pitch_);
    }
  }

  absl::Status Compute() const {
    auto* const workspace = reinterpret_cast<float*>(run_.workspace.data());
    if (run_.packed_weight.empty()) {
      PackWeights(g_, run_.operands.weight, run_.stop, workspace);
    } else if (gathers_) {
      std::copy_n(reinterpret_cast<const float*>(run_.packed_weight.data()), PackedSize(g_),
                  workspace);
    }
    std::copy(bias_.begin(), bias_.end(), workspace + PackedSize(g_));
    const std::int64_t width = g_.axes[2].output;
    const std::int64_t x_size = std::min(width, kTaskPositions);
    const std::int64_t y_size = std::max<std::int64_t>(kTaskPositions / width, 1);
    const std::int64_t x_tiles = CeilDivide(width, x_size);
    const std::int64_t y_tiles = CeilDivide(g_.axes[1].output, y_size);
    const std::int64_t tiles = g_.batch * g_.axes[0].output * y_tiles * x_tiles;
    const std::int64_t filters = std::max(
        kTaskFilters, RoundUp(CeilDivide(g_.filters, CeilDivide(kWantedTasks, tiles)), 16));
    const std::int64_t blocks = CeilDivide(g_.filters, filters);
    ForEachTask(tiles * blocks, run_.stop, [&](std::int64_t task) {
      const auto next = [&](std::int64_t count) {
        const std::int64_t index = task % count;
        task /= count;
        return index;
      };
      Part part;
      part.filter = next(blocks) * filters;
      part.filters = std::min(filters, g_.filters - part.filter);
      const std::int64_t x = next(x_tiles) * x_size;
      const std::int64_t y = next(y_tiles) * y_size;
      part.z = next(g_.axes[0].output);
      part.batch = task;
      for (const Stretch& rows : stretches_[1]) {
        for (const Stretch& columns : stretches_[2]) {
          part.rows = rows.Cut(y, y + y_size);
          part.columns = columns.Cut(x, x + x_size);
          ComputePart(part);
        }
      }
    });
    return StatusAfter(run_.stop);
  }

 private:
  // Outputs of one plane, all of which meet the same taps, for some filters.
  struct Part {
    std::int64_t batch, z, filter, filters;
    Stretch rows, columns;
  };

  // What an output meets with rows [first, first + length) of the weights, and the next one `step`
  // further on.
  struct InputRun {
    const float* from;
    std::int64_t step, first, length;
  };

  // As products along the longer side of the part.
  void ComputePart(const Part& part) const {
    const std::int64_t height = part.rows.last - part.rows.first;
    const std::int64_t width = part.columns.last - part.columns.first;
    if (height <= 0 || width <= 0) return;
    const bool along_rows = width >= height;
    for (std::int64_t i = 0; i < (along_rows ? height : width); ++i) {
      GemmTile<float> tile;
      tile.rows = along_rows ? width : height;
      const std::size_t axis = along_rows ? 2 : 1;
      const std::int64_t step = g_.axes[axis].stride * g_.input.spatial[axis];
      tile.c_stride = g_.output.spatial[axis];
      const std::int64_t y = part.rows.first + (along_rows ? i : 0);
      const std::int64_t x = part.columns.first + (along_rows ? 0 : i);
      ComputeLine(part, y, x, step, tile);
    }
  }

  // `tile.rows` outputs from (y, x) on, whose inputs are so far apart.
  void ComputeLine(const Part& part, std::int64_t y, std::int64_t x, std::int64_t step,
                   GemmTile<float>& tile) const {
    const GemmSegment segment{0, part.filters, 0};
    tile.segments = {&segment, 1};
    tile.c = reinterpret_cast<float*>(run_.output.data()) + part.batch * g_.output.batch +
             part.z * g_.output.spatial[0] + y * g_.output.spatial[1] + x * g_.output.spatial[2] +
             part.filter;
    const float* input = run_.operands.input.As<float>() + part.batch * g_.input.batch;
    const auto coordinate = [&](std::size_t axis, std::int64_t output, std::int64_t tap) {
      const Axis& a = g_.axes[axis];
      return output * a.stride + tap * a.dilation - a.padding_begin;
    };
    const Stretch& columns = part.columns;
    const std::int64_t taps = g_.axes[2].dilation == 1 ? columns.taps() : 1;  // of a run
    tile.past_caches = past_caches_ && at_once_;
    Gathered gathered;
    for (std::int64_t tz = 0; tz < g_.axes[0].kernel; ++tz) {
      const std::int64_t iz = coordinate(0, part.z, tz);
      if (iz < 0 || iz >= g_.axes[0].input) continue;
      for (std::int64_t ty = part.rows.tap_first; ty < part.rows.tap_last; ++ty) {
        const float* row =
            input + iz * g_.input.spatial[0] + coordinate(1, y, ty) * g_.input.spatial[1];
        for (std::int64_t tx = columns.tap_first; tx < columns.tap_last; tx += taps) {
          const std::int64_t tap = (tz * g_.axes[1].kernel + ty) * g_.axes[2].kernel + tx;
          const float* at = row + coordinate(2, x, tx) * g_.input.spatial[2];
          const InputRun run{at, step, tap * g_.channels, taps * g_.channels};
          if (gathers_) {
            Gather(run, part.filter, gathered, tile);
          } else {
            AddRun(run, part.filter, tile);
          }
        }
      }
    }
    if (gathers_) {
      // The bias is one more row of weights.
      static constexpr float kOne = 1;
      if (run_.problem.has_bias()) {
        Gather({.from = &kOne, .step = 0, .first = g_.depth(), .length = 1}, part.filter, gathered,
               tile);
      }
      tile.past_caches = past_caches_ && !tile.accumulate;
      Multiply(gathered, part.filter, tile);
    }
    if (tile.accumulate && (gathers_ || !run_.problem.has_bias())) return;
    const float* bias = bias_.data() + part.filter;
    for (std::int64_t i = 0; i < tile.rows; ++i) {
      float* out = tile.c + i * tile.c_stride;
      for (std::int64_t m = 0; m < part.filters; ++m) {
        out[m] = (tile.accumulate ? out[m] : 0.0F) + bias[m];
      }
    }
  }

  void AddRun(const InputRun& run, std::int64_t filter, GemmTile<float>& tile) const {
    for (std::int64_t k = 0; k < run.length && !run_.stop.stop_requested(); k += kDepthBlock) {
      tile.depth = std::min(kDepthBlock, run.length - k);
      tile.a = run.from + k;
      tile.a_stride = run.step;
      tile.b = weights_ + (run.first + k) * pitch_ + filter;
      tile.offsets = offsets_.data();
      gemm_(tile);
      tile.accumulate = true;
    }
  }

  // Runs that are multiplied together: [positions][depth].
  struct Gathered {
    std::int64_t depth = 0;
    float* const inputs = reinterpret_cast<float*>(ThreadScratch());
    std::array<std::int32_t, kDepthBlock> rows;  // of the weights
  };

  void Gather(const InputRun& run, std::int64_t filter, Gathered& gathered,
              GemmTile<float>& tile) const {
    if (gathered.depth + run.length > kDepthBlock) Multiply(gathered, filter, tile);
    float* to = gathered.inputs + gathered.depth;
    for (std::int64_t i = 0; i < tile.rows; ++i, to += kDepthBlock) {
      CopySideBySide(run.from + i * run.step, run.length, to);
    }
    for (std::int64_t k = 0; k < run.length; ++k) {
      gathered.rows[static_cast<std::size_t>(gathered.depth++)] =
          static_cast<std::int32_t>((run.first + k) * pitch_);
    }
  }

  void Multiply(Gathered& gathered, std::int64_t filter, GemmTile<float>& tile) const {
    if (gathered.depth == 0) return;
    tile.depth = gathered.depth;
    tile.a = gathered.inputs;
    tile.a_stride = kDepthBlock;
    tile.b = weights_ + filter;
    tile.offsets = gathered.rows.data();
    gemm_(tile);
    tile.accumulate = true;
    gathered.depth = 0;
  }

  const Run& run_;
  const Geometry g_;
  const bool gathers_ = Gathers(g_);
  const std::int64_t pitch_;
  const float* const weights_;
  const std::vector<float> bias_;
  // Whether the first product of a line is all that becomes of it.
  const bool at_once_ =
      g_.depth() == RunLength(g_) && g_.depth() <= kDepthBlock && !run_.problem.has_bias();
  const bool past_caches_ = LeavesCaches(run_.problem);
  const GemmKernel<float> gemm_ = GetGemmKernel<float>();
  std::array<std::vector<Stretch>, 3> stretches_;
  std::array<std::int32_t, kDepthBlock> offsets_;
};

std::string Refusal(const Problem& problem) {
  const Geometry g(problem);
  if (problem.operation() != Operation::kConv) return "a transposed convolution";
  if (!g.channels_last()) return "channels first";
  if (!IsFloat32(problem)) return "types other than float32";
  if (problem.padding_mode() != PaddingMode::kZeros) return "padding other than zeros";
  if (g.groups != 1) return "several groups";
  const Axis& row = g.axes[2];
  if (g.taps() > kMaxTaps) return "too many taps";
  if (g.filters < kLeastFilters || g.depth() < kLeastDepth) return "too few channels or filters";
  // Of one image, so that the choice, and with it the bits, are the same in a batch.
  const std::int64_t positions = g.axes[0].output * g.axes[1].output * g.axes[2].output;
  if (positions < kLeastPositions) return "too few positions to pack weights for";
  if ((positions < kManyPositions || (row.dilation > 1 && row.kernel > 1)) &&
      kPanels.refusal(problem).empty()) {
    return "few positions, or taps apart: better in panels";
  }
  // Offsets of a block of rows of weights are 32-bit.
  if (g.filters > (std::int64_t{1} << 22)) return "too many filters";
  if (Gathers(g) && PackedSize(g) > std::int64_t{1} << 30) return "too many weights";
  return "";
}

// The packed weights, which serve every output, and the bias.
std::int64_t WorkspaceBytes(const Problem& problem) {
  const Geometry g(problem);
  return (PackedSize(g) + Pitch(g)) * std::int64_t{sizeof(float)};
}

absl::Status Compute(const Run& run) { return ChannelsLast(run).Compute(); }

std::int64_t PackedBytes(const Problem& problem) {
  return (PackedSize(Geometry(problem)) + kGemmSlack) * std::int64_t{sizeof(float)};
}

void Pack(const Problem& problem, const TensorView& weight, std::span<std::byte> out) {
  PackWeights(Geometry(problem), weight, {}, reinterpret_cast<float*>(out.data()));
}

}  // namespace

constexpr Algorithm kChannelsLast = {"channels_last", Refusal,     WorkspaceBytes,
                                     Compute,         PackedBytes, Pack};

}  // namespace convserve
