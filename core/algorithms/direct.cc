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
#include <type_traits>
#include <vector>

#include "absl/status/status.h"
#include "core/algorithms/algorithm.h"
#include "core/algorithms/border.h"
#include "core/algorithms/direct_output.h"
#include "core/algorithms/direct_window.h"
#include "core/algorithms/patches.h"
#include "core/algorithms/tasks.h"
#include "core/algorithms/totals.h"
#include "core/algorithms/window.h"
#include "core/convert.h"
#include "core/divide.h"
#include "core/geometry.h"
#include "core/kernels/direct_kernel.h"
#include "core/phases.h"
#include "core/scratch.h"

namespace convserve {
namespace {

// Groups whose weights one task packs.
constexpr std::int64_t kGroupsPacked = 64;
// Groups whose channels are copied together, at most.
constexpr std::int64_t kGroupsTogether = 16;
static_assert(2 * kDirectPlace * std::int64_t{sizeof(double)} <= kScratchBytes);

// T and Sum as in DirectOutput.
template <typename T, typename Sum>
class Direct {
 public:
  explicit Direct(const Run& run)
      : run_(run),
        g_(Geometry::Joined(run.problem)),
        output_(run, g_),
        packed_(reinterpret_cast<T*>(run.workspace.data())) {}

  absl::Status Compute() {
    bool covered = true;
    std::deque<PhaseRun> phases;
    ForEachPhase(run_.problem, g_, [&](const std::array<Phase, 3>& axes) {
      const Patches patches = PatchesOf(axes);
      if (patches.taps() > 0) {
        phases.emplace_back(patches);
      } else {
        covered = false;
      }
      return true;
    });
    const Operation operation = run_.problem.operation();
    const auto uncovered = [&](const Axis& axis) { return HasUncoveredOutputs(operation, axis); };
    covered = covered && std::none_of(g_.axes.begin(), g_.axes.end(), uncovered);
    if (!covered) output_.totals().FillWithBias();
    if (!phases.empty()) ComputePhases(phases);
    return StatusAfter(run_.stop);
  }

 private:
  struct PhaseRun {
    explicit PhaseRun(const Patches& p) : patches(p) {}

    Patches patches;
    // In the window: of the planes of the channels that it holds, and of the taps of a plane.
    std::vector<std::int32_t> planes, tap_rows, tap_columns;
    // Of group 0, and from one group and filter to the next.
    const T* weights = nullptr;
    std::int64_t group_stride = 0;
    std::int64_t filter_stride = 0;
    std::atomic<bool> finite = true;  // all weights are
  };

  Patches PatchesOf(const std::array<Phase, 3>& axes) const {
    return {g_, run_.problem.padding_mode(), axes, run_.operands.input, run_.operands.weight};
  }

  bool stopped() const { return run_.stop.stop_requested(); }

  static constexpr bool kFloats = std::is_same_v<T, float> && std::is_same_v<Sum, float>;
  // Whether channels that lie side by side are copied, and outputs put together, some at a time.
  bool together() const {
    return kFloats && IsFloat32(run_.problem) && g_.channels == 1 && g_.filters == 1 &&
           g_.groups > 1 && g_.channels_last();
  }

  static T* ThreadPlace() { return reinterpret_cast<T*>(ThreadScratch()); }

