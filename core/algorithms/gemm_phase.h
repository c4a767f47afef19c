// One phase (core/phases.h) of a convolution as blocked matrix products: how it is cut into tiles,
// and how the blocks of both operands come to the kernel (core/kernels/gemm_kernel.h). Internal to
// core/algorithms/gemm.cc.
#ifndef CONVSERVE_CORE_ALGORITHMS_GEMM_PHASE_H_
#define CONVSERVE_CORE_ALGORITHMS_GEMM_PHASE_H_

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/algorithms/algorithm.h"
#include "core/algorithms/border.h"
#include "core/algorithms/patches.h"
#include "core/algorithms/tiling.h"
#include "core/algorithms/totals.h"
#include "core/algorithms/window.h"
#include "core/geometry.h"
#include "core/kernels/gemm_kernel.h"
#include "core/scratch.h"

namespace convserve {

// Elements of the buffer that holds a window or packed patches: what fits the L2 cache beside
// weights and outputs.
template <typename T>
inline constexpr std::int64_t kGemmBuffer = std::int64_t{256} * 1024 / std::int64_t{sizeof(T)};
// Filters whose weights of one depth block stay in the L2 cache beside the buffer.
inline constexpr std::int64_t kRowsInCache = 96;

// Scratch of one thread, kept between runs.
template <typename T>
struct GemmScratch {
  T* buffer = reinterpret_cast<T*>(ThreadScratch());
  T* rest = buffer + 2 * kGemmBuffer<T>;  // 3.5 MiB
  std::array<std::int32_t, kDepthBlock> offsets;
  bool moderate = false;  // what the buffer holds, of pairs (core/kernels/pair_kernel.h)

  static GemmScratch& OfThread() {
    thread_local GemmScratch scratch;
    return scratch;
  }
};

// One tile of one task.
struct GemmBlock {
  const GemmTask& task;
  Window::Extent extent;  // with a window
  const TileColumns& columns;
  std::int64_t first_depth = 0;
  std::int64_t depth = 0;
};

// Where the taps of channel 0 begin in a window.
inline std::vector<std::int32_t> WindowTaps(const Window& window, std::int64_t taps) {
  std::vector<std::int32_t> offsets;
  for (std::int64_t tap = 0; tap < taps; ++tap) {
    offsets.push_back(static_cast<std::int32_t>(window.Offset(0, tap)));
  }
  return offsets;
}

// The offsets of rows [first, first + depth) of the patch matrix in a window of channels from that
// of the first row on.
inline void SetWindowOffsets(const Window& window, const std::vector<std::int32_t>& tap_offsets,
                             std::int64_t first, std::int64_t depth, std::int32_t* offsets) {
  const auto taps = static_cast<std::int64_t>(tap_offsets.size());
  std::int64_t channel = 0;
  std::int64_t tap = first % taps;
  for (std::int64_t k = 0; k < depth; ++k) {
    offsets[k] = static_cast<std::int32_t>(channel * window.channel_size()) +
                 tap_offsets[static_cast<std::size_t>(tap)];
    if (++tap == taps) {
      tap = 0;
      ++channel;
    }
  }
}

inline void SetPatchOffsets(std::int64_t pitch, std::int64_t depth, std::int32_t* offsets) {
  for (std::int64_t k = 0; k < depth; ++k) offsets[k] = static_cast<std::int32_t>(k * pitch);
}

// T is the kernel's type.
template <typename T>
class GemmPhase {
 public:
  using Element = T;

  GemmPhase(const Run& run, const Geometry& g, const std::array<Phase, 3>& axes,
            bool sums_in_output)
      : g_(g),
        patches_{g, run.problem.padding_mode(), axes, run.operands.input, run.operands.weight},
        tiling_(
            MakeTiling(patches_, {.buffer = kGemmBuffer<T>, .sums_in_output = sums_in_output})) {
    if (tiling_.window) {
      window_.emplace(patches_, tiling_.extent);
      tap_offsets_ = WindowTaps(*window_, patches_.taps());
    }
    weights_in_place_ = run.problem.output_type() == DataTypeOf<T> &&
                        WeightsInOrder(run.problem, patches_, DataTypeOf<T>);
    if (!weights_in_place_) tap_weights_ = TapOffsets(patches_);
  }

