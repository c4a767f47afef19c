// Transposed convolution with few filters: every tap of every filter is a row of one matrix product
//
//   products [(filters * taps) x inputs] = weights [(filters * taps) x channels] * input
//
// with the input as it lies, and an output is the sum of the products that meet in it (what is
// known as col2im, but gathered: each output is written once). With few filters a product of each
// phase would read its inputs for too few rows.
//
// A task has the outputs of all phases around some inputs, and makes the products of its border
// again. Sums of kDepthBlock channels start at zero and join the total, totals of taps are added in
// the order of the kernel: the bits are the same for any tile, thread or instruction set.
#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "core/algorithms/algorithm.h"
#include "core/algorithms/border.h"
#include "core/algorithms/panel_layout.h"
#include "core/algorithms/tasks.h"
#include "core/algorithms/totals.h"
#include "core/algorithms/window.h"
#include "core/divide.h"
#include "core/geometry.h"
#include "core/kernels/packing_kernel.h"
#include "core/kernels/panel_kernel.h"
#include "core/scratch.h"
#include "fmt/format.h"

namespace convserve {
namespace {

constexpr std::int64_t kMostFilters = 11;
constexpr std::int64_t kLeastRows = 12;  // of the product
constexpr std::int64_t kMostRows = 224;
constexpr std::int64_t kLeastChannels = 16;
constexpr std::int64_t kWantedTasks = 4;
constexpr std::int64_t kFewInputs = 512;  // of a task, at least where there are so many
// Elements of a task's packed weights and of its products: both stay in the L2 cache.
constexpr std::int64_t kWeights = kMostRows * kDepthBlock;
constexpr std::int64_t kSums = std::int64_t{240} * 1024;
// Elements of the outputs that are put together at a time: of some columns of all phases along x,
// of one filter and, where filters are to lie side by side, of all of them again.
constexpr std::int64_t kGathered = std::int64_t{64} * 1024;
static_assert(kGathered >= (kMostFilters + 1) * kMostOutputStep);
static_assert((kWeights + kPanelSlack + kDepthBlock * kMaxStrip + kSums + kGathered) *
                  std::int64_t{sizeof(float)} <=
              kScratchBytes);

using Index = std::array<std::int64_t, 3>;

// How the outputs are cut: by the numbers that they have within their phases.
struct Tiles {
  explicit Tiles(const Problem& problem, const Geometry& g) {
    for (std::size_t axis = 0; axis < 3; ++axis) {
      for (std::int64_t i = 0; i < PhaseCount(problem.operation(), g.axes[axis]); ++i) {
        const Phase phase = PhaseAt(problem.operation(), g.axes[axis], problem.padding_mode(), i);
        if (phase.outputs > 0 && phase.taps > 0) phases[axis].push_back(phase);
      }
      rows *= g.axes[axis].kernel;
      if (phases[axis].empty()) return;
      all[axis] = Union(phases[axis]);
      outputs[axis] = CeilDivide(g.axes[axis].output, all[axis].output_step);
      extent[axis] = outputs[axis];
    }
    rows *= g.filters;
    covers = true;
    // Halves the longest axis until a tile's products fit.
    while (Inputs() > kSums / rows - 2 * kMaxStrip && Halve()) {
    }
    refused = Inputs() > kSums / rows - 2 * kMaxStrip || !OverlapsLittle();
    // More tiles, for threads, as long as they would not be refused: that, and with it the bits,
    // must be the same in a batch.
    Index larger = extent;
    while (count() * g.batch < kWantedTasks && Inputs() > 2 * kFewInputs && Halve() &&
           OverlapsLittle()) {
      larger = extent;
    }
    extent = larger;
    pitch = OddLines(Inputs() + kMaxStrip);
  }

  // Inputs that the outputs of a tile meet, at most; of an axis no more than are too many.
  std::int64_t Inputs() const {
    std::int64_t inputs = 1;
    for (std::size_t axis = 0; axis < 3; ++axis) {
      inputs *= std::min(extent[axis], kSums) + std::min(all[axis].taps, kSums) - 1;
    }
    return inputs;
  }
  // Whether few of the inputs of a tile are those of others, too.
  bool OverlapsLittle() const { return Inputs() * 2 <= extent[0] * extent[1] * extent[2] * 3; }
  bool Halve() {
    std::int64_t& longest = *std::max_element(extent.begin(), extent.end());
    if (longest == 1) return false;
    longest = CeilDivide(longest, 2);
    return true;
  }
  std::int64_t count() const {
    std::int64_t tiles = 1;
    for (std::size_t axis = 0; axis < 3; ++axis) tiles *= CeilDivide(outputs[axis], extent[axis]);
    return tiles;
  }

