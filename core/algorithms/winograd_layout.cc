#include "core/algorithms/winograd_layout.h"

#include <algorithm>
#include <limits>

#include "core/kernels/panel_kernel.h"
#include "core/kernels/running_sum.h"

namespace convserve {
namespace {

// Cycles of what is done beside products, measured.
constexpr double kInput = 1;          // to look at an element of the input,
constexpr double kDistantInput = 3;   // or at one of an image that comes from memory
constexpr double kTileRow = 80;       // to copy a row of tiles of one channel and transform it,
constexpr double kTileVector = 120;   // and for each vector of it
constexpr double kOutputVector = 60;  // to make outputs of a vector of tiles
constexpr double kWeight = 10;        // to transform a weight
constexpr double kFetchedWeight = 4;  // to bring a transformed one

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

WinogradLayout::WinogradLayout(const Geometry& g)
    : filters_(g.filters),
      channels_(g.channels),
      planes_(g.axes[0].kernel),
      output_planes_(g.axes[0].output),
      output_rows_(g.axes[1].output),
      output_columns_(g.axes[2].output),
      tile_rows_(CeilDivide(output_rows_, 2)),
      tile_columns_(CeilDivide(output_columns_, 2)) {
  if (tile_rows_ == 0 || tile_columns_ == 0 || output_planes_ == 0) return;
  const std::int64_t depth = channels_ * planes_;
  // Of an image, and some for what is lost at the ends of its rows.
  const double tiles = static_cast<double>(tile_rows_) *
                       static_cast<double>(RoundUp(tile_columns_, 4)) *
                       static_cast<double>(output_planes_);
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
      if (!tiles_beforehand()) Consider(tiles, depth);
      if (tiles_beforehand() || depth > kRunningSum) Consider(tiles, kRunningSum);
    }
  }
  constexpr double kNearImage = 2.0 * 1024 * 1024;  // elements
  double positions = 1;
  for (const Axis& axis : g.axes) positions *= static_cast<double>(axis.input);
  cost_ += (positions * static_cast<double>(channels_) > kNearImage ? kDistantInput : kInput) *
           positions / static_cast<double>(filters_ * planes_);
}

WinogradLayout::Block WinogradLayout::BlockAt(std::int64_t index) const {
  const std::int64_t x = index % x_blocks() * 2 * tiles_.columns;
  const std::int64_t y = index / x_blocks() % y_blocks() * 2 * tiles_.rows;
  const Window::Extent extent{std::min(2 * tiles_.rows, output_rows_ - y),
                              std::min(2 * tiles_.columns, output_columns_ - x)};
  return {{CeilDivide(extent.rows, 2), CeilDivide(extent.width, 2)},
          {index / x_blocks() / y_blocks(), y, x},
          extent};
}

std::int64_t WinogradLayout::padded_tiles() const { return RoundUp(tiles_.count(), kMaxStrip); }

void WinogradLayout::Consider(const WinogradTiles& tiles, std::int64_t depth) {
  WinogradLayout other = *this;
  other.tiles_ = tiles;
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
  const double weight = tiles_beforehand() ? kWeight : 0;
  return weight +
         static_cast<double>(output_planes_) *
             (static_cast<double>(rows * columns) * CostOf(tiles_) +
              static_cast<double>(rows) * CostOf({tiles_.rows, rest.columns}) +
              static_cast<double>(columns) * CostOf({rest.rows, tiles_.columns}) + CostOf(rest));
}

// Of one block of tiles.
double WinogradLayout::CostOf(const WinogradTiles& block) const {
  if (block.count() == 0) return 0;
  const double vectors = Vectors(block.count(), kVector);
  const double input =
      static_cast<double>(block.rows) *
      (kTileRow + kTileVector * static_cast<double>(block.columns) / static_cast<double>(kVector));
  // Tiles of several blocks of channels are transformed anew for every chunk of filters.
  const std::int64_t times =
      tiles_beforehand() || depth_blocks() == 1 ? 1 : CeilDivide(filter_blocks(), chunk_);
  return kWinogradElements * vectors + (tiles_beforehand() ? 0 : kFetchedWeight) +
         static_cast<double>(times) * input / static_cast<double>(filters_) +
         kOutputVector * vectors / static_cast<double>(channels_ * planes_);
}

}  // namespace convserve
