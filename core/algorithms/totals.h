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
#include <span>
#include <type_traits>
#include <vector>

#include "core/algorithms/algorithm.h"
#include "core/algorithms/border.h"
#include "core/algorithms/copy_row.h"
#include "core/algorithms/tiling.h"
#include "core/convert.h"
#include "core/geometry.h"
#include "core/kernels/convert_kernel.h"
#include "core/kernels/gemm_kernel.h"
#include "core/kernels/packing_kernel.h"
#include "tbb/parallel_for.h"

namespace convserve {

// Filters [first_row, first_row + rows) of one group and batch element.
struct GemmTask {
  std::int64_t batch, group, first_row, rows;
};

// T is the kernel's type, Sum the type of totals.
template <typename T, typename Sum>
class Totals {
 public:
  // Without a kernel there is no Add.
  Totals(const Run& run, const Geometry& g, GemmKernel<T> kernel = nullptr)
      : run_(run), g_(g), kernel_(kernel), bias_(LoadBias<Sum>(run)) {}

  // Whether totals are formed in the output.
  bool in_output() const { return in_output_; }
  // Whether they have the type of the output.
  bool is_output_type() const { return is_output_type_; }

  const std::vector<Sum>& bias() const { return bias_; }
  // That of a group's filters from `row` on, for a kernel to add; null where there is none.
  const Sum* BiasToAdd(std::int64_t group, std::int64_t row) const {
    return run_.problem.has_bias() ? bias_.data() + group * g_.filters + row : nullptr;
  }

  // Where the columns of a tile go; to be handed to Add for every product of the tile.
  std::span<const GemmSegment> Segments(const TileColumns& columns) const {
    if (in_output_) return OutputSegments(columns);
    GemmSegment& all = Scratch::OfThread().all;
    all = {0, columns.count, 0};
    return {&all, 1};
  }

  // Filters, `most` at most, of which sums of the columns can be kept at a time.
  std::int64_t RowsKept(std::int64_t most, const TileColumns& columns) const {
    constexpr std::int64_t kStep = 12;  // few blocks of the kernel are not full
    if (in_output_) return most;
    const std::int64_t rows = kSumsSize / columns.count;
    return std::min(most, rows > kStep ? rows / kStep * kStep : rows);
  }

  // Runs the kernel on `tile`, which has the filters of the task, and adds the product to its
  // totals; sums that are not formed in the output are kept from row `kept` on. `last` says that
  // nothing will be added after it but `bias`, the task's or null.
  void Add(GemmTile<T>& tile, const GemmTask& task, std::int64_t kept, const TileColumns& columns,
           bool last, const Sum* bias) const {
    if constexpr (kKernelAddsBias) {
      if (last) tile.bias = bias;
      if (in_output_) {
        tile.past_caches = last && !tile.accumulate && LeavesCaches(run_.problem);
        tile.c = OutputOf<T>(task);
        tile.c_stride = g_.output.channel;
        tile.c_step = Step(columns);
        kernel_(tile);
        return;
      }
    }
    AddToSums(tile, Scratch::OfThread().Sums() + kept * columns.count, columns.count);
  }

  // The totals of a task are complete: rounds them, with the bias, to where their outputs stand.
  void Store(const GemmTask& task, std::int64_t kept, const TileColumns& columns,
             const Sum* bias) const {
    if (in_output_) return;
    const Sum* sums = Scratch::OfThread().Sums() + kept * columns.count;
    if (kKernelAddsBias) bias = nullptr;
    VisitDataType(run_.problem.output_type(),
                  [&](auto zero) { StoreAs<decltype(zero)>(sums, task, columns, bias); });
  }

  // For outputs that no input reaches.
  void FillWithBias() const {
    VisitDataType(run_.problem.output_type(), [&](auto zero) { FillAs<decltype(zero)>(); });
  }

  // Whether the first and the last output of the phases are NaN nowhere.
  bool CornersAreNumbers(const std::array<Phase, 3>& phases) const {
    const std::int64_t corners[] = {
        OutputOffset(g_, phases, {0, 0, 0}),
        OutputOffset(g_, phases,
                     {phases[0].outputs - 1, phases[1].outputs - 1, phases[2].outputs - 1})};
    for (std::int64_t n = 0; n < g_.batch; ++n) {
      for (std::int64_t m = 0; m < g_.groups * g_.filters; ++m) {
        const std::int64_t first = n * g_.output.batch + m * g_.output.channel;
        for (const std::int64_t corner : corners) {
          if (std::isnan(
                  LoadAsDouble(run_.problem.output_type(), run_.output.data(), first + corner))) {
            return false;
          }
        }
      }
    }
    return true;
  }