  // Tasks are tiles of outputs, of all phases, for some groups.
  void ComputePhases(std::deque<PhaseRun>& phases) const {
    std::array<Phase, 3> axes;
    std::int64_t taps = 1;
    for (std::size_t axis = 0; axis < 3; ++axis) {
      std::vector<Phase> all;
      all.reserve(phases.size());
      for (const PhaseRun& phase : phases) all.push_back(phase.patches.phases[axis]);
      axes[axis] = Union(all);
    }
    for (const PhaseRun& phase : phases) taps = std::max(taps, phase.patches.taps());
    // As many channels as kDepthBlock products hold are summed from zero before they join the
    // total.
    const DirectWindow shared(PatchesOf(axes),
                              std::clamp<std::int64_t>(kDepthBlock / taps, 1, g_.channels),
                              together() ? std::min(g_.groups, kGroupsTogether) : 1);
    T* packed = packed_;
    for (PhaseRun& phase : phases) {
      SetOffsets(shared, phase);
      PrepareWeights(phase, packed);
    }
    const std::int64_t x_tiles = CeilDivide(axes[2].outputs, shared.extent.width);
    const std::int64_t y_tiles = CeilDivide(axes[1].outputs, shared.extent.rows);
    const std::int64_t tiles = x_tiles * y_tiles * axes[0].outputs;
    const std::int64_t products = shared.extent.rows * shared.extent.width * taps *
                                  static_cast<std::int64_t>(phases.size()) * g_.channels *
                                  g_.filters;
    const std::int64_t at_once =
        RoundUp(std::min(g_.groups, CeilDivide(kDirectTaskProducts, products)), shared.groups);
    const std::int64_t blocks = CeilDivide(g_.groups, at_once);
    ForEachTask(g_.batch * blocks * tiles, run_.stop, [&](std::int64_t task) {
      const auto origin = [&](std::int64_t tile) {
        return Window::Origin{tile / x_tiles / y_tiles,
                              tile / x_tiles % y_tiles * shared.extent.rows,
                              tile % x_tiles * shared.extent.width};
      };
      const std::int64_t tile = task % tiles;
      const std::int64_t first = task / tiles % blocks * at_once;
      ComputeTile(shared, phases, origin(tile), origin(std::min(tile + 1, tiles - 1)),
                  {task / tiles / blocks, first, std::min(first + at_once, g_.groups)});
    });
    if (stopped() || run_.problem.padding_mode() != PaddingMode::kZeros) return;
    if constexpr (std::is_same_v<T, Sum>) {
      for (const PhaseRun& phase : phases) {
        if (phase.finite) continue;
        RepairBorder(run_, phase.patches, output_.totals().bias().data());
      }
    }
  }

  void SetOffsets(const DirectWindow& shared, PhaseRun& phase) const {
    const auto& own = phase.patches.phases;
    const auto& all = shared.patches.phases;
    // The tap of the shared window that is the phase's own.
    const auto tap = [&](std::size_t axis, std::int64_t t) {
      return (own[axis].Input(0, t) - all[axis].first_input) / all[axis].tap_step;
    };
    const auto offset = [&](std::int64_t channel, std::int64_t z, std::int64_t y, std::int64_t x) {
      return static_cast<std::int32_t>(shared.window.Offset(
          channel, (tap(0, z) * all[1].taps + tap(1, y)) * all[2].taps + tap(2, x)));
    };
    for (std::int64_t c = 0; c < shared.channels; ++c) {
      for (std::int64_t z = 0; z < own[0].taps; ++z) phase.planes.push_back(offset(c, z, 0, 0));
    }
    for (std::int64_t y = 0; y < own[1].taps; ++y) {
      phase.tap_rows.push_back(offset(0, 0, y, 0) - offset(0, 0, 0, 0));
    }
    for (std::int64_t x = 0; x < own[2].taps; ++x) {
      phase.tap_columns.push_back(offset(0, 0, 0, x) - offset(0, 0, 0, 0));
    }
  }

  // Packs the weights of a phase to `packed`, and moves that on, unless they lie in order.
  void PrepareWeights(PhaseRun& phase, T*& packed) const {
    const std::int64_t depth = phase.patches.depth();
    const bool in_place = WeightsInOrder(run_.problem, phase.patches, DataTypeOf<T>);
    phase.filter_stride = in_place ? g_.weight.filter : depth;
    phase.group_stride = in_place ? g_.weight.group : g_.filters * depth;
    phase.weights = in_place ? run_.operands.weight.As<T>() : packed;
    std::vector<std::int64_t> taps;
    if (!in_place) taps = TapOffsets(phase.patches);
    ForEachTask(CeilDivide(g_.groups, kGroupsPacked), run_.stop, [&](std::int64_t task) {
      const std::int64_t first = task * kGroupsPacked;
      const std::int64_t last = std::min(first + kGroupsPacked, g_.groups);
      bool finite = true;
      for (std::int64_t group = first; group < last && !in_place; ++group) {
        finite &= PackWeights(phase.patches, taps, depth, {group, 0, g_.filters, 0, g_.channels},
                              packed + group * phase.group_stride);
      }
      if (in_place) {  // side by side
        finite = AllFinite(phase.weights + first * phase.group_stride,
                           (last - first) * phase.group_stride);
      }
      if (!finite) phase.finite = false;
    });
    if (!in_place) packed += g_.groups * phase.group_stride;
  }