  std::array<std::vector<Phase>, 3> phases;
  std::array<Phase, 3> all;
  std::int64_t rows = 1;  // of the product
  Index outputs = {};
  Index extent = {};
  std::int64_t pitch = 0;  // from one row of products to the next
  bool covers = false;     // some phase has taps
  bool refused = false;    // even the largest tiles are too small
};

class Scatter {
 public:
  explicit Scatter(const Run& run)
      : run_(run), g_(run.problem), tiles_(run.problem, g_), totals_(run, g_) {}

  absl::Status Compute() const {
    const Operation operation = run_.problem.operation();
    bool filled = !tiles_.covers;
    for (std::size_t axis = 0; axis < 2; ++axis) {
      filled |= HasUncoveredOutputs(operation, g_.axes[axis]) ||
                std::ssize(tiles_.phases[axis]) < PhaseCount(operation, g_.axes[axis]);
    }
    if (filled) totals_.FillWithBias();
    if (!tiles_.covers) return StatusAfter(run_.stop);
    const std::int64_t tiles = tiles_.count();
    ForEachTask(g_.batch * g_.groups * tiles, run_.stop, [&](std::int64_t task) {
      RunTile({task / tiles / g_.groups, task / tiles % g_.groups, task % tiles});
    });
    return StatusAfter(run_.stop);
  }

 private:
  struct Task {
    std::int64_t image, group, tile;
  };
  // Outputs [first, last) of every phase, and the inputs [in, in + size) that they meet.
  struct Tile {
    Index first, last, in, size;
    std::int64_t columns() const { return size[0] * size[1] * size[2]; }
  };

  Tile TileAt(std::int64_t index) const {
    Tile tile;
    for (std::size_t axis = 3; axis-- > 0;) {
      const std::int64_t count = CeilDivide(tiles_.outputs[axis], tiles_.extent[axis]);
      tile.first[axis] = index % count * tiles_.extent[axis];
      tile.last[axis] = std::min(tile.first[axis] + tiles_.extent[axis], tiles_.outputs[axis]);
      index /= count;
      const Phase& all = tiles_.all[axis];
      tile.in[axis] =
          std::clamp<std::int64_t>(tile.first[axis] + all.first_input, 0, g_.axes[axis].input);
      const std::int64_t end = std::clamp<std::int64_t>(
          tile.last[axis] + all.first_input + all.taps - 1, tile.in[axis], g_.axes[axis].input);
      tile.size[axis] = end - tile.in[axis];
    }
    return tile;
  }

  void RunTile(const Task& task) const {
    const Tile tile = TileAt(task.tile);
    float* const weights = reinterpret_cast<float*>(ThreadScratch());
    float* const strip = weights + kWeights + kPanelSlack;
    float* const products = strip + kDepthBlock * kMaxStrip;
    float* const gathered = products + kSums;
    for (std::int64_t c = 0; c < g_.channels; c += kDepthBlock) {
      if (run_.stop.stop_requested()) return;
      Multiply(task, tile, c, std::min(kDepthBlock, g_.channels - c), weights, strip, products);
    }
    const std::int64_t rows = g_.channels_last() ? g_.filters + 1 : 1;
    const std::int64_t most = kGathered / (rows * tiles_.all[2].output_step);
    for (Tile part = tile; part.first[2] < tile.last[2]; part.first[2] = part.last[2]) {
      part.last[2] = std::min(part.first[2] + most, tile.last[2]);
      for (const Phase& z : tiles_.phases[0]) {
        for (const Phase& y : tiles_.phases[1]) {
          if (run_.stop.stop_requested()) return;
          Gather(task, part, z, y, products, gathered);
        }
      }
    }
  }

  // Rows are cut by a strip into a few pieces, unless they are very short.
  using StripRuns = absl::InlinedVector<StripRun, 4>;

  // Where the columns of a tile's strip stand in a plane; none past the last column.
  StripRuns RunsAt(const Tile& tile, std::int64_t column) const {
    StripRuns runs;
    const std::int64_t columns = std::min(kernels_.strip, tile.columns() - column);
    Box::ForEachPiece(column, columns, tile.size[2], [&](std::int64_t at, std::int64_t length) {
      const std::int64_t row = at / tile.size[2];
      const Index q = {row / tile.size[1], row % tile.size[1], at % tile.size[2]};
      std::int64_t from = 0;
      for (std::size_t axis = 0; axis < 3; ++axis) {
        from += (tile.in[axis] + q[axis]) * g_.input.spatial[axis];
      }
      runs.push_back({from, at - column, length});
    });
    return runs;
  }

