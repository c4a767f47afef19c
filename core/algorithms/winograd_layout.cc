#include "core/algorithms/winograd_layout.h"

#include <algorithm>
#include <limits>

#include "core/kernels/panel_kernel.h"
#include "core/kernels/running_sum.h"

namespace convserve {
namespace {

// Cycles of what is done beside products, measured.
constexpr double kInput = 1;           // to look at an element of the input,
constexpr double kDistantInput = 3;    // or at one of an image that comes from memory
constexpr double kTileRow = 80;        // to copy a row of tiles of one channel and transform it,
constexpr double kTileVector = 120;    // and for each vector of it,
constexpr double kApart = 2;           // times as many where the elements are apart
constexpr double kWide = 1.7;          // times as many to transform wide tiles and their sums
constexpr double kOutputVector = 60;   // to make outputs of a vector of tiles
constexpr double kWeight = 10;         // to transform a weight to 16 elements
constexpr double kFetchedWeight = 4;   // to bring as many,
constexpr double kDistantWeight = 20;  // or those of more weights than the caches hold

// Filters of a block at most.
constexpr std::int64_t kFilters = 96;

// Vectors that columns of a product take; few past a whole one are multiplied apart.
double Vectors(std::int64_t columns, std::int64_t vector) {
  constexpr std::int64_t kFew = 4;
  const std::int64_t whole = columns / vector;
  const std::int64_t rest = columns % vector;
  return static_cast<double>(whole) + (rest > kFew ? 1 : static_cast<double>(rest) / 8);
}

}  // namespace

WinogradLayout::WinogradLayout(const Geometry& g, std::int64_t width)
    : width_(width),
      filters_(g.filters),
      channels_(g.channels),
      planes_(g.axes[0].kernel),
      output_planes_(g.axes[0].output),
      output_rows_(g.axes[1].output),
      output_columns_(g.axes[2].output),
      y_grids_(
          std::clamp<std::int64_t>(g.axes[1].dilation, 1, std::max<std::int64_t>(output_rows_, 1))),
      x_grids_(std::clamp<std::int64_t>(g.axes[2].dilation, 1,
                                        std::max<std::int64_t>(output_columns_, 1))),
      tile_rows_(CeilDivide(CeilDivide(output_rows_, y_grids_), kWinogradHeight)),
      tile_columns_(CeilDivide(CeilDivide(output_columns_, x_grids_), width)) {
  if (tile_rows_ == 0 || tile_columns_ == 0 || output_planes_ == 0) return;
  const std::int64_t depth = channels_ * planes_;
  // Of an image, and some for what is lost at the ends of its rows.
  const double tiles = static_cast<double>(tile_rows_) *
                       static_cast<double>(RoundUp(tile_columns_, 4)) *
                       static_cast<double>(grids()) * static_cast<double>(output_planes_);
  if (tiles < static_cast<double>(filters_)) {
    constexpr double kMostTiles = 512;
    images_ = static_cast<std::int64_t>(
        std::max(std::min(static_cast<double>(filters_), kMostTiles) / tiles, 1.0));
  }
  // Few of the ways to cut rows and columns evenly: one has to be found in a microsecond or two.
  constexpr std::int64_t kCuts = 3;
  cost_ = std::numeric_limits<double>::infinity();
  const std::int64_t cuts = CeilDivide(tile_columns_, kMaxWinogradTiles);
  for (std::int64_t cut = cuts; cut < cuts + kCuts; ++cut) {
    const std::int64_t columns = CeilDivide(tile_columns_, cut);
    const std::int64_t row_cuts = CeilDivide(tile_rows_, kMaxWinogradTiles / columns);
    for (std::int64_t row_cut = row_cuts; row_cut < row_cuts + kCuts; ++row_cut) {
      const WinogradTiles tiles{CeilDivide(tile_rows_, row_cut), columns};
      const std::int64_t most = cut * row_cut == 1 ? kMaxWinogradTiles / tiles.count() : 1;
      const std::int64_t blocks = CeilDivide(grids(), most);
      for (std::int64_t more = 0; more < (most > 1 && grids() > 1 ? kCuts : 1); ++more) {
        const std::int64_t grids_of_block = CeilDivide(grids(), blocks + more);
        if (!tiles_beforehand()) Consider(tiles, grids_of_block, depth);
        if (tiles_beforehand() || depth > kRunningSum) {
          Consider(tiles, grids_of_block, kRunningSum);
        }
      }
    }
  }
  constexpr double kNearImage = 2.0 * 1024 * 1024;  // elements
  double positions = 1;
  for (const Axis& axis : g.axes) positions *= static_cast<double>(axis.input);
  cost_ += (positions * static_cast<double>(channels_) > kNearImage ? kDistantInput : kInput) *
           positions / static_cast<double>(filters_ * planes_);
}

WinogradLayout::Block WinogradLayout::BlockAt(std::int64_t index) const {
  Block block;
  block.origin.x = index % x_blocks() * width_ * tiles_.columns;
  index /= x_blocks();
  block.origin.y = index % y_blocks() * kWinogradHeight * tiles_.rows;
  index /= y_blocks();
  block.first_grid = index % grid_blocks() * block_grids_;
  block.grids = std::min(block_grids_, grids() - block.first_grid);
  block.origin.z = index / grid_blocks();
  // No grid has more outputs than the first one.
  block.tiles = {std::min(tiles_.rows, tile_rows_ - block.origin.y / kWinogradHeight),
                 std::min(tiles_.columns, tile_columns_ - block.origin.x / width_)};
  return block;
}

WinogradLayout::Outputs WinogradLayout::OutputsAt(const Block& block, std::int64_t index) const {
  Outputs outputs = {.origin = block.origin, .extent = {}};
  outputs.origin.beside_y = (block.first_grid + index) / x_grids_;
  outputs.origin.beside_x = (block.first_grid + index) % x_grids_;
  const auto count = [](std::int64_t all, std::int64_t first, std::int64_t step, std::int64_t begin,
                        std::int64_t most) {
    return std::clamp<std::int64_t>(CeilDivide(all - first, step) - begin, 0, most);
  };
  outputs.extent = {count(output_rows_, outputs.origin.beside_y, y_grids_, block.origin.y,
                          kWinogradHeight * block.tiles.rows),
                    count(output_columns_, outputs.origin.beside_x, x_grids_, block.origin.x,
                          width_ * block.tiles.columns)};
  return outputs;
}

std::int64_t WinogradLayout::padded_tiles() const { return RoundUp(block_tiles(), kMaxStrip); }

void WinogradLayout::Consider(const WinogradTiles& tiles, std::int64_t grids, std::int64_t depth) {
  WinogradLayout other = *this;
  other.tiles_ = tiles;
  other.block_grids_ = grids;
  other.block_channels_ = std::clamp<std::int64_t>(depth / planes_, 1, channels_);
  const std::int64_t blocks = tiles_beforehand() ? images_ * other.tile_blocks() : 1;
  const std::int64_t kept = kWinogradKept - (tiles_beforehand() ? 0 : other.tiles_stride());
  constexpr std::int64_t kRounding = 31;  // of OddLines, at most
  std::int64_t most = (kept / blocks - kRounding) / other.sums_pitch();
  if (tiles_beforehand()) most = std::min(most, kWinogradPanels / other.block_depth());
  if (most < std::min<std::int64_t>(filters_, 16)) return;
  other.block_filters_ = CeilDivide(filters_, CeilDivide(filters_, std::min(most, kFilters)));
  if (!tiles_beforehand()) {
    other.chunk_ = std::min(most / other.block_filters_, other.filter_blocks());
  }
  other.cost_ = other.Cost();
  if (other.cost_ < cost_) *this = other;
}

double WinogradLayout::Cost() const {
  const std::int64_t rows = tile_rows_ / tiles_.rows;  // whole blocks
  const std::int64_t columns = tile_columns_ / tiles_.columns;
  const WinogradTiles rest = {tile_rows_ % tiles_.rows, tile_columns_ % tiles_.columns};
  const auto cost_of_grids = [&](std::int64_t grids) {
    return static_cast<double>(rows * columns) * CostOf(tiles_, grids) +
           static_cast<double>(rows) * CostOf({tiles_.rows, rest.columns}, grids) +
           static_cast<double>(columns) * CostOf({rest.rows, tiles_.columns}, grids) +
           CostOf(rest, grids);
  };
  const std::int64_t blocks = grids() / block_grids_;  // whole ones
  const double all = static_cast<double>(blocks) * cost_of_grids(block_grids_) +
                     cost_of_grids(grids() % block_grids_);
  return (tiles_beforehand() ? kWeight * static_cast<double>(elements()) / 16 : 0) +
         static_cast<double>(output_planes_) * all;
}

// Of one block of tiles.
double WinogradLayout::CostOf(const WinogradTiles& tiles, std::int64_t grids) const {
  if (tiles.count() * grids == 0) return 0;
  const double vectors = Vectors(tiles.count() * grids, kVector);
  const double wide = width_ == 2 ? 1 : kWide;
  const double input =
      static_cast<double>(tiles.rows * grids) * (x_grids_ > 1 ? kApart : 1) * wide *
      (kTileRow + kTileVector * static_cast<double>(tiles.columns) / static_cast<double>(kVector));
  // Tiles of several blocks of channels are transformed anew for every chunk of filters.
  const std::int64_t times =
      tiles_beforehand() || depth_blocks() == 1 ? 1 : CeilDivide(filter_blocks(), chunk_);
  constexpr double kNearWeights = 4.0 * 1024 * 1024;  // elements
  const double weights = static_cast<double>(elements() * planes_) *
                         static_cast<double>(channels_) * static_cast<double>(filters_);
  const double fetched = (weights > kNearWeights ? kDistantWeight : kFetchedWeight) *
                         static_cast<double>(elements()) / 16;
  return static_cast<double>(elements()) * vectors + (tiles_beforehand() ? 0 : fetched) +
         static_cast<double>(times) * input / static_cast<double>(filters_) +
         wide * kOutputVector * vectors / static_cast<double>(channels_ * planes_);
}

}  // namespace convserve
