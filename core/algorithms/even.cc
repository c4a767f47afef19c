#include "core/algorithms/even.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>

#include "core/algorithms/tasks.h"
#include "core/divide.h"
#include "core/geometry.h"
#include "core/kernels/packing_kernel.h"
#include "core/kernels/winograd_kernel.h"
#include "core/scratch.h"

namespace convserve {
namespace {

// Adds up the norms of `count` positions from `x` on, channel after channel.
void AddNorms(const Geometry& g, const float* x, std::int64_t count, float* sums, float* squares) {
  const WinogradTable& kernels = WinogradKernels();
  if (!g.channels_last()) {
    for (std::int64_t c = 0; c < g.channels; ++c, x += g.input.channel) {
      kernels.norms({x, sums, squares, count});
    }
    return;
  }
  // By way of a copy, some channels of some positions at a time.
  constexpr std::int64_t kChannels = 64;
  constexpr std::int64_t kCopied = 128;
  static_assert(kChannels * kCopied * std::int64_t{sizeof(float)} <= kScratchBytes);
  auto* const copy = reinterpret_cast<float*>(ThreadScratch());
  const std::int64_t step = g.input.spatial[2];
  for (std::int64_t p = 0; p < count; p += kCopied) {
    const std::int64_t positions = std::min(kCopied, count - p);
    for (std::int64_t c = 0; c < g.channels; c += kChannels) {
      const std::int64_t channels = std::min(kChannels, g.channels - c);
      PackingKernels().transpose({x + p * step + c, step, channels, positions, copy, kCopied});
      for (std::int64_t i = 0; i < channels; ++i) {
        kernels.norms({copy + i * kCopied, sums + p, squares + p, positions});
      }
    }
  }
}

}  // namespace

std::vector<std::int64_t> EvenImages(const Run& run) {
  constexpr std::int64_t kPositions = 2048;  // whose norms are added up at once
  const Geometry g(run.problem);
  const std::int64_t positions =
      g.axes[0].input * g.axes[1].input * g.axes[2].input;  // side by side
  const std::int64_t blocks = CeilDivide(positions, kPositions);
  std::vector<std::atomic<bool>> uneven(static_cast<std::size_t>(g.batch));
  ForEachTask(g.batch * blocks, run.stop, [&](std::int64_t task) {
    std::array<float, kPositions> sums, squares;
    const std::int64_t first = task % blocks * kPositions;
    const std::int64_t count = std::min(kPositions, positions - first);
    std::fill_n(sums.begin(), count, 0.0F);
    std::fill_n(squares.begin(), count, 0.0F);
    const float* x = run.operands.input.As<float>() + task / blocks * g.input.batch;
    AddNorms(g, x + first * g.input.spatial[2], count, sums.data(), squares.data());
    bool good = true;
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
      good &= Even(sums[i], squares[i]);
    }
    if (!good) uneven[static_cast<std::size_t>(task / blocks)] = true;
  });
  std::vector<std::int64_t> images;
  for (std::int64_t n = 0; n < g.batch; ++n) {
    if (!uneven[static_cast<std::size_t>(n)]) images.push_back(n);
  }
  return images;
}

}  // namespace convserve