 private:
  // Kept between runs.
  struct Scratch {
    std::vector<Sum> sums;
    std::vector<T> product;
    std::vector<GemmSegment> segments;  // in the output
    GemmSegment all;                    // in the sums

    static Scratch& OfThread() {
      thread_local Scratch scratch;
      return scratch;
    }
    Sum* Sums() {
      sums.resize(kSumsSize);
      return sums.data();
    }
    T* Product() {
      product.resize(kSumsSize);
      return product.data();
    }
  };

  template <typename Out>
  Out* OutputOf(const GemmTask& task) const {
    return reinterpret_cast<Out*>(run_.output.data()) + task.batch * g_.output.batch +
           task.group * g_.output.group + task.first_row * g_.output.channel;
  }

  template <typename Out>
  void StoreAs(const Sum* sums, const GemmTask& task, const TileColumns& columns,
               const Sum* bias) const {
    const std::span<const GemmSegment> segments = OutputSegments(columns);
    const std::int64_t step = Step(columns);
    if (step != 1 && g_.output.channel == 1) {
      return StoreTransposed<Out>(sums, task, columns, segments, bias);
    }
    thread_local std::vector<Out> rounded;
    rounded.resize(static_cast<std::size_t>(step == 1 ? 0 : columns.count));
    Out* to = OutputOf<Out>(task);
    for (std::int64_t i = 0; i < task.rows; ++i, to += g_.output.channel, sums += columns.count) {
      const Sum added = bias != nullptr ? bias[i] : Sum{0};
      if (step != 1) RoundRow(sums, added, columns.count, rounded.data());
      for (const auto& [first, count, offset] : segments) {
        if (step == 1) {
          RoundRow(sums + first, added, count, to + offset);
        } else {
          const Out* from = rounded.data() + first;
          for (std::int64_t j = 0; j < count; ++j) to[offset + j * step] = from[j];
        }
      }
    }
  }

  // The same where filters are side by side: square by square, so that whole lines are written.
  template <typename Out>
  void StoreTransposed(const Sum* sums, const GemmTask& task, const TileColumns& columns,
                       std::span<const GemmSegment> segments, const Sum* bias) const {
    constexpr std::int64_t kSide = 64;
    alignas(64) std::array<Sum, kSide * kSide> square;  // [columns][filters]
    alignas(64) std::array<Out, kSide * kSide> rounded;
    const std::int64_t step = Step(columns);
    for (const auto& [first, count, offset] : segments) {
      Out* const to = OutputOf<Out>(task) + offset;
      if constexpr (std::is_same_v<Sum, Out>) {
        if (bias == nullptr) {
          Transpose(sums + first, columns.count, count, task.rows, to, step);
          continue;
        }
      }
      for (std::int64_t i = 0; i < task.rows; i += kSide) {
        const std::int64_t height = std::min(kSide, task.rows - i);
        const std::int64_t most = kSide * kSide / height / kSide * kSide;
        for (std::int64_t j = 0; j < count; j += most) {
          const std::int64_t width = std::min(most, count - j);
          Transpose(sums + i * columns.count + first + j, columns.count, width, height,
                    square.data(), height);
          for (std::int64_t r = 0; bias != nullptr && r < width * height; ++r) {
            square[static_cast<std::size_t>(r)] += bias[i + r % height];
          }
          Out* const at = to + j * step + i;
          const bool whole = step == height;  // the square is all there is of these columns
          RoundRow(square.data(), Sum{0}, width * height, whole ? at : rounded.data());
          for (std::int64_t c = 0; !whole && c < width; ++c) {
            CopySideBySide(rounded.data() + c * height, height, at + c * step);
          }
        }
      }
    }
  }