  struct Groups {
    std::int64_t batch, first, last;
  };

  void ComputeTile(const DirectWindow& shared, const std::deque<PhaseRun>& phases,
                   const Window::Origin& origin, const Window::Origin& next,
                   const Groups& groups) const {
    const auto& axes = shared.patches.phases;
    const Window::Extent extent{std::min(shared.extent.rows, axes[1].outputs - origin.y),
                                std::min(shared.extent.width, axes[2].outputs - origin.x)};
    if (extent.rows <= 0 || extent.width <= 0) return;
    const WindowCopy copies = shared.window.Copies(origin, extent);
    T* const window = ThreadPlace();
    for (std::int64_t c = 0; c < shared.channels * shared.groups; ++c) {
      copies.FillPadding(window + c * shared.window.channel_size());
    }
    std::vector<PhaseTile> tiles;
    tiles.reserve(phases.size());
    for (const PhaseRun& phase : phases) {
      tiles.push_back(TileOf(phase, window, shared.window.pitch(), origin, extent, groups.batch));
    }
    if constexpr (kFloats) {
      if (together()) return ComputeTogether(shared, copies, phases, tiles, groups, window);
    }
    for (std::int64_t group = groups.first; group < groups.last; ++group) {
      const bool last = group + 1 == groups.last;
      tiles.front().tile.ahead =
          Input(axes, groups.batch, last ? group : group + 1, last ? next : origin);
      tiles.front().tile.ahead_pitch = axes[1].input_step * g_.input.spatial[1];
      for (std::int64_t c = 0; c < g_.channels; c += shared.channels) {
        if (stopped()) return;
        const Channels channels{c, std::min(shared.channels, g_.channels - c)};
        CopyChannels(shared, copies, groups.batch, group, channels, window);
        for (std::size_t i = 0; i < phases.size(); ++i) {
          if (tiles[i].tile.rows > 0) AddChannels(phases[i], tiles[i], group, channels);
        }
      }
    }
  }

  // Where a window of a group's only channel begins in the input, about; null where that is not
  // read row by row.
  const T* Input(const std::array<Phase, 3>& axes, std::int64_t batch, std::int64_t group,
                 const Window::Origin& origin) const {
    if (run_.operands.input.data_type != DataTypeOf<T> || g_.channels > 1 ||
        g_.input.spatial[2] != 1) {
      return nullptr;
    }
    const auto element = [&](std::size_t axis, std::int64_t output) {
      return std::max<std::int64_t>(axes[axis].Input(output, 0), 0) * g_.input.spatial[axis];
    };
    return run_.operands.input.As<T>() + batch * g_.input.batch + group * g_.input.group +
           element(0, origin.z) + element(1, origin.y) + element(2, origin.x);
  }

  // The tile of one phase; without rows where the phase has none.
  struct PhaseTile {
    DirectTile<T> tile;             // without an output
    std::int64_t first_output = 0;  // of the first group and filter
  };

  PhaseTile TileOf(const PhaseRun& phase, const T* window, std::int64_t pitch,
                   const Window::Origin& origin, const Window::Extent& extent,
                   std::int64_t batch) const {
    const auto& axes = phase.patches.phases;
    PhaseTile phase_tile;
    auto& [tile, first_output] = phase_tile;
    tile.columns = std::min(extent.width, axes[2].outputs - origin.x);
    if (origin.z >= axes[0].outputs || tile.columns <= 0) return phase_tile;
    tile.rows = std::min(extent.rows, axes[1].outputs - origin.y);
    tile.tap_rows = phase.tap_rows;
    tile.tap_columns = phase.tap_columns;
    // Rows share what they read in the order of the taps: where taps run backwards, so do rows.
    const bool backwards = phase.tap_rows.back() < phase.tap_rows.front();
    const std::int64_t sign = backwards ? -1 : 1;
    const std::int64_t first_row = backwards ? tile.rows - 1 : 0;
    tile.window = window + first_row * pitch;
    tile.pitch = sign * pitch;
    tile.c_step = axes[2].output_step * g_.output.spatial[2];
    tile.c_pitch = sign * axes[1].output_step * g_.output.spatial[1];
    first_output = batch * g_.output.batch +
                   OutputOffset(g_, axes, {origin.z, origin.y + first_row, origin.x});
    return phase_tile;
  }

