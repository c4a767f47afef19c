// Convolution as blocked matrix products, for both operations, every layout and every type.
//
// Per phase (core/phases.h), group and batch element: output [filters x columns] = weights *
// patches (core/algorithms/patches.h). The patch matrix never exists as a whole: tile by tile its
// rows are read from a copy of the part of the input that the tile meets
// (core/algorithms/window.h), or, where that would copy or compute more, from patches packed for
// the tile. Weights are read where they are when they lie in the order of the sum, else packed
// once.
//
// The depth is cut into blocks of kDepthBlock; each block's sum starts at zero and is then added to
// the total. That fixed order gives the same bits for any number of threads, tile shape or
// instruction set, and loses less to rounding than one running sum.
//
// Integers use the float kernel: kDepthBlock products of 8-bit values stay below 2^24, where float
// is exact; the block sums are added up in 64 bits.
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <iterator>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "absl/status/status.h"
#include "core/algorithms/algorithm.h"
#include "core/algorithms/border.h"
#include "core/algorithms/patches.h"
#include "core/algorithms/tasks.h"
#include "core/algorithms/tiling.h"
#include "core/algorithms/totals.h"
#include "core/algorithms/window.h"
#include "core/divide.h"
#include "core/geometry.h"
#include "core/kernels/gemm_kernel.h"
#include "core/phases.h"
#include "core/scratch.h"

namespace convserve {
namespace {

static_assert(kDepthBlock * 255 * 255 < 1 << 24, "integer block sums must be exact in float");

// Elements of the buffer that holds a window or packed patches: what fits the L2 cache beside
// weights and outputs.
template <typename T>
constexpr std::int64_t kBufferSize = std::int64_t{256} * 1024 / std::int64_t{sizeof(T)};
// Filters whose weights of one depth block stay in the L2 cache beside the buffer.
constexpr std::int64_t kRowsInCache = 96;
// Products between two looks at whether to stop: about a millisecond.
constexpr std::int64_t kProductsAtOnce = std::int64_t{1} << 25;
// Rows so many bytes apart, or a multiple, compete for the same places in the L1 cache.
constexpr std::int64_t kPage = 4096;
// Phases whose weights are packed together.
constexpr std::size_t kPhasesAtOnce = 64;
// Filters or channels whose weights one task packs.
constexpr std::int64_t kPackedAtOnce = 16;
// Scratch of one thread, kept between runs.
template <typename T>
struct Scratch {
  T* buffer = reinterpret_cast<T*>(ThreadScratch());
  // Rows of weights whose distance in the tensor is a multiple of kPage.
  T* weights = buffer + 2 * kBufferSize<T>;
  std::array<std::int32_t, kDepthBlock> offsets;

  static Scratch& OfThread() {
    thread_local Scratch scratch;
    return scratch;
  }
};

// T is the kernel's type, Sum the type of totals.
template <typename T, typename Sum>
class Gemm {
 public:
  explicit Gemm(const Run& run)
      : run_(run),
        g_(Geometry::Joined(run.problem)),
        packed_(reinterpret_cast<T*>(run.workspace.data())),
        totals_(run, g_) {}

  absl::Status Compute() {
    const Operation operation = run_.problem.operation();
    const auto uncovered = [&](const Axis& axis) { return HasUncoveredOutputs(operation, axis); };
    if (std::any_of(g_.axes.begin(), g_.axes.end(), uncovered)) totals_.FillWithBias();
    std::deque<PhaseRun> phases;
    ForEachPhase(run_.problem, g_, [&](const std::array<Phase, 3>& axes) {
      AddPhase(axes, phases);
      if (phases.size() == kPhasesAtOnce) RunPhases(phases);
      return !stopped();
    });
    RunPhases(phases);
    return StatusAfter(run_.stop);
  }

 private:
  // One phase, ready to be cut into tasks.
  struct PhaseRun {
    explicit PhaseRun(const Patches& p) : patches(p) {}

