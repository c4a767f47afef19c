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
// 8-bit integers are multiplied four at a time and added up in 32 bits
// (core/algorithms/narrow_phase.h), where a depth block always fits; in 64 where the total might
// not. bfloat16 numbers are multiplied two at a time.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
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
#include "core/algorithms/gemm_phase.h"
#include "core/algorithms/narrow_phase.h"
#include "core/algorithms/patches.h"
#include "core/algorithms/tasks.h"
#include "core/algorithms/tiling.h"
#include "core/algorithms/totals.h"
#include "core/algorithms/window.h"
#include "core/divide.h"
#include "core/geometry.h"
#include "core/kernels/gemm_kernel.h"
#include "core/phases.h"

namespace convserve {
namespace {

// Products between two looks at whether to stop: about a millisecond.
constexpr std::int64_t kProductsAtOnce = std::int64_t{1} << 25;
// Phases whose weights are packed together.
constexpr std::size_t kPhasesAtOnce = 64;
// Filters or channels whose weights one task packs; fewer where these are so many that putting them
// in order takes more memory than caches have.
constexpr std::int64_t kPackedAtOnce = 16;
constexpr std::int64_t kWeightsAtOnce = std::int64_t{1} << 20;

// Part is GemmPhase<T> or NarrowPhase, Sum the type of totals.
template <class Part, typename Sum>
class Gemm {
 public:
  using T = typename Part::Element;  // the kernel's type

  explicit Gemm(const Run& run)
      : run_(run),
        g_(Geometry::Joined(run.problem)),
        packed_(reinterpret_cast<T*>(run.workspace.data())),
        totals_(run, g_, Part::Kernel(run.problem)) {}

  absl::Status Compute() {
    const Operation operation = run_.problem.operation();
    const auto uncovered = [&](const Axis& axis) { return HasUncoveredOutputs(operation, axis); };
    if (std::any_of(g_.axes.begin(), g_.axes.end(), uncovered)) totals_.FillWithBias();
    std::deque<PhaseRun> phases;
    const auto add = [&](const std::array<Phase, 3>& axes) {
      phases.emplace_back(run_, g_, axes, totals_.in_output());
      if (phases.size() == kPhasesAtOnce) RunPhases(phases);
      return !stopped();
    };
    bool apart = false;
    if constexpr (kNarrow) {
      // As many at a time as have room for their weights, which each packs for itself.
      std::int64_t room = 0;
      for (const std::array<Phase, 3>& axes : NarrowOutputsApart(run_.problem, g_)) {
        apart = true;
        const std::int64_t size = Part::PackedSize(g_, axes);
        if (size > room) {
          RunPhases(phases);
          room = std::ssize(run_.workspace) / std::int64_t{sizeof(T)};
        }
        room -= size;
        add(axes);
      }
    }
    if (!apart) ForEachPhase(run_.problem, g_, add);
    RunPhases(phases);
    return StatusAfter(run_.stop);
  }

 private:
  static constexpr bool kQuads = std::is_same_v<Part, NarrowPhase<ByteQuad>>;
  static constexpr bool kNarrow = kQuads || std::is_same_v<Part, NarrowPhase<BFloat16Pair>>;

  // One phase, ready to be cut into tasks.
  struct PhaseRun {
    PhaseRun(const Run& run, const Geometry& g, const std::array<Phase, 3>& axes, bool in_output)
        : part(run, g, axes, in_output) {}

    Part part;
    std::vector<Sum> bias;  // of quads, corrected
  };

  bool stopped() const { return run_.stop.stop_requested(); }

  std::int64_t Tasks(const PhaseRun& phase) const {
    const Tiling& tiling = phase.part.tiling();
    return g_.batch * g_.groups * tiling.tiles() * tiling.row_blocks;
  }