  // Adds channels [first, first + count) to the products of a tile.
  void Multiply(const Task& task, const Tile& tile, std::int64_t first, std::int64_t count,
                float* weights, float* strip, float* products) const {
    constexpr PanelTap kTap{.from = 0, .to = 0, .step = 1};
    packing_.weights({.from = run_.operands.weight.As<float>() + task.group * g_.weight.group +
                              first * g_.weight.channel,
                      .rows = tiles_.rows,
                      .row_stride = 1,
                      .channels = count,
                      .channel_stride = g_.weight.channel,
                      .taps = {&kTap, 1},
                      .out = weights,
                      .panel_depth = count});
    std::array<std::int32_t, kDepthBlock> offsets;
    for (std::int64_t c = 0; c < count; ++c) {
      offsets[static_cast<std::size_t>(c)] = static_cast<std::int32_t>(c * g_.input.channel);
    }
    const float* const input = run_.operands.input.As<float>() + task.image * g_.input.batch +
                               task.group * g_.input.group + first * g_.input.channel;
    StripRuns next = RunsAt(tile, 0);
    for (std::int64_t column = 0; column < tile.columns(); column += kernels_.strip) {
      const StripRuns runs = next;
      next = RunsAt(tile, column + kernels_.strip);
      PanelProduct product;
      for (std::size_t i = 0; i < std::min(product.fetch.size(), next.size()); ++i) {
        const float* from = input + next[i].from;
        product.fetch[i] = g_.channels_last()
                               ? PanelFetch{from, next[i].count, g_.input.spatial[2], count}
                               : PanelFetch{from, count, g_.input.channel, next[i].count};
      }
      // A strip that is a part of a row is packed by the first panel that reads it.
      const float* const in_row = input + runs.front().from;
      if (g_.channels_last()) {
        for (const StripRun& run : runs) {
          packing_.transpose({.from = input + run.from,
                              .from_pitch = g_.input.spatial[2],
                              .rows = count,
                              .columns = run.count,
                              .to = strip + run.to,
                              .to_pitch = kernels_.strip});
        }
      } else if (runs.front().count == kernels_.strip) {
        product.packing = {&in_row, offsets.data()};
      } else {
        packing_.patches({.from = input,
                          .offsets = std::span(offsets).first(static_cast<std::size_t>(count)),
                          .runs = runs,
                          .out = strip});
      }
      product.a = weights;
      product.panel_depth = count;
      product.depth = count;
      product.strip_depth = product.depth;
      product.rows = tiles_.rows;
      product.b = strip;
      product.columns = std::min(kernels_.strip, tile.columns() - column);
      product.c = products + column;
      product.c_stride = tiles_.pitch;
      if (first > 0) product.before = product.c;
      product.before_stride = tiles_.pitch;
      kernels_.multiply(product);
    }
  }

  // Rows of outputs of two phases, of all phases along x, in `sums`.
  void Gather(const Task& task, const Tile& tile, const Phase& z, const Phase& y,
              const float* products, float* sums) const {
    const std::int64_t step = tiles_.all[2].output_step;
    const std::int64_t width = tile.last[2] - tile.first[2];
    const std::int64_t first = tile.first[2] * step;
    const std::int64_t outputs = std::min(g_.axes[2].output - first, width * step);
    const std::int64_t whole = outputs / step;
    std::vector<const float*> from;
    for (std::int64_t p = 0; p < step; ++p) from.push_back(sums + p * width);
    // Filters that are to lie side by side are put together from their rows.
    float* const rows = sums + step * width;
    float* const out = reinterpret_cast<float*>(run_.output.data()) + task.image * g_.output.batch +
                       task.group * g_.output.group + first * g_.output.spatial[2];
    for (std::int64_t oz = tile.first[0]; oz < std::min(tile.last[0], z.outputs); ++oz) {
      for (std::int64_t oy = tile.first[1]; oy < std::min(tile.last[1], y.outputs); ++oy) {
        float* const place = out + (z.first_output + oz * z.output_step) * g_.output.spatial[0] +
                             (y.first_output + oy * y.output_step) * g_.output.spatial[1];
        for (std::int64_t m = 0; m < g_.filters; ++m) {
          std::fill_n(sums, step * width, 0.0F);
          for (const Phase& x : tiles_.phases[2]) {
            AddTaps(tile, {&z, &y, &x}, {oz, oy, tile.first[2]}, m, products,
                    sums + x.first_output * width);
          }
          const std::int64_t filter = task.group * g_.filters + m;
          const float bias = totals_.bias()[static_cast<std::size_t>(filter)];
          for (std::int64_t i = 0; i < step * width; ++i) sums[i] += bias;
          float* const to = g_.channels_last() ? rows + m * outputs : place + m * g_.output.channel;
          packing_.interleave({from, whole, to});
          for (std::int64_t p = 0; p < outputs % step; ++p) {
            to[whole * step + p] = from[static_cast<std::size_t>(p)][whole];
          }
        }
        if (!g_.channels_last()) continue;
        packing_.transpose({.from = rows,
                            .from_pitch = outputs,
                            .rows = outputs,
                            .columns = g_.filters,
                            .to = place,
                            .to_pitch = g_.output.spatial[2]});
      }
    }
  }

