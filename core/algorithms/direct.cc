// Convolution with few filters, for both operations: each output is the sum over its taps, read
// from a window of the input (core/algorithms/window.h) that stays in the cache.
//
// With one or two filters to a group a matrix product would read every input once for each of its
// taps. Here the kernel (core/kernels/direct_kernel.h) keeps several rows of outputs in registers
// and reads a row of the window once for all of them.
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "core/algorithms/algorithm.h"
#include "core/algorithms/border.h"
#include "core/algorithms/patches.h"
#include "core/algorithms/tasks.h"
#include "core/algorithms/tiling.h"
#include "core/algorithms/totals.h"
#include "core/algorithms/window.h"
#include "core/geometry.h"
#include "core/kernels/direct_kernel.h"
#include "core/phases.h"
#include "core/scratch.h"
#include "fmt/format.h"

namespace convserve {
namespace {

// More make a matrix product that is faster.
constexpr std::int64_t kMaxFilters = 2;
// Elements of a window, in the L2 cache, and those that a block of output rows meets, in the L1.
constexpr std::int64_t kWindowSize = 24 * 1024;
constexpr std::int64_t kBlockWindowSize = 6 * 1024;
// Outputs of a row that a window must have room for.
constexpr std::int64_t kMinWidth = 32;
// Multiply-adds of a task, at least, where there are enough for several.
constexpr std::int64_t kTaskProducts = 256 * 1024;

// The tile of outputs whose windows have room: rows as wide as possible, then as many as possible.
Window::Extent TileExtent(const Patches& patches) {
  const auto fits = [&](std::int64_t rows, std::int64_t width, std::int64_t size) {
    return Window(patches, {rows, width}).channel_size() * patches.geometry.channels <= size;
  };
  const std::int64_t block_rows = std::min<std::int64_t>(4, patches.phases[1].outputs);
  Window::Extent extent{1, patches.phases[2].outputs};
  while (extent.width > kMinWidth && !fits(block_rows, extent.width, kBlockWindowSize)) {
    extent.width = RoundUp(CeilDivide(extent.width, 2), kMinWidth);
  }
  std::int64_t rows = 1;
  for (std::int64_t too_many = std::min(patches.phases[1].outputs, kWindowSize) + 1;
       too_many - rows > 1;) {
    const std::int64_t middle = rows + (too_many - rows) / 2;
    (fits(middle, extent.width, kWindowSize) ? rows : too_many) = middle;
  }
  extent.rows = CeilDivide(patches.phases[1].outputs, CeilDivide(patches.phases[1].outputs, rows));
  return extent;
}

DirectKernel<float> Kernel(float /*type*/) { return DirectKernels().for_float; }
DirectKernel<double> Kernel(double /*type*/) { return DirectKernels().for_double; }

// T is the type of the sums and of the output.
template <typename T>
class Direct {
 public:
  explicit Direct(const Run& run)
      : run_(run), g_(Joined(run.problem)), kernel_(Kernel(T{})), totals_(run, g_) {}

  absl::Status Compute() {
    bool covered = true;
    std::deque<PhaseRun> phases;
    ForEachPhase(run_.problem, g_, [&](const std::array<Phase, 3>& axes) {
      Patches patches{g_, run_.problem.padding_mode(), axes, run_.operands.input,
                      run_.operands.weight};
      if (patches.taps() > 0) {
        phases.emplace_back(patches, run_.problem);
      } else {
        covered = false;
      }
      return true;
    });
    const Operation operation = run_.problem.operation();
    const auto uncovered = [&](const Axis& axis) { return HasUncoveredOutputs(operation, axis); };
    if (!covered || std::any_of(g_.axes.begin(), g_.axes.end(), uncovered)) totals_.FillWithBias();
    for (PhaseRun& phase : phases) Compute(phase);
    return stopped() ? absl::CancelledError("a stop was requested") : absl::OkStatus();
  }

