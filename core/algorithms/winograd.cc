// 3x3 convolutions of many channels by Winograd's F(2x2, 3x3) and F(2x4, 3x3)
// (core/kernels/winograd_kernel.h): tiles of 2x2 outputs from tiles of 4x4 inputs, with 16 products
// a channel in place of 36, or of 2x4 outputs from tiles of 4x6 inputs, with 24 in place of 72.
//
//   output tile = A^T [ sum over channels k of (G g_k G^T) * (B^T d_k B) ] A
//
// The sum is one matrix product for each element. Kernels deeper than one plane are summed like
// more channels: k numbers (channel, plane).
//
// Error. Winograd's products mix the taps of a kernel and the elements of a tile, so its rounding
// is in proportion to sums of |x_i| |w_j| over all i and j of a tile, where the bound promised for
// every output, c*eps * sum |x_i| |w_i|, only has the taps that it meets. The two go together when
// no tap of a filter weighs much less than the others and no position of the input, nor a tap, has
// most of its weight in a few channels; wide tiles need that of more channels, and neighbours of a
// row that are level. Weights and every image are looked at before (core/algorithms/even.h): what
// is not for wide tiles is computed by narrow ones, and what is not for these, or has an infinity,
// a NaN or extreme magnitudes, by kGemm. What is computed how depends on the image and the weights
// alone, so that a row of a batch has the same bits as the row on its own.
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "core/algorithms/algorithm.h"
#include "core/algorithms/border.h"
#include "core/algorithms/even.h"
#include "core/algorithms/patches.h"
#include "core/algorithms/tasks.h"
#include "core/algorithms/winograd_layout.h"
#include "core/algorithms/winograd_panels.h"
#include "core/algorithms/winograd_transform.h"
#include "core/divide.h"
#include "core/geometry.h"
#include "core/kernels/panel_kernel.h"
#include "core/kernels/winograd_kernel.h"
#include "core/phases.h"
#include "core/scratch.h"

namespace convserve {
namespace {

constexpr std::int64_t kWantedTasks = 8;  // so that several threads find work
// Filters of a task at least, where there are more: each task transforms its tiles.
constexpr std::int64_t kLeastFilters = 128;

// What a thread works in.
struct WinogradScratch {
  float* const window = reinterpret_cast<float*>(ThreadScratch());
  float* const panels = window + kWinogradWindows + kWinogradSlack;
  float* const kept = panels + kMostWinogradElements * kPanels;

  static constexpr std::int64_t kPanels = OddLines(kWinogradPanels + kWinogradSlack);
  static constexpr std::int64_t kSize = kWinogradWindows + kWinogradSlack +
                                        kMostWinogradElements * (kPanels + kWinogradKept) +
                                        kWinogradSlack;
};
static_assert(WinogradScratch::kSize * std::int64_t{sizeof(float)} <= kScratchBytes);

// Elements that are transformed beforehand: of all weights, or of the tiles of as many images as
// the layout takes at once.
std::int64_t WorkspaceSize(const Problem& problem, const WinogradLayout& layout) {
  if (!layout.tiles_beforehand()) return WinogradPanels::Size(layout);
  return std::min(layout.images(), problem.batch()) * layout.tile_blocks() * layout.depth_blocks() *
         layout.elements() * layout.tiles_stride();
}

// By tiles of one layout.
class Winograd {
 public:
  // `packed` is what Pack has made of the weights for this layout, or nothing.
  Winograd(const Run& run, const WinogradLayout& layout, std::span<const std::byte> packed)
      : run_(run),
        g_(run.problem),
        layout_(layout),
        transform_(run.problem, g_, layout_, run.operands),
        workspace_(reinterpret_cast<float*>(run.workspace.data())),
        packed_(PackedWeights(packed)),
        panels_(g_, layout_, run.operands.weight, packed_),
        bias_(LoadBias<float>(run)) {}

  // Computes those of `images` that it may, and returns the others.
  std::vector<std::int64_t> Compute(std::vector<std::int64_t> images) {
    const std::vector<std::int64_t> even = EvenImages(run_, images, EvennessFor(layout_.width()));
    if (even.empty()) return images;
    even_ = HaveEvenWeights();
    if (even_) ComputeImages(even);
    if (!even_) return images;  // as may have been found on the way
    std::vector<std::int64_t> others;
    std::set_difference(images.begin(), images.end(), even.begin(), even.end(),
                        std::back_inserter(others));
    return others;
  }

 private:
  using Filters = WinogradPanels::Filters;
  using Channels = WinogradPanels::Channels;
  using Tiles = WinogradTransform::Tiles;