    Patches patches;
    std::optional<Window> window;
    std::vector<std::int32_t> tap_offsets;  // with a window: of channel 0
    Tiling tiling;
    std::int64_t first_task = 0;
    bool weights_in_place = false;
    // Otherwise: where they are packed, where the taps stand in the tensor, and whether all weights
    // are finite.
    T* packed = nullptr;
    std::vector<std::int64_t> tap_weights;
    std::atomic<bool> finite = true;
  };

  bool stopped() const { return run_.stop.stop_requested(); }

  void AddPhase(const std::array<Phase, 3>& axes, std::deque<PhaseRun>& phases) const {
    const Problem& problem = run_.problem;
    PhaseRun& phase = phases.emplace_back(
        Patches{g_, problem.padding_mode(), axes, run_.operands.input, run_.operands.weight});
    phase.tiling = MakeTiling(phase.patches,
                              {.buffer = kBufferSize<T>, .sums_in_output = totals_.in_output()});
    if (phase.tiling.window) {
      phase.window.emplace(phase.patches, phase.tiling.extent);
      for (std::int64_t tap = 0; tap < phase.patches.taps(); ++tap) {
        phase.tap_offsets.push_back(static_cast<std::int32_t>(phase.window->Offset(0, tap)));
      }
    }
    phase.weights_in_place =
        totals_.in_output() && WeightsInOrder(problem, phase.patches, DataTypeOf<T>);
    if (!phase.weights_in_place) phase.tap_weights = TapOffsets(phase.patches);
  }

  // Computes all phases and takes them off the list.
  void RunPhases(std::deque<PhaseRun>& phases) {
    PackAllWeights(phases);
    std::int64_t tasks = 0;
    for (PhaseRun& phase : phases) {
      phase.first_task = tasks;
      tasks += g_.batch * g_.groups * phase.tiling.tiles() * phase.tiling.row_blocks;
    }
    ForEachTask(tasks, run_.stop, [&](std::int64_t task) {
      const auto after = std::upper_bound(
          phases.begin(), phases.end(), task,
          [](std::int64_t t, const PhaseRun& phase) { return t < phase.first_task; });
      RunTask(*std::prev(after), task - std::prev(after)->first_task);
    });
    if constexpr (std::is_floating_point_v<Sum>) {
      for (const PhaseRun& phase : phases) {
        if (stopped() || run_.problem.padding_mode() != PaddingMode::kZeros) break;
        // A weight that is not finite makes NaN of every output at which its tap is padded (0 *
        // Inf). A tap that is padded anywhere along an axis is so at the first or the last output:
        // where weights were not looked at, those two corners tell.
        const bool good = phase.weights_in_place ? totals_.CornersAreNumbers(phase.patches.phases)
                                                 : phase.finite.load();
        if (!good) BorderRepair<Sum>(run_, g_, phase.patches, totals_.bias()).Compute();
      }
    }
    phases.clear();
  }

  // All phases at a time: they share the cache lines of a weight tensor.
  void PackAllWeights(std::deque<PhaseRun>& phases) {
    std::int64_t packed = 0;
    for (PhaseRun& phase : phases) {
      phase.packed = packed_ + packed;
      if (!phase.weights_in_place) packed += g_.groups * g_.filters * phase.patches.depth();
    }
    if (packed == 0) return;
    // Parts of the tensor's outer dimension.
    const bool by_filters = g_.weight.filter > g_.weight.channel;
    const std::int64_t size = by_filters ? g_.filters : g_.channels;
    const std::int64_t blocks = CeilDivide(size, kPackedAtOnce);
    ForEachTask(g_.groups * blocks, run_.stop, [&](std::int64_t item) {
      const std::int64_t first = item % blocks * kPackedAtOnce;
      const std::int64_t count = std::min(kPackedAtOnce, size - first);
      WeightPart part{item / blocks, 0, g_.filters, 0, g_.channels};
      (by_filters ? part.first_filter : part.first_channel) = first;
      (by_filters ? part.filters : part.channels) = count;
      for (PhaseRun& phase : phases) {
        if (phase.weights_in_place || stopped()) continue;
        T* out = phase.packed + part.group * g_.filters * phase.patches.depth();
        if (!PackWeights(phase.patches, phase.tap_weights, kDepthBlock, part, out)) {
          phase.finite = false;
        }
      }
    });
  }

