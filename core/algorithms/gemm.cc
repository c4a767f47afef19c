// Convolution as blocked matrix products, for both operations, every layout and every type.
//
// Per phase (core/phases.h), group and batch element: output [filters x columns] = weights *
// patches (core/algorithms/patches.h). Weights are packed once; patches block by block into a
// buffer that stays in the L2 cache, so nothing the size of the whole patch matrix ever exists. The
// depth is cut into blocks of kDepthBlock; each block's sum starts at zero and is then added to the
// total. That fixed order gives the same bits for any number of threads, tile shape or instruction
// set, and loses less to rounding than one running sum.
//
// Integers use the float kernel: kDepthBlock products of 8-bit values stay below 2^24, where float
// is exact; the block sums are added up in 64 bits.
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "absl/status/status.h"
#include "core/algorithms/algorithm.h"
#include "core/algorithms/border.h"
#include "core/algorithms/patches.h"
#include "core/convert.h"
#include "core/geometry.h"
#include "core/kernels/gemm_kernel.h"
#include "core/phases.h"
#include "tbb/parallel_for.h"

namespace convserve {
namespace {

static_assert(kDepthBlock * 255 * 255 < 1 << 24, "integer block sums must be exact in float");

// Bytes of one packed block of patches: half of a usual L2 cache.
constexpr std::int64_t kPatchBytes = 192 * 1024;
// Filters in one task when sums cannot go to the output directly.
constexpr std::int64_t kSumRows = 96;
// Tasks wanted, so that many threads find work.
constexpr std::int64_t kWantedTasks = 16;

constexpr std::int64_t CeilDivide(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// Scratch of one thread, kept between runs: block of patches, sums of one task, one tile.
template <typename T, typename Sum>
struct Scratch {
  static constexpr std::int64_t kMaxColumns = kPatchBytes / (kDepthBlock * std::int64_t{sizeof(T)});

  std::vector<T> patches = std::vector<T>(kPatchBytes / sizeof(T));
  std::vector<Sum> sums = std::vector<Sum>(static_cast<std::size_t>(kSumRows * kMaxColumns));
  std::array<T, kMaxGemmRows * kMaxGemmColumns> tile;

  static Scratch& OfThread() {
    thread_local Scratch scratch;
    return scratch;
  }
};

// T is the kernel's type, Sum the type of totals, Out the output's.
template <typename T, typename Sum, typename Out>
class Gemm {
 public:
  explicit Gemm(const Run& run)
      : run_(run),
        g_(run.problem),
        kernel_(GetGemmKernel<T>()),
        packed_(reinterpret_cast<T*>(run.workspace.data())),
        output_(reinterpret_cast<Out*>(run.output.data())),
        bias_(LoadBias<Sum>(run)),
        panel_rows_(CeilDivide(g_.filters, CeilDivide(g_.filters, kernel_.rows))) {}

  absl::Status Compute() {
    const Operation operation = run_.problem.operation();
    const auto uncovered = [&](const Axis& axis) { return HasUncoveredOutputs(operation, axis); };
    if (std::any_of(g_.axes.begin(), g_.axes.end(), uncovered)) FillWithBias();
    const auto count = [&](std::size_t axis) { return PhaseCount(operation, g_.axes[axis]); };
    for (std::int64_t z = 0; z < count(0); ++z) {
      for (std::int64_t y = 0; y < count(1); ++y) {
        for (std::int64_t x = 0; x < count(2); ++x) {
          if (stopped()) return absl::CancelledError("a stop was requested");
          RunPhase({z, y, x});
        }
      }
    }
    return stopped() ? absl::CancelledError("a stop was requested") : absl::OkStatus();
  }

 private:
  bool stopped() const { return run_.stop.stop_requested(); }

  void RunPhase(const std::array<std::int64_t, 3>& index) {
    const Problem& problem = run_.problem;
    Patches patches{g_, problem.padding_mode(), {}, run_.operands.input, run_.operands.weight};
    for (std::size_t axis = 0; axis < 3; ++axis) {
      patches.phases[axis] =
          PhaseAt(problem.operation(), g_.axes[axis], problem.padding_mode(), index[axis]);
    }
    if (patches.columns() == 0) return;
    const bool finite = PackAllWeights(patches);

    const Split split = SplitWork(patches);
    tbb::parallel_for(std::int64_t{0}, split.tasks(), [&](std::int64_t task) {
      if (!stopped()) RunTask(patches, split, task);
    });
    if constexpr (std::is_floating_point_v<Sum>) {
      if (!finite && problem.padding_mode() == PaddingMode::kZeros) {
        BorderRepair<Sum, Out>(run_, g_, patches, bias_).Compute();
      }
    }
  }

  // Packed weights of a group: for each depth block, panels of panel_rows_ filters, [depth][rows]
  // each.
  bool PackAllWeights(const Patches& patches) {
    const std::int64_t depth = patches.depth();
    const std::int64_t panels = CeilDivide(g_.filters, panel_rows_);
    std::atomic<bool> finite = true;
    tbb::parallel_for(std::int64_t{0}, g_.groups * panels, [&](std::int64_t item) {
      const std::int64_t group = item / panels;
      Block block;
      block.first = item % panels * panel_rows_;
      block.count = std::min(panel_rows_, g_.filters - block.first);
      for (std::int64_t k = 0; k < depth; k += kDepthBlock) {
        block.first_depth = k;
        block.depth = std::min(kDepthBlock, depth - k);
        T* out = packed_ + PackedOffset(depth, group, block);
        if (!PackWeights(patches, group, block, out)) finite = false;
      }
    });
    return finite;
  }

  std::int64_t PackedOffset(std::int64_t depth, std::int64_t group, const Block& block) const {
    return group * g_.filters * depth + block.first_depth * g_.filters + block.first * block.depth;
  }

  // How the output of a phase is cut into tasks: column blocks, and rows where there are too few of
  // those.
  struct Split {
    std::int64_t columns, column_blocks, rows, row_blocks, products;
    std::int64_t tasks() const { return products * column_blocks * row_blocks; }
  };

  Split SplitWork(const Patches& patches) const {
    Split split;
    const std::int64_t columns = patches.columns();
    const std::int64_t most = Scratch<T, Sum>::kMaxColumns / kernel_.columns * kernel_.columns;
    split.columns = CeilDivide(CeilDivide(columns, CeilDivide(columns, most)), kernel_.columns) *
                    kernel_.columns;
    split.column_blocks = CeilDivide(columns, split.columns);
    split.products = g_.batch * g_.groups;
    const std::int64_t tasks = split.products * split.column_blocks;
    std::int64_t rows = CeilDivide(g_.filters, CeilDivide(kWantedTasks, tasks));
    rows = std::max(rows, 8 * panel_rows_);
    if (!WritesDirectly(patches)) rows = std::min(rows, kSumRows);
    split.rows = std::max<std::int64_t>(rows / panel_rows_, 1) * panel_rows_;
    split.row_blocks = CeilDivide(g_.filters, split.rows);
    return split;
  }

  // Sums are formed in the output itself when it has their type and the columns of the phase lie
  // side by side.
  bool WritesDirectly(const Patches& patches) const {
    if (!std::is_same_v<Sum, Out> || !std::is_same_v<T, Sum> || g_.output.spatial[2] != 1) {
      return false;
    }
    for (std::size_t axis = 0; axis < 3; ++axis) {
      if (patches.phases[axis].outputs != g_.axes[axis].output) return false;
    }
    return true;
  }

  void RunTask(const Patches& patches, const Split& split, std::int64_t task) const {
    const std::int64_t row = task % split.row_blocks * split.rows;
    task /= split.row_blocks;
    const std::int64_t column = task % split.column_blocks * split.columns;
    task /= split.column_blocks;
    const std::int64_t group = task % g_.groups;
    const std::int64_t batch = task / g_.groups;

    const std::int64_t rows = std::min(split.rows, g_.filters - row);
    const std::int64_t columns = std::min(split.columns, patches.columns() - column);
    Scratch<T, Sum>& scratch = Scratch<T, Sum>::OfThread();
    Out* out = output_ + batch * g_.output.batch + group * g_.output.group;
    const bool direct = WritesDirectly(patches);
    Sum* sums = scratch.sums.data();
    std::int64_t sums_stride = split.columns;
    if constexpr (std::is_same_v<Sum, Out>) {
      if (direct) {
        sums = out + row * g_.output.channel + column;
        sums_stride = g_.output.channel;
      }
    }
    const Sum* bias = bias_.data() + group * g_.filters + row;

    const std::int64_t depth = patches.depth();
    Block block{column, columns, 0, 0};
    do {
      if (stopped()) return;
      block.depth = std::min(kDepthBlock, depth - block.first_depth);
      const bool last = block.first_depth + block.depth == depth;
      PackPatches(patches, batch, group, block, kernel_.columns, scratch.patches.data());
      for (std::int64_t i = 0; i < rows; i += panel_rows_) {
        Block panel{row + i, std::min(panel_rows_, rows - i), block.first_depth, block.depth};
        GemmTile<T> tile;
        tile.depth = block.depth;
        tile.a = packed_ + PackedOffset(depth, group, panel);
        tile.a_stride = panel.count;
        tile.b_stride = kernel_.columns;
        tile.rows = panel.count;
        for (std::int64_t j = 0; j < columns; j += kernel_.columns) {
          tile.b = scratch.patches.data() + j * block.depth;
          tile.columns = std::min(kernel_.columns, columns - j);
          Accumulate(tile, scratch, block.first_depth > 0, last && direct ? bias + i : nullptr,
                     sums + i * sums_stride + j, sums_stride);
        }
      }
      block.first_depth += block.depth;
    } while (block.first_depth < depth);
    if (!direct) StoreSums(patches, {row, rows, 0, 0}, block, sums, sums_stride, bias, out);
  }

  // sums (+)= tile; the first block of the depth starts them.
  void Accumulate(GemmTile<T>& tile, Scratch<T, Sum>& scratch, bool accumulate, const Sum* bias,
                  Sum* sums, std::int64_t stride) const {
    if constexpr (std::is_same_v<T, Sum>) {
      tile.c = sums;
      tile.c_stride = stride;
      tile.accumulate = accumulate;
      tile.bias = bias;
      kernel_.run(tile);
    } else {
      tile.c = scratch.tile.data();
      tile.c_stride = kernel_.columns;
      kernel_.run(tile);
      for (std::int64_t i = 0; i < tile.rows; ++i) {
        for (std::int64_t j = 0; j < tile.columns; ++j) {
          const auto sum = static_cast<Sum>(tile.c[i * tile.c_stride + j]);
          sums[i * stride + j] = accumulate ? sums[i * stride + j] + sum : sum;
        }
      }
    }
  }

  // Rounds sums of rows x columns of a phase to where their outputs stand.
  void StoreSums(const Patches& patches, const Block& rows, const Block& columns, const Sum* sums,
                 std::int64_t stride, const Sum* bias, Out* out) const {
    const auto& phases = patches.phases;
    const std::int64_t step = phases[2].output_step * g_.output.spatial[2];
    for (std::int64_t done = 0; done < columns.count;) {
      const std::int64_t column = columns.first + done;
      const std::int64_t x = column % phases[2].outputs;
      const std::int64_t y = column / phases[2].outputs % phases[1].outputs;
      const std::int64_t z = column / phases[2].outputs / phases[1].outputs;
      const std::int64_t length = std::min(columns.count - done, phases[2].outputs - x);
      Out* to = out + OutputOffset(g_, phases, {z, y, x});
      for (std::int64_t i = 0; i < rows.count; ++i) {
        Out* row = to + (rows.first + i) * g_.output.channel;
        const Sum* from = sums + i * stride + done;
        for (std::int64_t j = 0; j < length; ++j) row[j * step] = RoundTo<Out>(from[j] + bias[i]);
      }
      done += length;
    }
  }

  void FillWithBias() {
    const std::int64_t channels = g_.groups * g_.filters;
    tbb::parallel_for(std::int64_t{0}, g_.batch * channels, [&](std::int64_t item) {
      const std::int64_t channel = item % channels;
      Out* out = output_ + item / channels * g_.output.batch + channel * g_.output.channel;
      const auto value = RoundTo<Out>(bias_[static_cast<std::size_t>(channel)]);
      for (std::int64_t z = 0; z < g_.axes[0].output; ++z) {
        for (std::int64_t y = 0; y < g_.axes[1].output; ++y) {
          Out* row = out + z * g_.output.spatial[0] + y * g_.output.spatial[1];
          for (std::int64_t x = 0; x < g_.axes[2].output; ++x)
            row[x * g_.output.spatial[2]] = value;
        }
      }
    });
  }

  const Run& run_;
  const Geometry g_;
  const GemmKernel<T>& kernel_;
  T* const packed_;
  Out* const output_;
  const std::vector<Sum> bias_;  // zeros when there is none
  const std::int64_t panel_rows_;
};

// Sums of this many 8-bit products stay exact in the double they pass through on their way to a
// float.
constexpr std::int64_t kMaxExactProducts = (std::int64_t{1} << 53) / (255 * 255);

std::string Refusal(const Problem& problem) {
  const Geometry g(problem);
  std::int64_t depth = g.channels;
  for (const Axis& axis : g.axes) depth *= axis.kernel;
  if (problem.arithmetic() == Arithmetic::kInteger && depth > kMaxExactProducts) {
    return "more products than 64-bit sums hold exactly";
  }
  return "";
}

// The packed weights of one phase.
std::int64_t WorkspaceBytes(const Problem& problem) {
  const Geometry g(problem);
  std::int64_t elements = g.groups * g.filters * g.channels;
  for (const Axis& axis : g.axes) elements *= MaxTaps(problem.operation(), axis);
  const std::int64_t size = problem.arithmetic() == Arithmetic::kFloat64 ? 8 : 4;
  return elements <= std::numeric_limits<std::int64_t>::max() / size
             ? elements * size
             : std::numeric_limits<std::int64_t>::max();
}

template <typename T, typename Sum>
absl::Status ComputeAs(const Run& run) {
  return VisitDataType(run.problem.output_type(),
                       [&](auto zero) { return Gemm<T, Sum, decltype(zero)>(run).Compute(); });
}

absl::Status Compute(const Run& run) {
  switch (run.problem.arithmetic()) {
    case Arithmetic::kFloat64:
      return ComputeAs<double, double>(run);
    case Arithmetic::kInteger:
      return ComputeAs<float, std::int64_t>(run);
    default:
      return ComputeAs<float, float>(run);
  }
}

}  // namespace

constexpr Algorithm kGemm = {"gemm", Refusal, WorkspaceBytes, Compute};

}  // namespace convserve