 private:
  struct PhaseRun {
    PhaseRun(const Patches& p, const Problem& problem)
        : patches(p), extent(TileExtent(patches)), window(patches, extent) {
      const auto& axes = patches.phases;
      const auto offset = [&](std::int64_t channel, std::int64_t tap) {
        return static_cast<std::int32_t>(window.Offset(channel, tap));
      };
      for (std::int64_t c = 0; c < patches.geometry.channels; ++c) {
        for (std::int64_t z = 0; z < axes[0].taps; ++z) {
          planes.push_back(offset(c, z * axes[1].taps * axes[2].taps));
        }
      }
      for (std::int64_t y = 0; y < axes[1].taps; ++y) {
        tap_rows.push_back(offset(0, y * axes[2].taps) - offset(0, 0));
      }
      for (std::int64_t x = 0; x < axes[2].taps; ++x) {
        tap_columns.push_back(offset(0, x) - offset(0, 0));
      }
      weights_in_place = WeightsInOrder(problem, patches, DataTypeOf<T>);
      if (!weights_in_place) tap_weights = TapOffsets(patches);
    }

    Patches patches;
    Window::Extent extent;
    Window window;
    std::vector<std::int32_t> planes, tap_rows, tap_columns;
    bool weights_in_place = false;
    std::vector<std::int64_t> tap_weights;  // otherwise: where the taps stand in the tensor
    std::atomic<bool> finite = true;        // all weights are
  };

  static Geometry Joined(const Problem& problem) {
    Geometry geometry(problem);
    geometry.JoinPointwiseAxes();
    return geometry;
  }

  bool stopped() const { return run_.stop.stop_requested(); }

  // Tasks are tiles of outputs for some groups.
  void Compute(PhaseRun& phase) const {
    const auto& axes = phase.patches.phases;
    const std::int64_t x_tiles = CeilDivide(axes[2].outputs, phase.extent.width);
    const std::int64_t y_tiles = CeilDivide(axes[1].outputs, phase.extent.rows);
    const std::int64_t tiles = x_tiles * y_tiles * axes[0].outputs;
    const std::int64_t products =
        phase.extent.rows * phase.extent.width * phase.patches.depth() * g_.filters;
    const std::int64_t at_once = std::min(g_.groups, CeilDivide(kTaskProducts, products));
    const std::int64_t blocks = CeilDivide(g_.groups, at_once);
    ForEachTask(g_.batch * blocks * tiles, run_.stop, [&](std::int64_t task) {
      const std::int64_t tile = task % tiles;
      const Window::Origin origin{tile / x_tiles / y_tiles,
                                  tile / x_tiles % y_tiles * phase.extent.rows,
                                  tile % x_tiles * phase.extent.width};
      const std::int64_t first = task / tiles % blocks * at_once;
      ComputeTile(phase, origin, task / tiles / blocks,
                  {first, std::min(at_once, g_.groups - first)});
    });
    if (!phase.finite && !stopped() && run_.problem.padding_mode() == PaddingMode::kZeros) {
      BorderRepair<T, T>(run_, g_, phase.patches, totals_.bias()).Compute();
    }
  }

  struct Groups {
    std::int64_t first, count;
  };