  static GemmKernel<T> Kernel(const Problem& /*problem*/) { return GetGemmKernel<T>(); }

  const Patches& patches() const { return patches_; }
  const Tiling& tiling() const { return tiling_; }
  const std::optional<Window>& window() const { return window_; }
  std::int64_t depth() const { return patches_.depth(); }
  bool weights_in_place() const { return weights_in_place_; }
  // Whether all weights that were packed are finite.
  bool finite() const { return finite_; }

  // Elements of the packed weights, for all groups, and where they go.
  std::int64_t packed_size() const {
    return weights_in_place_ ? 0 : g_.groups * g_.filters * depth();
  }
  void SetPacked(T* packed) { packed_ = packed; }
  struct SharedWeights {};  // nothing
  void Pack(const WeightPart& part, const SharedWeights&) {
    if (weights_in_place_) return;
    T* out = packed_ + part.group * g_.filters * depth();
    if (!PackWeights(patches_, tap_weights_, kDepthBlock, part, out)) finite_ = false;
  }

  // Fills the buffer, and the offsets of the depth block's rows in it.
  void Copy(const GemmBlock& block, GemmScratch<T>& scratch) const {
    const GemmTask& task = block.task;
    if (!window_) {
      const std::int64_t pitch = OddLines(block.columns.count);
      PackPatches(patches_, task.batch, task.group,
                  {block.columns.first, block.columns.count, block.first_depth, block.depth}, pitch,
                  scratch.buffer);
      SetPatchOffsets(pitch, block.depth, scratch.offsets.data());
      return;
    }
    const std::int64_t taps = patches_.taps();
    const std::int64_t first = block.first_depth / taps;
    const std::int64_t last = (block.first_depth + block.depth - 1) / taps;
    const WindowCopy copies = window_->Copies(block.columns.origin, block.extent);
    VisitDataType(patches_.input.data_type, [&](auto zero) {
      using In = decltype(zero);
      if constexpr (kTakes<T, In>) {
        const std::int64_t count = last - first + 1;
        copies.CopyChannels(patches_.input.template As<In>() + task.batch * g_.input.batch +
                                task.group * g_.input.group + first * g_.input.channel,
                            count, true, scratch.buffer, window_->channel_size(), count);
      }
    });
    SetWindowOffsets(*window_, tap_offsets_, block.first_depth, block.depth,
                     scratch.offsets.data());
  }

  // Points the tile to the weights of its rows, which begin at row `row` of the task.
  void SetWeights(const GemmBlock& block, std::int64_t row, GemmTile<T>& tile,
                  const GemmScratch<T>& scratch) const {
    const GemmTask& task = block.task;
    row += task.first_row;
    if (!weights_in_place_) {
      tile.a =
          packed_ + g_.filters * (task.group * depth() + block.first_depth) + row * block.depth;
      tile.a_stride = block.depth;
      return;
    }
    tile.a = patches_.weight.template As<T>() + task.group * g_.weight.group +
             row * g_.weight.filter + block.first_depth;
    tile.a_stride = g_.weight.filter;
    // Rows so many bytes apart, or a multiple, compete for the same places in the L1 cache.
    constexpr std::int64_t kPage = 4096;
    if (tile.a_stride * std::int64_t{sizeof(T)} % kPage == 0) {
      constexpr std::int64_t kPitch = OddLines(kDepthBlock);
      for (std::int64_t r = 0; r < tile.rows; ++r) {
        std::copy_n(tile.a + r * tile.a_stride, block.depth, scratch.rest + r * kPitch);
      }
      tile.a = scratch.rest;
      tile.a_stride = kPitch;
    }
  }

 private:
  const Geometry& g_;
  const Patches patches_;
  const Tiling tiling_;
  std::optional<Window> window_;
  std::vector<std::int32_t> tap_offsets_;  // with a window: of channel 0
  bool weights_in_place_ = false;
  // Otherwise: where the taps stand in the tensor, and where weights are packed.
  std::vector<std::int64_t> tap_weights_;
  T* packed_ = nullptr;
  std::atomic<bool> finite_ = true;
};

}  // namespace convserve

#endif  // CONVSERVE_CORE_ALGORITHMS_GEMM_PHASE_H_