  // Adds to sums[i] the products of all taps of output q + i.
  void AddTaps(const Tile& tile, const std::array<const Phase*, 3>& phases, const Index& q,
               std::int64_t filter, const float* products, float* sums) const {
    // Where the tap meets the input of the tile, and its element of the kernel.
    const auto at = [&](std::size_t axis, std::int64_t tap) {
      return phases[axis]->first_input + q[axis] + tap * phases[axis]->tap_step - tile.in[axis];
    };
    const auto element = [&](std::size_t axis, std::int64_t tap) {
      return phases[axis]->first_kernel + tap * phases[axis]->kernel_step;
    };
    const std::int64_t width =
        std::min(tile.last[2], phases[2]->outputs) - q[2];  // outputs of the row
    for (std::int64_t tz = 0; tz < phases[0]->taps; ++tz) {
      const std::int64_t z = at(0, tz);
      if (z < 0 || z >= tile.size[0]) continue;
      for (std::int64_t ty = 0; ty < phases[1]->taps; ++ty) {
        const std::int64_t y = at(1, ty);
        if (y < 0 || y >= tile.size[1]) continue;
        for (std::int64_t tx = 0; tx < phases[2]->taps; ++tx) {
          const std::int64_t x = at(2, tx);
          const std::int64_t row =
              ((filter * g_.axes[0].kernel + element(0, tz)) * g_.axes[1].kernel + element(1, ty)) *
                  g_.axes[2].kernel +
              element(2, tx);
          const float* from =
              products + row * tiles_.pitch + (z * tile.size[1] + y) * tile.size[2] + x;
          const std::int64_t last = std::min(width, tile.size[2] - x);
          for (std::int64_t i = std::max<std::int64_t>(-x, 0); i < last; ++i) sums[i] += from[i];
        }
      }
    }
  }

  const Run& run_;
  const Geometry g_;
  const Tiles tiles_;
  const Totals<float, float> totals_;
  const PanelTable& kernels_ = PanelKernels();
  const PackingTable& packing_ = PackingKernels();
};

std::string Refusal(const Problem& problem) {
  const Geometry g(problem);
  if (problem.operation() != Operation::kConvTranspose) return "not transposed";
  if (!IsFloat32(problem)) return "types other than float32";
  if (problem.weight_layout() != WeightLayout::kChannelsFirst || problem.flip_kernel()) {
    return "weights in another order";
  }
  if (g.filters > kMostFilters || g.channels < kLeastChannels) {
    return "many filters or few channels";
  }
  std::int64_t rows = g.filters;
  std::int64_t phases = 1;
  for (const Axis& axis : g.axes) {
    if (axis.kernel > kMostRows / rows) return "too many taps";
    rows *= axis.kernel;
    phases *= PhaseCount(problem.operation(), axis);
  }
  if (rows < kLeastRows || phases == 1) return "too few taps";
  if (g.axes[2].stride > kMostOutputStep) return "outputs too far apart";
  if (g.input.channel > (std::int64_t{1} << 22)) return "planes too large";  // 32-bit offsets
  const Tiles tiles(problem, g);
  if (!tiles.covers) return "no output meets an input";
  if (tiles.refused) return "taps too far apart";
  return "";
}

std::int64_t WorkspaceBytes(const Problem& /*problem*/) { return 0; }

absl::Status Compute(const Run& run) { return Scatter(run).Compute(); }

}  // namespace

constexpr Algorithm kScatter = {"scatter", Refusal, WorkspaceBytes, Compute};

}  // namespace convserve
