// How kWinograd cuts a 3x3 convolution, and what that costs.
//
// Outputs whose coordinates are equal modulo the dilation meet inputs of which the same is true:
// they are a grid of their own, on which the kernel has no dilation. A block of tiles is a
// rectangle of one grid, or several whole grids where these are small.
//
// A product needs transformed tiles of the input and transformed weights. The smaller of the two is
// transformed beforehand, and a task does the other for itself:
//
// - Many tiles: all weights beforehand. A task is a rectangle of tiles under all filters, or under
//   some where there are few such rectangles.
// - Many filters: the tiles of an image or a few beforehand. A task is a block of filters over all
//   of these tiles.
//
// Either way a task goes through the channels block by block and adds to sums that stay in the
// cache.
#ifndef CONVSERVE_CORE_ALGORITHMS_WINOGRAD_LAYOUT_H_
#define CONVSERVE_CORE_ALGORITHMS_WINOGRAD_LAYOUT_H_

#include <algorithm>
#include <cstdint>

#include "core/algorithms/window.h"
#include "core/divide.h"
#include "core/geometry.h"
#include "core/kernels/running_sum.h"
#include "core/kernels/winograd_kernel.h"

namespace convserve {

// Of one element of tiles, what a task keeps at most: of transformed weights, and of transformed
// tiles and sums together.
inline constexpr std::int64_t kWinogradPanels = 4608;
inline constexpr std::int64_t kWinogradKept = std::int64_t{25} * 1024;

// Follows from one image of the problem alone: the same in every batch and on every instruction
// set.
class WinogradLayout {
 public:
  // Of tiles of 2 outputs along y and `width` along x.
  WinogradLayout(const Geometry& g, std::int64_t width);

  std::int64_t width() const { return width_; }
  // Elements of a tile, once transformed.
  std::int64_t elements() const { return WinogradElements(width_); }
  // Kernel planes of a channel, which are summed like more channels.
  std::int64_t planes() const { return planes_; }
  // Whether tiles are transformed beforehand, of so many images at once at most.
  bool tiles_beforehand() const { return images_ > 0; }
  std::int64_t images() const { return images_; }

  // Of one grid in a block, at most; and the grids and all tiles of a block.
  const WinogradTiles& tiles() const { return tiles_; }
  std::int64_t block_grids() const { return block_grids_; }
  std::int64_t block_tiles() const { return block_grids_ * tiles_.count(); }
  // Blocks of an image.
  std::int64_t tile_blocks() const {
    return x_blocks() * y_blocks() * grid_blocks() * output_planes_;
  }
  // A block: tiles (0, 0) to `tiles` of every one of its grids, grid after grid.
  struct Block {
    WinogradTiles tiles;
    std::int64_t first_grid, grids;
    Window::Origin origin;  // in outputs of a grid

    std::int64_t count() const { return grids * tiles.count(); }
  };
  Block BlockAt(std::int64_t index) const;
  // The outputs that the tiles of the block's grid number `index` make: where they begin, and how
  // many there are, perhaps none.
  struct Outputs {
    Window::Origin origin;
    Window::Extent extent;
  };
  Outputs OutputsAt(const Block& block, std::int64_t index) const;

  // Products of a running sum: at most a third of them all in wide tiles, whose errors are larger.
  std::int64_t running_sum() const {
    const std::int64_t depth = channels_ * planes_;
    return width_ == 2 ? kRunningSum : std::min(kRunningSum, CeilDivide(depth, 3));
  }

  // Of a block of channels.
  std::int64_t channels() const { return block_channels_; }
  std::int64_t depth_blocks() const { return CeilDivide(channels_, block_channels_); }
  // Of a block of filters, and the blocks whose sums are kept together.
  std::int64_t filters() const { return block_filters_; }
  std::int64_t filter_blocks() const { return CeilDivide(filters_, block_filters_); }
  std::int64_t chunk() const { return chunk_; }

  // Elements of a row of sums, which has one for every tile of a block.
  std::int64_t sums_pitch() const { return RoundUp(block_tiles(), kVector); }
  // From one element to the next: of the sums of a block of tiles and a chunk of
  // filters, of a block of tiles and channels (whose strips have a row to spare), of a block of
  // filters and channels.
  std::int64_t sums_stride() const { return OddLines(chunk_ * block_filters_ * sums_pitch()); }
  std::int64_t tiles_stride() const { return OddLines(padded_tiles() * (block_depth() + 1)); }
  std::int64_t panels_stride() const {
    return OddLines(block_filters_ * block_depth() + kWinogradSlack);
  }

  // Cycles for one filter, channel and plane in an image: as many as products of the widest vectors
  // take the time.
  double cost() const { return cost_; }

 private:
  static constexpr std::int64_t kVector = 16;

  std::int64_t grids() const { return y_grids_ * x_grids_; }
  std::int64_t x_blocks() const { return CeilDivide(tile_columns_, tiles_.columns); }
  std::int64_t y_blocks() const { return CeilDivide(tile_rows_, tiles_.rows); }
  std::int64_t grid_blocks() const { return CeilDivide(grids(), block_grids_); }
  std::int64_t block_depth() const { return block_channels_ * planes_; }
  std::int64_t padded_tiles() const;
  // Takes this rectangle of tiles, of so many grids, and at most so many products at once, if
  // nothing else costs less.
  void Consider(const WinogradTiles& tiles, std::int64_t grids, std::int64_t depth);
  double Cost() const;
  double CostOf(const WinogradTiles& tiles, std::int64_t grids) const;

  std::int64_t width_;
  std::int64_t filters_, channels_, planes_;
  std::int64_t output_planes_, output_rows_, output_columns_;
  std::int64_t y_grids_, x_grids_;
  std::int64_t tile_rows_, tile_columns_;  // of the largest grid
  WinogradTiles tiles_;
  std::int64_t block_grids_ = 1;
  std::int64_t images_ = 0;
  std::int64_t block_channels_ = 1;
  std::int64_t block_filters_ = 1;
  std::int64_t chunk_ = 1;
  double cost_ = 0;
};

}  // namespace convserve

#endif  // CONVSERVE_CORE_ALGORITHMS_WINOGRAD_LAYOUT_H_
