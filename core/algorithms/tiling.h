// How the outputs of a phase (core/phases.h) are cut into tiles and tasks for blocked matrix
// products.
#ifndef CONVSERVE_CORE_ALGORITHMS_TILING_H_
#define CONVSERVE_CORE_ALGORITHMS_TILING_H_

#include <algorithm>
#include <array>
#include <cstdint>

#include "core/algorithms/patches.h"
#include "core/algorithms/window.h"

namespace convserve {

// Sums that are kept at a time where they cannot be formed in the output: those of a task, or,
// where one depth block is all, of some of its filters.
inline constexpr std::int64_t kSumsSize = std::int64_t{64} * 1024;

struct TileLimits {
  std::int64_t buffer = 0;     // elements of the buffer for a window or packed patches
  bool sums_in_output = true;  // else kSumsSize sums at most are kept at a time
  bool windows = true;         // else patches are packed
  // Multiply-adds in the time that one element is copied, about: a task has enough for its copies.
  std::int64_t products_per_copy = 16;
};

struct Tiling {
  // With a window a tile is a rectangle of one z, and its columns run along padded rows; without, a
  // run of columns of the patch matrix.
  bool window = false;
  Window::Extent extent;
  std::int64_t columns = 0;  // of a tile, at most
  std::int64_t x_tiles = 1, y_tiles = 1, z_tiles = 1;
  std::int64_t rows = 0;  // filters of a task
  std::int64_t row_blocks = 1;

  std::int64_t tiles() const { return x_tiles * y_tiles * z_tiles; }
};

// Takes whichever of window and patches copies and computes less. Follows from the problem alone.
Tiling MakeTiling(const Patches& patches, const TileLimits& limits);

// The columns of one tile.
struct TileColumns {
  const std::array<Phase, 3>& phases;
  std::int64_t count;
  std::int64_t pitch;  // columns from one row to the next
  std::int64_t width;  // of a row, the rest computes nothing
  Window::Origin origin;
  std::int64_t first = 0;  // without a window: the tile's first column of the patch matrix

  // Calls body(column, length, q) for every run of outputs: `length` of them side by side from
  // phase index q on.
  template <typename Body>
  void ForEachRun(Body body) const {
    std::int64_t row = first / pitch;
    std::int64_t x = first % pitch;
    for (std::int64_t column = 0; column < count; ++row, x = 0) {
      const std::int64_t length = std::min(width - x, count - column);
      const std::int64_t y = origin.y + row;
      body(column, length,
           std::array{origin.z + y / phases[1].outputs, y % phases[1].outputs, origin.x + x});
      column += pitch - x;
    }
  }
};

}  // namespace convserve

#endif  // CONVSERVE_CORE_ALGORITHMS_TILING_H_
