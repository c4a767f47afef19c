#include "core/algorithms/tiling.h"

#include <algorithm>

#include "core/algorithms/border.h"
#include "core/algorithms/largest_that.h"
#include "core/divide.h"

namespace convserve {
namespace {

// Columns of a tile at most, in general and when its sums are not formed in the output.
constexpr std::int64_t kMaxColumns = std::int64_t{16} * 1024;
constexpr std::int64_t kMaxSumsColumns = 2048;
// Outputs of a cut row at least.
constexpr std::int64_t kLeastWidth = 16;
// Taps that a window keeps a table of.
constexpr std::int64_t kMaxWindowTaps = 4096;
// Filters of a task are a multiple of this, columns of packed patches a multiple of kPatchStep, so
// that few blocks of the kernel are not full.
constexpr std::int64_t kRowStep = 24;
constexpr std::int64_t kPatchStep = 32;
// Tasks wanted, so that many threads find work.
constexpr std::int64_t kWantedTasks = 16;

// Multiply-adds of floats in the time that one element is copied, about; only weighs one way of
// copying against another.
constexpr std::int64_t kProductsPerCopy = 16;

// Filters of a task: enough for its copies, so many elements for one output of one channel, to cost
// little beside its products.
std::int64_t LeastRows(const Patches& patches, const TileLimits& limits, const Tiling& tiling) {
  constexpr std::int64_t kProductsToCopies = 25;
  if (!tiling.window) return kProductsToCopies * limits.products_per_copy * 2 / 3;
  const std::int64_t copies = Window(patches, tiling.extent).channel_size();
  const std::int64_t products = tiling.extent.rows * tiling.extent.width * patches.taps();
  return kProductsToCopies * limits.products_per_copy * copies / products;
}

// Tiles for a window; `window` stays false where patches are the better copy.
Tiling WindowTiling(const Patches& patches, const TileLimits& limits) {
  const auto& phases = patches.phases;
  const std::int64_t taps = patches.taps();
  Tiling tiling;
  if (taps == 0 || taps > kMaxWindowTaps) return tiling;
  // A depth block may begin and end within a channel.
  const std::int64_t channels = std::min(patches.geometry.channels, (kDepthBlock - 2) / taps + 2);
  const std::int64_t budget = limits.buffer / channels;
  const auto size = [&](std::int64_t rows, std::int64_t width) {
    return Window(patches, {rows, width}).channel_size();
  };
  // As wide as fits, with as many rows as there are taps over each other, so that not too many rows
  // are copied for several tiles, or with one; of whole vectors where a row is cut.
  const std::int64_t most = limits.sums_in_output ? kMaxColumns : kMaxSumsColumns;
  const std::int64_t row = std::min(phases[2].outputs, most);
  const auto widest = [&](std::int64_t rows) {
    return LargestThat(0, row, [&](std::int64_t width) { return size(rows, width) <= budget; });
  };
  std::int64_t width = widest(std::min(phases[1].outputs, phases[1].taps));
  if (width < std::min(row, 4 * kLeastWidth)) width = widest(1);
  if (width < std::min(row, kLeastWidth)) return tiling;
  tiling.x_tiles = CeilDivide(phases[2].outputs, width);
  width = std::min(width, RoundUp(CeilDivide(phases[2].outputs, tiling.x_tiles), kLeastWidth));
  std::int64_t rows = LargestThat(1, phases[1].outputs, [&](std::int64_t r) {
    if (r > limits.buffer) return false;
    const Window window(patches, {r, width});
    return window.channel_size() <= budget && window.Columns(r, width) <= most;
  });
  tiling.y_tiles = CeilDivide(phases[1].outputs, rows);
  rows = CeilDivide(phases[1].outputs, tiling.y_tiles);
  tiling.z_tiles = phases[0].outputs;
  tiling.extent = {rows, width};
  const Window window(patches, tiling.extent);
  tiling.columns = window.Columns(rows, width);
  // Per channel of a tile: elements copied, and products for columns between the width and the
  // pitch.
  const std::int64_t outputs = rows * width;
  const std::int64_t waste =
      (tiling.columns - outputs) * patches.geometry.filters * taps / kProductsPerCopy;
  tiling.window = window.channel_size() + waste <= taps * outputs * 5 / 4;
  return tiling;
}

Tiling PatchTiling(const Patches& patches, const TileLimits& limits) {
  const std::int64_t columns = patches.columns();
  const std::int64_t most = limits.buffer / kDepthBlock;
  Tiling tiling;
  tiling.columns =
      std::min(columns, RoundUp(CeilDivide(columns, CeilDivide(columns, most)), kPatchStep));
  tiling.x_tiles = CeilDivide(columns, tiling.columns);
  return tiling;
}

}  // namespace

Tiling MakeTiling(const Patches& patches, const TileLimits& limits) {
  Tiling tiling;
  if (limits.windows) tiling = WindowTiling(patches, limits);
  if (!tiling.window) tiling = PatchTiling(patches, limits);
  const Geometry& g = patches.geometry;
  const std::int64_t tasks = g.batch * g.groups * tiling.tiles();
  std::int64_t rows = CeilDivide(g.filters, CeilDivide(kWantedTasks, tasks));
  rows = std::max({rows, LeastRows(patches, limits, tiling), kRowStep});
  if (!limits.sums_in_output && patches.depth() > kDepthBlock) {
    rows = std::min(rows, kSumsSize / tiling.columns);
  }
  tiling.rows = std::max<std::int64_t>(rows / kRowStep, 1) * kRowStep;
  tiling.row_blocks = CeilDivide(g.filters, tiling.rows);
  return tiling;
}

}  // namespace convserve