  // to[i*to_pitch + j] = from[j*from_pitch + i] for i < rows and j < columns.
  static void Transpose(const Sum* from, std::int64_t from_pitch, std::int64_t rows,
                        std::int64_t columns, Sum* to, std::int64_t to_pitch) {
    if constexpr (sizeof(Sum) == 4) {
      PackingKernels().transpose({from, from_pitch, rows, columns, to, to_pitch});
    } else {
      for (std::int64_t i = 0; i < rows; ++i) {
        for (std::int64_t j = 0; j < columns; ++j) {
          to[i * to_pitch + j] = from[j * from_pitch + i];
        }
      }
    }
  }

  template <typename Out>
  void FillAs() const {
    std::vector<Out> values;  // of all channels
    for (const Sum bias : bias_) values.push_back(RoundTo<Out>(bias));
    const auto channels = static_cast<std::int64_t>(values.size());
    const std::int64_t step = g_.output.spatial[2];
    const std::int64_t width = g_.axes[2].output;
    // Rows of a channel, or of positions that have all channels side by side.
    const bool together = step != 1;
    const std::int64_t planes = together ? 1 : channels;
    tbb::parallel_for(std::int64_t{0}, g_.batch * planes * g_.axes[0].output, [&](std::int64_t i) {
      if (run_.stop.stop_requested()) return;
      const std::int64_t z = i % g_.axes[0].output;
      const std::int64_t plane = i / g_.axes[0].output % planes;
      Out* row = reinterpret_cast<Out*>(run_.output.data()) +
                 i / g_.axes[0].output / planes * g_.output.batch + plane * g_.output.channel +
                 z * g_.output.spatial[0];
      for (std::int64_t y = 0; y < g_.axes[1].output; ++y, row += g_.output.spatial[1]) {
        if (!together) {
          std::fill_n(row, width, values[static_cast<std::size_t>(plane)]);
          continue;
        }
        for (std::int64_t x = 0; x < width; ++x) {
          CopySideBySide(values.data(), channels, row + x * step);
        }
      }
    });
  }

  // What has the type of totals adds the bias as well.
  static constexpr bool kKernelAddsBias = std::is_same_v<T, Sum>;

  // Elements between outputs that are neighbours in a phase.
  std::int64_t Step(const TileColumns& columns) const {
    return columns.phases[2].output_step * g_.output.spatial[2];
  }

  // Where the columns of a tile go in the output.
  std::span<const GemmSegment> OutputSegments(const TileColumns& columns) const {
    std::vector<GemmSegment>& segments = Scratch::OfThread().segments;
    segments.clear();
    columns.ForEachRun(
        [&](std::int64_t first, std::int64_t length, const std::array<std::int64_t, 3>& q) {
          segments.push_back({first, length, OutputOffset(g_, columns.phases, q)});
        });
    if (Step(columns) == 1) Join(segments);
    return segments;
  }

  // Runs that meet in the output as they do in the columns are one.
  static void Join(std::vector<GemmSegment>& segments) {
    std::size_t last = 0;
    for (std::size_t i = 1; i < segments.size(); ++i) {
      GemmSegment& before = segments[last];
      const GemmSegment& next = segments[i];
      if (before.first + before.count == next.first &&
          before.offset + before.count == next.offset) {
        before.count += next.count;
      } else {
        segments[++last] = next;
      }
    }
    segments.resize(std::min(segments.size(), last + 1));
  }

  void AddToSums(GemmTile<T>& tile, Sum* sums, std::int64_t stride) const {
    tile.c_stride = stride;
    if constexpr (std::is_same_v<T, Sum>) {
      tile.c = sums;
      kernel_(tile);
    } else {
      const bool accumulate = tile.accumulate;
      tile.accumulate = false;
      tile.c = Scratch::OfThread().Product();
      kernel_(tile);
      const std::int64_t count = tile.rows * stride;
      for (std::int64_t i = 0; i < count; ++i) {
        const auto sum = static_cast<Sum>(tile.c[i]);
        sums[i] = accumulate ? sums[i] + sum : sum;
      }
    }
  }

  const Run& run_;
  const Geometry& g_;
  const GemmKernel<T> kernel_;
  const bool is_output_type_ =
      std::is_same_v<T, Sum> && run_.problem.output_type() == DataTypeOf<T>;
  const bool in_output_ = is_output_type_ && g_.output.spatial[2] == 1;
  const std::vector<Sum> bias_;  // zeros when there is none
};

}  // namespace convserve

#endif  // CONVSERVE_CORE_ALGORITHMS_TOTALS_H_