  // Of all weights, which this run has been given or makes beforehand; null where tasks do.
  const float* PackedWeights(std::span<const std::byte> packed) const {
    if (!packed.empty()) return reinterpret_cast<const float*>(packed.data());
    return layout_.tiles_beforehand() ? nullptr : workspace_;
  }

  // As far as it is known: tasks that transform weights tell later.
  bool HaveEvenWeights() const {
    if (packed_ == nullptr) return true;
    if (packed_ == workspace_) return panels_.PackAll(run_.stop, workspace_);
    return packed_[WinogradPanels::Size(layout_)] != 0;
  }

  void ComputeImages(std::span<const std::int64_t> images) {
    if (!layout_.tiles_beforehand()) return ComputeByTiles(images);
    while (!images.empty() && !stopped()) {
      const auto some =
          images.first(std::min(images.size(), static_cast<std::size_t>(layout_.images())));
      ComputeByFilters(some);
      images = images.subspan(some.size());
    }
  }

  // A task for each block of tiles; for parts of the filters where these are few.
  void ComputeByTiles(std::span<const std::int64_t> images) const {
    const std::int64_t blocks = static_cast<std::int64_t>(images.size()) * layout_.tile_blocks();
    if (blocks == 0) return;
    const std::int64_t count =
        std::max(CeilDivide(layout_.filter_blocks(), CeilDivide(kWantedTasks, blocks)),
                 std::min(layout_.filter_blocks(), CeilDivide(kLeastFilters, layout_.filters())));
    const std::int64_t parts = CeilDivide(layout_.filter_blocks(), count);
    ForEachTask(blocks * parts, run_.stop, [&](std::int64_t task) {
      const Tiles tiles = TilesAt(images, task / parts);
      const std::int64_t first = task % parts * count;
      const std::int64_t last = std::min(first + count, layout_.filter_blocks());
      for (std::int64_t block = first; block < last; block += layout_.chunk()) {
        ComputeChunk(tiles, panels_.FiltersAt(block, std::min(layout_.chunk(), last - block)),
                     block == first);
      }
    });
  }

  // `first` says that the tiles have not been met before.
  void ComputeChunk(const Tiles& tiles, const Filters& chunk, bool first) const {
    const WinogradScratch scratch;
    float* const transformed = scratch.kept;
    float* const sums = transformed + layout_.elements() * layout_.tiles_stride();
    for (std::int64_t c = 0; c < g_.channels; c += layout_.channels()) {
      const Channels channels = panels_.ChannelsAt(c);
      if (first || layout_.depth_blocks() > 1) TransformTiles(tiles, channels, transformed);
      for (std::int64_t m = 0; m < chunk.count; m += layout_.filters()) {
        if (stopped()) return;
        const Filters filters{chunk.first + m, std::min(layout_.filters(), chunk.count - m)};
        PanelFetch fetch;
        if (m + filters.count < chunk.count) {
          fetch = panels_.Fetch({filters.first + filters.count, layout_.filters()}, channels);
        } else if (c + channels.count < g_.channels) {
          fetch = panels_.Fetch({chunk.first, layout_.filters()},
                                panels_.ChannelsAt(c + channels.count));
        }
        Multiply(tiles, channels, filters, panels_.Packed(filters, channels), transformed,
                 sums + m * layout_.sums_pitch(), fetch);
      }
    }
    TransformSums(tiles, chunk, sums);
  }

  // All tiles first, then a task for each block of filters.
  void ComputeByFilters(std::span<const std::int64_t> images) {
    const std::int64_t tile_blocks =
        static_cast<std::int64_t>(images.size()) * layout_.tile_blocks();
    const auto transformed = [&](std::int64_t tiles, std::int64_t channels) {
      return workspace_ +
             (channels * tile_blocks + tiles) * layout_.elements() * layout_.tiles_stride();
    };
    ForEachTask(tile_blocks * layout_.depth_blocks(), run_.stop, [&](std::int64_t task) {
      const std::int64_t tiles = task % tile_blocks;
      const std::int64_t channels = task / tile_blocks;
      TransformTiles(TilesAt(images, tiles), panels_.ChannelsAt(channels * layout_.channels()),
                     transformed(tiles, channels));
    });
    ForEachTask(layout_.filter_blocks(), run_.stop, [&](std::int64_t task) {
      const WinogradScratch scratch;
      const auto sums = [&](std::int64_t tiles) {
        return scratch.kept + tiles * layout_.elements() * layout_.sums_stride();
      };
      const Filters filters = panels_.FiltersAt(task, 1);
      WinogradPanels::Norms norms(filters);
      for (std::int64_t k = 0; k < layout_.depth_blocks(); ++k) {
        const Channels channels = panels_.ChannelsAt(k * layout_.channels());
        const float* panels = panels_.Packed(filters, channels);
        if (panels == nullptr) {
          panels_.Transform(filters, channels, scratch.panels, norms);
          panels = scratch.panels;
        }
        PanelFetch fetch;
        if (k + 1 < layout_.depth_blocks()) {
          fetch = panels_.Fetch(filters, panels_.ChannelsAt((k + 1) * layout_.channels()));
        }
        for (std::int64_t i = 0; i < tile_blocks; ++i) {
          if (stopped()) return;
          Multiply(TilesAt(images, i), channels, filters, panels, transformed(i, k), sums(i),
                   fetch.Part(i, 1, tile_blocks));
        }
      }
      if (packed_ == nullptr && !norms.Even(EvennessFor(layout_.width()))) even_ = false;
      for (std::int64_t i = 0; i < tile_blocks; ++i) {
        TransformSums(TilesAt(images, i), filters, sums(i));
      }
    });
  }