  // Computes all phases and takes them off the list.
  void RunPhases(std::deque<PhaseRun>& phases) {
    PackAllWeights(phases);
    // One of each phase in turn: phases share the cache lines of outputs.
    std::int64_t most = 0;
    for (const PhaseRun& phase : phases) most = std::max(most, Tasks(phase));
    const auto count = static_cast<std::int64_t>(phases.size());
    ForEachTask(most * count, run_.stop, [&](std::int64_t task) {
      const PhaseRun& phase = phases[static_cast<std::size_t>(task % count)];
      if (task / count < Tasks(phase)) RunTask(phase, task / count);
    });
    if constexpr (!kQuads) {
      for (const PhaseRun& phase : phases) {
        if (stopped() || run_.problem.padding_mode() != PaddingMode::kZeros) break;
        // A weight that is not finite makes NaN of every output at which its tap is padded (0 *
        // Inf). A tap that is padded anywhere along an axis is so at the first or the last output:
        // where weights were not looked at, those two corners tell.
        const Part& part = phase.part;
        const bool good = part.weights_in_place() ? totals_.CornersAreNumbers(part.patches().phases)
                                                  : part.finite();
        if (!good) RepairBorder(run_, part.patches(), totals_.BiasToAdd(0, 0));
      }
    }
    phases.clear();
  }

  // All phases at a time: they share the cache lines of a weight tensor.
  void PackAllWeights(std::deque<PhaseRun>& phases) {
    std::int64_t packed = 0;
    for (PhaseRun& phase : phases) {
      phase.part.SetPacked(packed_ + packed);
      packed += phase.part.packed_size();
    }
    // Parts of the tensor's outer dimension; narrow numbers are packed with those of all channels.
    const bool by_filters = kNarrow || g_.weight.filter > g_.weight.channel;
    const std::int64_t size = by_filters ? g_.filters : g_.channels;
    const std::int64_t weights_of_one = by_filters ? g_.depth() : g_.filters * g_.taps();
    const std::int64_t at_once = std::clamp<std::int64_t>(
        kWeightsAtOnce / std::max<std::int64_t>(weights_of_one, 1), 1, kPackedAtOnce);
    const std::int64_t blocks = CeilDivide(size, at_once);
    ForEachTask(packed > 0 ? g_.groups * blocks : 0, run_.stop, [&](std::int64_t item) {
      const std::int64_t first = item % blocks * at_once;
      const std::int64_t count = std::min(at_once, size - first);
      WeightPart weights{item / blocks, 0, g_.filters, 0, g_.channels};
      (by_filters ? weights.first_filter : weights.first_channel) = first;
      (by_filters ? weights.filters : weights.channels) = count;
      typename Part::SharedWeights shared;
      for (PhaseRun& phase : phases) {
        if (!stopped()) phase.part.Pack(weights, shared);
      }
    });
    if constexpr (kQuads) {
      for (PhaseRun& phase : phases) {
        phase.bias = totals_.bias();
        for (std::size_t i = 0; i < phase.bias.size(); ++i) {
          phase.bias[i] += static_cast<Sum>(phase.part.corrections()[i]);
        }
      }
    }
  }

  void RunTask(const PhaseRun& phase, std::int64_t task) const {
    const Tiling& tiling = phase.part.tiling();
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

    const auto& phases = phase.part.patches().phases;
    if (const std::optional<Window>& window = phase.part.window()) {
      const Window::Origin origin{z, y * tiling.extent.rows, x * tiling.extent.width};
      const Window::Extent extent{std::min(tiling.extent.rows, phases[1].outputs - origin.y),
                                  std::min(tiling.extent.width, phases[2].outputs - origin.x)};
      if (extent.rows <= 0 || extent.width <= 0) return;
      RunTile(phase, t, extent,
              {phases, window->Columns(extent.rows, extent.width), window->pitch(), extent.width,
               origin});
    } else {
      const std::int64_t first = x * tiling.columns;
      RunTile(phase, t, {},
              {phases,
               std::min(tiling.columns, phase.part.patches().columns() - first),
               phases[2].outputs,
               phases[2].outputs,
               {},
               first});
    }
  }