  void RunTask(const PhaseRun& phase, std::int64_t task) const {
    const Tiling& tiling = phase.tiling;
    const auto next = [&](std::int64_t count) {
      const std::int64_t index = task % count;
      task /= count;
      return index;
    };
    const std::int64_t row = next(tiling.row_blocks) * tiling.rows;
    const std::int64_t x = next(tiling.x_tiles);
    const std::int64_t y = next(tiling.y_tiles);
    const std::int64_t z = next(tiling.z_tiles);
    const std::int64_t group = next(g_.groups);
    const GemmTask t{task, group, row, std::min(tiling.rows, g_.filters - row)};

    const auto& phases = phase.patches.phases;
    if (phase.window) {
      const Window::Origin origin{z, y * tiling.extent.rows, x * tiling.extent.width};
      const Window::Extent extent{std::min(tiling.extent.rows, phases[1].outputs - origin.y),
                                  std::min(tiling.extent.width, phases[2].outputs - origin.x)};
      if (extent.rows <= 0 || extent.width <= 0) return;
      RunTile(phase, t, extent,
              {phases, phase.window->Columns(extent.rows, extent.width), phase.window->pitch(),
               extent.width, origin});
    } else {
      const std::int64_t first = x * tiling.columns;
      RunTile(phase, t, {},
              {phases,
               std::min(tiling.columns, phase.patches.columns() - first),
               phases[2].outputs,
               phases[2].outputs,
               {},
               first});
    }
  }

  void RunTile(const PhaseRun& phase, const GemmTask& task, Window::Extent extent,
               const TileColumns& columns) const {
    Scratch<T>& scratch = Scratch<T>::OfThread();
    const std::int64_t depth = phase.patches.depth();
    Block block{columns.first, columns.count, 0, 0};
    const std::span<const GemmSegment> segments = totals_.Segments(columns);
    do {
      block.depth = std::min(kDepthBlock, depth - block.first_depth);
      Copy(phase, task, extent, columns, block, scratch);
      const std::int64_t rows = std::clamp(kProductsAtOnce / (block.depth * columns.count + 1),
                                           kRowsInCache / 8, kRowsInCache);
      for (std::int64_t i = 0; i < task.rows; i += rows) {
        if (stopped()) return;
        GemmTile<T> tile;
        tile.depth = block.depth;
        tile.rows = std::min(rows, task.rows - i);
        SetWeights(phase, task, block, i, tile, scratch);
        tile.b = scratch.buffer;
        tile.offsets = scratch.offsets.data();
        tile.segments = segments;
        tile.accumulate = block.first_depth > 0;
        totals_.Add(tile, task, i, columns, block.first_depth + block.depth == depth);
      }
      block.first_depth += block.depth;
    } while (block.first_depth < depth);
    totals_.Store(task, columns);
  }

  // Fills the buffer, and the offsets of the depth block's rows in it.
  void Copy(const PhaseRun& phase, const GemmTask& task, Window::Extent extent,
            const TileColumns& columns, const Block& block, Scratch<T>& scratch) const {
    if (!phase.window) {
      const std::int64_t pitch = OddLines(columns.count);
      PackPatches(phase.patches, task.batch, task.group, block, pitch, scratch.buffer);
      for (std::int64_t k = 0; k < block.depth; ++k) {
        scratch.offsets[static_cast<std::size_t>(k)] = static_cast<std::int32_t>(k * pitch);
      }
      return;
    }
    const std::int64_t taps = phase.patches.taps();
    const std::int64_t first = block.first_depth / taps;
    const std::int64_t last = (block.first_depth + block.depth - 1) / taps;
    CopyChannels(phase, task, phase.window->Copies(columns.origin, extent), first, last - first + 1,
                 scratch.buffer);
    std::int64_t channel = 0;
    std::int64_t tap = block.first_depth % taps;
    for (std::int64_t k = 0; k < block.depth; ++k) {
      scratch.offsets[static_cast<std::size_t>(k)] =
          static_cast<std::int32_t>(channel * phase.window->channel_size()) +
          phase.tap_offsets[static_cast<std::size_t>(tap)];
      if (++tap == taps) {
        tap = 0;
        ++channel;
      }
    }
  }