  // Block `index` of all tiles of some images.
  Tiles TilesAt(std::span<const std::int64_t> images, std::int64_t index) const {
    return {images[static_cast<std::size_t>(index / layout_.tile_blocks())],
            layout_.BlockAt(index % layout_.tile_blocks())};
  }

  // Adds the products of a block of tiles and one of weights to their sums.
  void Multiply(const Tiles& tiles, const Channels& channels, const Filters& filters,
                const float* panels, float* transformed, float* sums,
                const PanelFetch& fetch) const {
    PanelProduct product;
    product.depth = channels.count * layout_.planes();
    product.panel_depth = product.depth;
    product.running_sum = layout_.running_sum();
    product.strip_depth = product.depth + 1;
    product.rows = filters.count;
    product.columns = tiles.block.count();
    product.before_stride = layout_.sums_pitch();
    product.c_stride = layout_.sums_pitch();
    for (std::int64_t e = 0; e < layout_.elements(); ++e) {
      product.a = panels + e * layout_.panels_stride();
      product.b = transformed + e * layout_.tiles_stride();
      product.c = sums + e * layout_.sums_stride();
      if (channels.first > 0) product.before = product.c;
      product.fetch[0] = fetch.Part(e, 1, layout_.elements());
      multiply_(product);
    }
  }

  void TransformTiles(const Tiles& tiles, const Channels& channels, float* out) const {
    transform_.Input(tiles, channels, WinogradScratch().window, out);
  }

  void TransformSums(const Tiles& tiles, const Filters& filters, const float* sums) const {
    transform_.Output(tiles, filters, sums, bias_, WinogradScratch().window,
                      reinterpret_cast<float*>(run_.output.data()));
  }

  bool stopped() const { return run_.stop.stop_requested() || !even_; }