  void ComputeTile(PhaseRun& phase, const Window::Origin& origin, std::int64_t batch,
                   Groups groups) const {
    const auto& axes = phase.patches.phases;
    const Window::Extent extent{std::min(phase.extent.rows, axes[1].outputs - origin.y),
                                std::min(phase.extent.width, axes[2].outputs - origin.x)};
    if (extent.rows <= 0 || extent.width <= 0) return;
    const WindowCopy copies = phase.window.Copies(origin, extent);
    T* const window = reinterpret_cast<T*>(ThreadScratch());
    T* const packed = window + kWindowSize + kDirectSlack;
    const std::int64_t depth = phase.patches.depth();

    DirectTile<T> tile;
    tile.window = window;
    tile.pitch = phase.window.pitch();
    tile.planes = phase.planes;
    tile.tap_rows = phase.tap_rows;
    tile.tap_columns = phase.tap_columns;
    tile.c_pitch = axes[1].output_step * g_.output.spatial[1];
    tile.c_step = axes[2].output_step * g_.output.spatial[2];
    tile.rows = extent.rows;
    tile.columns = extent.width;
    T* const output = reinterpret_cast<T*>(run_.output.data()) + batch * g_.output.batch +
                      OutputOffset(g_, axes, {origin.z, origin.y, origin.x});
    for (std::int64_t c = 0; c < g_.channels; ++c) {
      copies.FillPadding(window + c * phase.window.channel_size());
    }
    for (std::int64_t group = groups.first; group < groups.first + groups.count; ++group) {
      if (stopped()) return;
      CopyChannels(phase, copies, batch, group, window);
      const T* weights = packed;
      std::int64_t filter_stride = depth;
      if (phase.weights_in_place) {
        weights = phase.patches.weight.template As<T>() + group * g_.weight.group;
        filter_stride = g_.weight.filter;
      } else {
        PackWeights(phase.patches, phase.tap_weights, kDepthBlock, group, 0, g_.channels, packed);
      }
      for (std::int64_t m = 0; m < g_.filters; ++m) {
        tile.weights = weights + m * filter_stride;
        if (!AllFinite(tile.weights, depth)) phase.finite = false;
        tile.bias = totals_.bias()[static_cast<std::size_t>(group * g_.filters + m)];
        tile.c = output + group * g_.output.group + m * g_.output.channel;
        kernel_(tile);
      }
    }
  }

  void CopyChannels(const PhaseRun& phase, const WindowCopy& copies, std::int64_t batch,
                    std::int64_t group, T* window) const {
    VisitDataType(phase.patches.input.data_type, [&](auto zero) {
      using In = decltype(zero);
      if constexpr (kTakes<T, In>) {
        const In* input =
            phase.patches.input.template As<In>() + batch * g_.input.batch + group * g_.input.group;
        for (std::int64_t c = 0; c < g_.channels; ++c) {
          copies.CopyChannel(input + c * g_.input.channel,
                             window + c * phase.window.channel_size());
        }
      }
    });
  }

  const Run& run_;
  const Geometry g_;
  const DirectKernel<T> kernel_;
  const Totals<T, T, T> totals_;
};

std::string Refusal(const Problem& problem) {
  const Geometry g(problem);
  const DataType sums =
      problem.arithmetic() == Arithmetic::kFloat64 ? DataType::kFloat64 : DataType::kFloat32;
  if (problem.arithmetic() == Arithmetic::kInteger || problem.output_type() != sums) {
    return "sums of another type than the output";
  }
  if (g.filters > kMaxFilters) {
    return fmt::format("{} filters a group, at most {}", g.filters, kMaxFilters);
  }
  // No phase needs a larger window than the first one without its taps trimmed.
  Patches patches{g, PaddingMode::kReplicate, {}, {}, {}};
  std::int64_t depth = g.channels;
  for (std::size_t i = 0; i < 3; ++i) {
    Phase& phase = patches.phases[i];
    phase = PhaseAt(problem.operation(), g.axes[i], PaddingMode::kReplicate, 0);
    if (depth > kDepthBlock || g.axes[i].kernel > kDepthBlock / depth) {
      return fmt::format("more than {} products an output", kDepthBlock);
    }
    depth *= g.axes[i].kernel;
    if (phase.taps * std::abs(phase.tap_step) / phase.input_step > kWindowSize) {
      return "taps too far apart";
    }
  }
  if (Window(patches, {1, kMinWidth}).channel_size() * g.channels > kWindowSize) {
    return "taps too far apart";
  }
  return "";
}

std::int64_t WorkspaceBytes(const Problem& /*problem*/) { return 0; }

absl::Status Compute(const Run& run) {
  return run.problem.output_type() == DataType::kFloat64 ? Direct<double>(run).Compute()
                                                         : Direct<float>(run).Compute();
}

}  // namespace

constexpr Algorithm kDirect = {"direct", Refusal, WorkspaceBytes, Compute};

}  // namespace convserve
