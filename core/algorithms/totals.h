// Where the products of a blocked convolution are added up, and how totals become outputs.
//
// Totals are formed in the output itself when it has their type; else in a buffer of the thread,
// from where they are rounded to the output once, when the task is done.
#ifndef CONVSERVE_CORE_ALGORITHMS_TOTALS_H_
#define CONVSERVE_CORE_ALGORITHMS_TOTALS_H_

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "core/algorithms/algorithm.h"
#include "core/algorithms/border.h"
#include "core/algorithms/tiling.h"
#include "core/convert.h"
#include "core/geometry.h"
#include "core/kernels/gemm_kernel.h"
#include "tbb/parallel_for.h"

namespace convserve {

// Filters [first_row, first_row + rows) of one group and batch element.
struct GemmTask {
  std::int64_t batch, group, first_row, rows;
};

// Columns of a tile from `first` on, which stands at `span`.
struct Piece {
  const TileColumns& columns;
  const Span& span;
  std::int64_t first, count;
};

// T is the kernel's type, Sum the type of totals, Out the output's.
template <typename T, typename Sum, typename Out>
class Totals {
 public:
  static constexpr bool kInOutput = std::is_same_v<T, Sum> && std::is_same_v<Sum, Out>;

  Totals(const Run& run, const Geometry& g)
      : run_(run),
        g_(g),
        kernel_(GetGemmKernel<T>()),
        output_(reinterpret_cast<Out*>(run.output.data())),
        bias_(LoadBias<Sum>(run)) {}

  const std::vector<Sum>& bias() const { return bias_; }

  // Runs the kernel on `tile`, whose rows begin at row `row` of the task and whose columns are
  // those of the piece, and adds the product to its totals. `last` says that nothing will be added
  // after it.
  void Add(GemmTile<T>& tile, const GemmTask& task, std::int64_t row, const Piece& piece,
           bool last) const {
    if constexpr (kInOutput) {
      if (last) tile.bias = bias_.data() + task.group * g_.filters + task.first_row + row;
      AddToOutput(tile, piece, OutputOf(task) + row * g_.output.channel);
    } else {
      const std::int64_t stride = piece.columns.count;
      AddToSums(tile, Scratch::OfThread().sums.data() + row * stride + piece.first, stride);
    }
  }

  // The totals of a task are complete: rounds them, with the bias, to where their outputs stand.
  void Store(const GemmTask& task, const TileColumns& columns) const {
    if constexpr (!kInOutput) {
      const Sum* bias = bias_.data() + task.group * g_.filters + task.first_row;
      const Sum* sums = Scratch::OfThread().sums.data();
      const std::int64_t step = Step(columns);
      ForEachSpan(columns, 0, columns.count,
                  [&](std::int64_t j, std::int64_t length, std::int64_t offset) {
                    Out* to = OutputOf(task) + offset;
                    for (std::int64_t i = 0; i < task.rows; ++i, to += g_.output.channel) {
                      const Sum* from = sums + i * columns.count + j;
                      for (std::int64_t x = 0; x < length; ++x)
                        to[x * step] = RoundTo<Out>(from[x] + bias[i]);
                    }
                  });
    }
  }

  // For outputs that no input reaches.
  void FillWithBias() const {
    const std::int64_t channels = g_.groups * g_.filters;
    tbb::parallel_for(std::int64_t{0}, g_.batch * channels, [&](std::int64_t item) {
      if (run_.stop.stop_requested()) return;
      const std::int64_t channel = item % channels;
      Out* out = output_ + item / channels * g_.output.batch + channel * g_.output.channel;
      const auto value = RoundTo<Out>(bias_[static_cast<std::size_t>(channel)]);
      for (std::int64_t z = 0; z < g_.axes[0].output; ++z) {
        for (std::int64_t y = 0; y < g_.axes[1].output; ++y) {
          Out* row = out + z * g_.output.spatial[0] + y * g_.output.spatial[1];
          for (std::int64_t x = 0; x < g_.axes[2].output; ++x) {
            row[x * g_.output.spatial[2]] = value;
          }
        }
      }
    });
  }