  const Run& run_;
  const Geometry g_;
  const WinogradLayout& layout_;
  const WinogradTransform transform_;
  float* const workspace_;
  const float* const packed_;
  const WinogradPanels panels_;
  const std::vector<float> bias_;
  // Whether all filters that were looked at may be used.
  std::atomic<bool> even_ = true;
  void (*const multiply_)(const PanelProduct&) = PanelKernels().multiply;
};

// Whether wide tiles keep the error in images that are even enough (core/algorithms/even.h).
bool MayBeWide(const Problem& problem, const Geometry& g) {
  constexpr std::int64_t kLeastChannels = 64;
  const Axis& row = g.axes[2];
  return problem.padding_mode() == PaddingMode::kZeros && row.dilation == 1 && row.output >= 4 &&
         std::max(row.padding_begin, row.padding_end) <= kMostLevelPadding &&
         g.channels >= kLeastChannels;
}

// The layouts that a problem is computed in, the best one first: an image that it is not for is
// left to the next. Of one image, so that the choice, and with it the bits, are the same in a
// batch.
std::vector<WinogradLayout> Layouts(const Problem& problem, const Geometry& g) {
  std::vector<WinogradLayout> layouts = {WinogradLayout(g, 2)};
  if (MayBeWide(problem, g)) {
    const WinogradLayout wide(g, 4);
    if (wide.cost() < layouts[0].cost()) layouts.insert(layouts.begin(), wide);
  }
  return layouts;
}

// Whether an output meets real input with one tap along the axis alone: the rounding of its tile,
// which is in proportion to what all taps meet, may then be many times what such an output allows.
bool MeetsOneTap(const Axis& axis) {
  const std::int64_t begin = axis.padding_begin;
  const std::int64_t end = axis.padding_end;
  const bool both = begin > 0 && end > 0 && axis.input / 2 < axis.dilation;
  return std::max(begin, end) > axis.dilation || both;
}

std::string Refusal(const Problem& problem) {
  const Geometry g(problem);
  if (problem.operation() != Operation::kConv) return "a transposed convolution";
  if (!IsFloat32(problem)) return "types other than float32";
  for (const std::size_t i : {std::size_t{1}, std::size_t{2}}) {
    const Axis& axis = g.axes[i];
    if (axis.kernel != 3 || axis.stride != 1) return "kernels other than 3x3, or strides";
    if (problem.padding_mode() == PaddingMode::kZeros && MeetsOneTap(axis)) {
      return "outputs that meet the input with one tap";
    }
  }
  if (g.groups != 1) return "several groups";
  const Patches patches{g, problem.padding_mode(), FirstPhases(problem, g), {}, {}};
  if (!WeightsInOrder(problem, patches, DataType::kFloat32)) {
    return "weights in another order or trimmed";
  }
  constexpr std::int64_t kLeastDepth = 16;
  constexpr std::int64_t kMostPlanes = 128;
  if (g.filters < kLeastDepth || g.channels < kLeastDepth) return "too few channels";
  if (g.axes[0].kernel > kMostPlanes) return "too many planes";
  const WinogradLayout layout = Layouts(problem, g)[0];
  // What other algorithms take: cycles of 16 products each, of which they lose some, and to pack
  // the nine weights.
  const double products = static_cast<double>(g.axes[0].output) * TapsToMultiply(patches, 1) *
                          TapsToMultiply(patches, 2);
  const double others = products / 16 / 0.85 + 9;
  if (layout.cost() >= 0.85 * others) return "too few outputs";
  if (WinogradTransform(problem, g, layout, {}).window_size() > kWinogradWindows) {
    return "planes too far apart";
  }
  return "";
}

// The smaller of transformed weights, 16/9 of them or 24/9, and transformed tiles, 3 or 4 times an
// image: more than a tenth of all where both are large, but every task needs it.
std::int64_t WorkspaceBytes(const Problem& problem) {
  std::int64_t size = 0;
  for (const WinogradLayout& layout : Layouts(problem, Geometry(problem))) {
    size = std::max(size, WorkspaceSize(problem, layout));
  }
  return size * std::int64_t{sizeof(float)};
}

absl::Status ComputeByGemm(const Run& run, std::int64_t n) {
  if (run.problem.batch() == 1) return kGemm.run(run);
  const Problem problem = run.problem.WithBatch(1);
  Operands operands = run.operands;
  operands.input.shape[0] = 1;
  operands.input.data += n * problem.input_bytes();
  const auto bytes = static_cast<std::size_t>(problem.output_bytes());
  return kGemm.run({problem, operands,
                    run.output.subspan(static_cast<std::size_t>(n) * bytes, bytes), run.workspace,
                    run.stop});
}

absl::Status Compute(const Run& run) {
  std::vector<std::int64_t> images(static_cast<std::size_t>(run.problem.batch()));
  std::iota(images.begin(), images.end(), 0);
  std::span<const std::byte> packed = run.packed_weight;
  for (const WinogradLayout& layout : Layouts(run.problem, Geometry(run.problem))) {
    if (images.empty() || run.stop.stop_requested()) break;
    images = Winograd(run, layout, packed).Compute(std::move(images));
    packed = {};  // of the first layout
  }
  for (const std::int64_t n : images) {
    if (absl::Status status = ComputeByGemm(run, n); !status.ok()) return status;
  }
  return StatusAfter(run.stop);
}

// The transformed weights of the first layout, then whether they may be used.
std::int64_t PackedBytes(const Problem& problem) {
  const WinogradLayout layout = Layouts(problem, Geometry(problem))[0];
  return (WinogradPanels::Size(layout) + 1) * std::int64_t{sizeof(float)};
}

void Pack(const Problem& problem, const TensorView& weight, std::span<std::byte> out) {
  const Geometry g(problem);
  const WinogradLayout layout = Layouts(problem, g)[0];
  auto* const transformed = reinterpret_cast<float*>(out.data());
  const bool even = WinogradPanels(g, layout, weight, nullptr).PackAll({}, transformed);
  transformed[WinogradPanels::Size(layout)] = even ? 1 : 0;
}

}  // namespace

constexpr Algorithm kWinograd = {"winograd", Refusal, WorkspaceBytes, Compute, PackedBytes, Pack};

}  // namespace convserve