  // Channels [first, first + count) of the input.
  void CopyChannels(const PhaseRun& phase, const GemmTask& task, const WindowCopy& copies,
                    std::int64_t first, std::int64_t count, T* out) const {
    // Rows of different channels are too far apart for the processor to foresee them.
    constexpr std::int64_t kAhead = 4;
    VisitDataType(phase.patches.input.data_type, [&](auto zero) {
      using In = decltype(zero);
      if constexpr (kTakes<T, In>) {
        const In* input = phase.patches.input.template As<In>() + task.batch * g_.input.batch +
                          task.group * g_.input.group + first * g_.input.channel;
        for (std::int64_t c = 0; c < count; ++c, input += g_.input.channel) {
          if (c + kAhead < count) copies.Prefetch(input + kAhead * g_.input.channel);
          copies.FillPadding(out);
          copies.CopyChannel(input, out);
          out += phase.window->channel_size();
        }
      }
    });
  }

  void SetWeights(const PhaseRun& phase, const GemmTask& task, const Block& block, std::int64_t i,
                  GemmTile<T>& tile, const Scratch<T>& scratch) const {
    const std::int64_t row = task.first_row + i;
    if (phase.weights_in_place) {
      tile.a = phase.patches.weight.template As<T>() + task.group * g_.weight.group +
               row * g_.weight.filter + block.first_depth;
      tile.a_stride = g_.weight.filter;
      if (tile.a_stride * std::int64_t{sizeof(T)} % kPage == 0) {
        constexpr std::int64_t kPitch = OddLines(kDepthBlock);
        for (std::int64_t r = 0; r < tile.rows; ++r) {
          std::copy_n(tile.a + r * tile.a_stride, block.depth, scratch.weights + r * kPitch);
        }
        tile.a = scratch.weights;
        tile.a_stride = kPitch;
      }
    } else {
      tile.a = phase.packed +
               g_.filters * (task.group * phase.patches.depth() + block.first_depth) +
               row * block.depth;
      tile.a_stride = block.depth;
    }
  }

  const Run& run_;
  const Geometry g_;
  T* const packed_;
  const Totals<T, Sum> totals_;
};

// Sums of this many 8-bit products stay exact in the double they pass through on their way to a
// float.
constexpr std::int64_t kMaxExactProducts = (std::int64_t{1} << 53) / (std::int64_t{255} * 255);

std::string Refusal(const Problem& problem) {
  const Geometry g(problem);
  std::int64_t depth = g.channels;
  for (const Axis& axis : g.axes) depth *= axis.kernel;
  if (problem.arithmetic() == Arithmetic::kInteger && depth > kMaxExactProducts) {
    return "more products than 64-bit sums hold exactly";
  }
  return "";
}

// The packed weights: each belongs to one phase.
std::int64_t WorkspaceBytes(const Problem& problem) {
  const std::int64_t elements = problem.weight_bytes() / SizeOf(problem.weight_type());
  const std::int64_t size = problem.arithmetic() == Arithmetic::kFloat64 ? 8 : 4;
  return elements <= std::numeric_limits<std::int64_t>::max() / size
             ? elements * size
             : std::numeric_limits<std::int64_t>::max();
}

absl::Status Compute(const Run& run) {
  switch (run.problem.arithmetic()) {
    case Arithmetic::kFloat64:
      return Gemm<double, double>(run).Compute();
    case Arithmetic::kInteger:
      return Gemm<float, std::int64_t>(run).Compute();
    default:
      return Gemm<float, float>(run).Compute();
  }
}

}  // namespace

constexpr Algorithm kGemm = {"gemm", Refusal, WorkspaceBytes, Compute};

}  // namespace convserve