  // A tile of groups whose single channels lie side by side.
  void ComputeTogether(const DirectWindow& shared, const WindowCopy& copies,
                       const std::deque<PhaseRun>& phases, const std::vector<PhaseTile>& tiles,
                       const Groups& groups, T* window) const {
    const std::int64_t size = shared.window.channel_size();
    for (std::int64_t first = groups.first; first < groups.last && !stopped();
         first += shared.groups) {
      const std::int64_t count = std::min(shared.groups, groups.last - first);
      copies.CopyChannels(
          run_.operands.input.As<T>() + groups.batch * g_.input.batch + first * g_.input.group,
          count, false, window, size);
      for (std::size_t i = 0; i < phases.size(); ++i) {
        const PhaseRun& phase = phases[i];
        if (tiles[i].tile.rows == 0) continue;
        DirectTile<T> tile = tiles[i].tile;
        tile.planes = phase.planes;
        tile.weights = phase.weights + first * phase.group_stride;
        output_.ComputeTogether(tile, count, size, phase.group_stride,
                                output_.totals().bias().data() + first,
                                tiles[i].first_output + first * g_.output.group);
      }
    }
  }

  struct Channels {
    std::int64_t first, count;
  };

  // What channels of a group, which are in the window, add to its outputs.
  void AddChannels(const PhaseRun& phase, const PhaseTile& phase_tile, std::int64_t group,
                   const Channels& channels) const {
    DirectTile<T> tile = phase_tile.tile;
    tile.planes =
        std::span(phase.planes)
            .first(static_cast<std::size_t>(channels.count * phase.patches.phases[0].taps));
    tile.weights =
        phase.weights + group * phase.group_stride + channels.first * phase.patches.taps();
    tile.accumulate = channels.first > 0;
    const bool last = channels.first + channels.count == g_.channels;
    tile.past_caches = last && !tile.accumulate && LeavesCaches(run_.problem);
    std::int64_t output = phase_tile.first_output + group * g_.output.group;
    for (std::int64_t m = 0; m < g_.filters; ++m) {
      const Sum bias =
          last ? output_.totals().bias()[static_cast<std::size_t>(group * g_.filters + m)] : 0;
      output_.Compute(tile, bias, output);
      tile.weights += phase.filter_stride;
      output += g_.output.channel;
    }
  }

  void CopyChannels(const DirectWindow& shared, const WindowCopy& copies, std::int64_t batch,
                    std::int64_t group, const Channels& channels, T* window) const {
    VisitDataType(run_.operands.input.data_type, [&](auto zero) {
      using In = decltype(zero);
      if constexpr (kTakes<T, In>) {
        const In* input = run_.operands.input.template As<In>() + batch * g_.input.batch +
                          group * g_.input.group + channels.first * g_.input.channel;
        copies.CopyChannels(input, channels.count, false, window, shared.window.channel_size());
      }
    });
  }

  const Run& run_;
  const Geometry g_;
  const DirectOutput<T, Sum> output_;
  T* const packed_;
};

// Weights that do not lie in the order of the sum are packed.
std::int64_t WorkspaceBytes(const Problem& problem) {
  const Geometry g(problem);
  const Patches patches{g, problem.padding_mode(), FirstPhases(problem, g), {}, {}};
  const DataType sums = DirectSums(problem);
  if (WeightsInOrder(problem, patches, sums)) return 0;
  return problem.weight_bytes() / SizeOf(problem.weight_type()) * SizeOf(sums);
}

absl::Status Compute(const Run& run) {
  switch (run.problem.arithmetic()) {
    case Arithmetic::kFloat64:
      return Direct<double, double>(run).Compute();
    case Arithmetic::kInteger:
      return Direct<float, std::int64_t>(run).Compute();
    default:
      return Direct<float, float>(run).Compute();
  }
}

}  // namespace

constexpr Algorithm kDirect = {"direct", DirectRefusal, WorkspaceBytes, Compute};

}  // namespace convserve