  void RunTile(const PhaseRun& phase, const GemmTask& task, Window::Extent extent,
               const TileColumns& columns) const {
    GemmScratch<T>& scratch = GemmScratch<T>::OfThread();
    const std::int64_t depth = phase.part.depth();
    const Sum* bias = kQuads ? phase.bias.data() + task.group * g_.filters + task.first_row
                             : totals_.BiasToAdd(task.group, task.first_row);
    // With one depth block, totals need not be kept for the next.
    const bool at_once = depth <= kDepthBlock;
    GemmBlock block{task, extent, columns};
    const std::span<const GemmSegment> segments = totals_.Segments(columns);
    do {
      block.depth = std::min(kDepthBlock, depth - block.first_depth);
      phase.part.Copy(block, scratch);
      std::int64_t rows = std::clamp(kProductsAtOnce / (block.depth * columns.count + 1),
                                     kRowsInCache / 8, kRowsInCache);
      if (at_once) rows = totals_.RowsKept(rows, columns);
      for (std::int64_t i = 0; i < task.rows; i += rows) {
        if (stopped()) return;
        GemmTile<T> tile;
        tile.depth = block.depth;
        tile.rows = std::min(rows, task.rows - i);
        phase.part.SetWeights(block, i, tile, scratch);
        tile.b = scratch.buffer;
        tile.offsets = scratch.offsets.data();
        tile.segments = segments;
        tile.accumulate = block.first_depth > 0;
        const bool last = block.first_depth + block.depth == depth;
        const GemmTask part{task.batch, task.group, task.first_row + i, tile.rows};
        const Sum* added = bias == nullptr ? nullptr : bias + i;
        const std::int64_t kept = at_once ? 0 : i;
        totals_.Add(tile, part, kept, columns, last, added);
        if (last) totals_.Store(part, kept, columns, added);
      }
      block.first_depth += block.depth;
    } while (block.first_depth < depth);
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
  if (problem.arithmetic() == Arithmetic::kInteger &&
      Geometry(problem).depth() > kMaxExactProducts) {
    return "more products than 64-bit sums hold exactly";
  }
  return "";
}

// The packed weights: each belongs to one phase. Those of quads and pairs are smaller, but weights
// that are put in order for them, twice at most and by all threads at once, are memory, too.
std::int64_t WorkspaceBytes(const Problem& problem) {
  const std::int64_t elements = problem.weight_bytes() / SizeOf(problem.weight_type());
  std::int64_t size = problem.arithmetic() == Arithmetic::kFloat64 ? 8 : 4;
  if (ArePairs(problem)) size = 3 * std::int64_t{sizeof(BFloat16)};
  return elements <= std::numeric_limits<std::int64_t>::max() / size
             ? elements * size
             : std::numeric_limits<std::int64_t>::max();
}

// Whether 32 bits hold every sum of 8-bit products, as quads add them up, with its bias.
bool SumsFit(const Run& run) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  const std::int64_t sums = Geometry(run.problem).depth() * kMostOfQuadProduct;
  const std::vector<std::int64_t> bias = LoadBias<std::int64_t>(run);
  return std::all_of(bias.begin(), bias.end(),
                     [&](std::int64_t b) { return sums + std::abs(b) <= kMost; });
}

absl::Status Compute(const Run& run) {
  switch (run.problem.arithmetic()) {
    case Arithmetic::kFloat64:
      return Gemm<GemmPhase<double>, double>(run).Compute();
    case Arithmetic::kInteger:
      return SumsFit(run) ? Gemm<NarrowPhase<ByteQuad>, std::int32_t>(run).Compute()
                          : Gemm<NarrowPhase<ByteQuad>, std::int64_t>(run).Compute();
    default:
      return ArePairs(run.problem) ? Gemm<NarrowPhase<BFloat16Pair>, float>(run).Compute()
                                   : Gemm<GemmPhase<float>, float>(run).Compute();
  }
}

}  // namespace

constexpr Algorithm kGemm = {"gemm", Refusal, WorkspaceBytes, Compute};

}  // namespace convserve