  // Whether the first and the last output of the phases are NaN nowhere.
  bool CornersAreNumbers(const std::array<Phase, 3>& phases) const {
    const std::int64_t corners[] = {
        OutputOffset(g_, phases, {0, 0, 0}),
        OutputOffset(g_, phases,
                     {phases[0].outputs - 1, phases[1].outputs - 1, phases[2].outputs - 1})};
    for (std::int64_t n = 0; n < g_.batch; ++n) {
      for (std::int64_t m = 0; m < g_.groups * g_.filters; ++m) {
        const Out* out = output_ + n * g_.output.batch + m * g_.output.channel;
        for (const std::int64_t corner : corners) {
          if (std::isnan(Widen<double>(out[corner]))) return false;
        }
      }
    }
    return true;
  }

 private:
  // Kept between runs.
  struct Scratch {
    std::vector<Sum> sums = std::vector<Sum>(kInOutput ? 0 : kSumsSize);
    std::array<T, kMaxGemmRows * kMaxGemmColumns> tile;

    static Scratch& OfThread() {
      thread_local Scratch scratch;
      return scratch;
    }
  };

  Out* OutputOf(const GemmTask& task) const {
    return output_ + task.batch * g_.output.batch + task.group * g_.output.group +
           task.first_row * g_.output.channel;
  }

  // Elements between outputs that are neighbours in a phase.
  std::int64_t Step(const TileColumns& columns) const {
    return columns.phases[2].output_step * g_.output.spatial[2];
  }

  // Calls body(column - first, length, output offset) for every run of outputs in columns [first,
  // first + count).
  template <typename Body>
  void ForEachSpan(const TileColumns& columns, std::int64_t first, std::int64_t count,
                   Body body) const {
    for (std::int64_t j = 0; j < count;) {
      const Span span = columns.At(first + j);
      j += span.skip;
      const std::int64_t length = std::min(span.length, count - j);
      if (length <= 0) continue;
      body(j, length, OutputOffset(g_, columns.phases, span.q));
      j += length;
    }
  }

  // At once when the columns lie side by side in the output, else span by span.
  void AddToOutput(GemmTile<T>& tile, const Piece& piece, Out* out) const {
    const TileColumns& columns = piece.columns;
    const std::int64_t step = Step(columns);
    if (piece.span.length >= tile.columns && step == 1) {
      tile.c = out + OutputOffset(g_, columns.phases, piece.span.q);
      tile.c_stride = g_.output.channel;
      kernel_.run(tile);
      return;
    }
    const bool accumulate = tile.accumulate;
    const T* bias = tile.bias;
    tile.bias = nullptr;
    const T* product = RunAside(tile);
    ForEachSpan(columns, piece.first, tile.columns,
                [&](std::int64_t j, std::int64_t length, std::int64_t offset) {
                  Out* to = out + offset;
                  for (std::int64_t i = 0; i < tile.rows; ++i, to += g_.output.channel) {
                    const T* from = product + i * kMaxGemmColumns + j;
                    for (std::int64_t x = 0; x < length; ++x) {
                      const T sum = accumulate ? to[x * step] + from[x] : from[x];
                      to[x * step] = bias != nullptr ? sum + bias[i] : sum;
                    }
                  }
                });
  }

  void AddToSums(GemmTile<T>& tile, Sum* sums, std::int64_t stride) const {
    if constexpr (std::is_same_v<T, Sum>) {
      tile.c = sums;
      tile.c_stride = stride;
      kernel_.run(tile);
    } else {
      const bool accumulate = tile.accumulate;
      const T* product = RunAside(tile);
      for (std::int64_t i = 0; i < tile.rows; ++i) {
        for (std::int64_t j = 0; j < tile.columns; ++j) {
          const auto sum = static_cast<Sum>(product[i * kMaxGemmColumns + j]);
          sums[i * stride + j] = accumulate ? sums[i * stride + j] + sum : sum;
        }
      }
    }
  }

  // The product alone, [rows][kMaxGemmColumns].
  const T* RunAside(GemmTile<T>& tile) const {
    tile.accumulate = false;
    tile.c = Scratch::OfThread().tile.data();
    tile.c_stride = kMaxGemmColumns;
    kernel_.run(tile);
    return tile.c;
  }

  const Run& run_;
  const Geometry& g_;
  const GemmKernel<T>& kernel_;
  Out* const output_;
  const std::vector<Sum> bias_;  // zeros when there is none
};

}  // namespace convserve

#endif  // CONVSERVE_CORE_ALGORITHMS_TOTALS_H_
