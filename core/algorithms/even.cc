#include "core/algorithms/even.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>

#include "core/algorithms/tasks.h"
#include "core/divide.h"
#include "core/geometry.h"
#include "core/kernels/even_kernel.h"
#include "core/kernels/packing_kernel.h"
#include "core/scratch.h"

namespace convserve {
namespace {

// Adds up the norms of `count` positions from `x` on, channel after channel.
void AddNorms(const Geometry& g, const float* x, std::int64_t count, float* sums, float* squares) {
  const EvenTable& kernels = EvenKernels();
  if (!g.channels_last()) {
    kernels.norms({x, g.input.channel, g.channels, sums, squares, count});
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
      kernels.norms({copy, kCopied, channels, sums + p, squares + p, positions});
    }
  }
}

// Positions whose norms are added up at once, and those past them that rows are told from.
constexpr std::int64_t kPositions = 2048;
constexpr std::int64_t kSix = 6;
constexpr std::int64_t kPast = kSix - 1;

// Whether rows are level, as far as six neighbours begin at positions [first, first + count) or in
// the padding before. `sums` has those of `count` positions and kPast more, as far as there are.
bool LevelRows(const Axis& row, std::int64_t first, std::int64_t count, const float* sums) {
  constexpr std::int64_t kSlack = 24;  // what vectors read past the last of six
  std::array<float, kMostLevelPadding + kPositions + kPast + kSlack> padded;
  for (std::int64_t i = 0; i < count;) {
    const std::int64_t x = (first + i) % row.input;
    const std::int64_t inside = std::min(row.input - x, count - i);
    const std::int64_t before = x == 0 ? row.padding_begin : 0;
    const std::int64_t known = std::min(row.input - x, inside + kPast);
    std::fill_n(padded.begin(), before, 0.0F);
    std::copy_n(sums + i, known, padded.begin() + before);
    std::fill_n(padded.begin() + before + known, kSlack, 0.0F);
    const std::int64_t sixes =
        std::min(x + inside, row.input + row.padding_end - kSix + 1) - (x - before);
    if (!EvenKernels().level(padded.data(), sixes)) return false;
    i += inside;
  }
  return true;
}

}  // namespace

std::vector<std::int64_t> EvenImages(const Run& run, std::span<const std::int64_t> images,
                                     const Evenness& evenness) {
  const Geometry g(run.problem);
  const std::int64_t positions =
      g.axes[0].input * g.axes[1].input * g.axes[2].input;  // side by side
  const std::int64_t blocks = CeilDivide(positions, kPositions);
  std::vector<std::atomic<bool>> uneven(images.size());
  ForEachTask(static_cast<std::int64_t>(images.size()) * blocks, run.stop, [&](std::int64_t task) {
    std::array<float, kPositions + kPast> sums, squares;
    const std::int64_t first = task % blocks * kPositions;
    const std::int64_t count = std::min(kPositions, positions - first);
    const std::int64_t known =
        evenness.level_rows ? std::min(count + kPast, positions - first) : count;
    std::fill_n(sums.begin(), known, 0.0F);
    std::fill_n(squares.begin(), known, 0.0F);
    const auto index = static_cast<std::size_t>(task / blocks);
    const float* x = run.operands.input.As<float>() + images[index] * g.input.batch;
    AddNorms(g, x + first * g.input.spatial[2], known, sums.data(), squares.data());
    bool good = true;
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
      good &= evenness.Holds(sums[i], squares[i]);
    }
    good = good && (!evenness.level_rows || LevelRows(g.axes[2], first, count, sums.data()));
    if (!good) uneven[index] = true;
  });
  std::vector<std::int64_t> even;
  for (std::size_t i = 0; i < images.size(); ++i) {
    if (!uneven[i]) even.push_back(images[i]);
  }
  return even;
}

}  // namespace convserve
