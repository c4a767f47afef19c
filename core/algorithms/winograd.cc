// 3x3 convolutions of many channels by Winograd's F(2x2, 3x3) (core/kernels/winograd_kernel.h):
// tiles of 2x2 outputs from tiles of 4x4 inputs, with 16 products a channel in place of 36.
//
//   output tile = A^T [ sum over channels k of (G g_k G^T) * (B^T d_k B) ] A
//
// The sum is one matrix product for each of the 16 elements. Kernels deeper than one plane are
// summed like more channels: k numbers (channel, plane).
//
// Error. Winograd's products mix the taps of a kernel and the elements of a tile, so its rounding
// is in proportion to sums of |x_i| |w_j| over all i and j of a tile, where the bound promised for
// every output, c*eps * sum |x_i| |w_i|, only has the taps that it meets. The two go together when
// no tap of a filter weighs much less than the others and no position of the input, nor a tap, has
// most of its weight in a few channels. Weights and every image are looked at before (Even, below);
// an image that is not so, or has an infinity, a NaN or extreme magnitudes, is computed by kGemm.
// What is computed how depends on the image and the weights alone, so that a row of a batch has the
// same bits as the row on its own.
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "core/algorithms/algorithm.h"
#include "core/algorithms/border.h"
#include "core/algorithms/patches.h"
#include "core/algorithms/tasks.h"
#include "core/algorithms/window.h"
#include "core/divide.h"
#include "core/geometry.h"
#include "core/kernels/gemm_kernel.h"
#include "core/kernels/winograd_kernel.h"
#include "core/scratch.h"

namespace convserve {
namespace {

// Tiles of a task at most, and transformed elements of one of the 16 that it keeps.
constexpr std::int64_t kMaxTiles = 128;
constexpr std::int64_t kMaxTransformed = std::int64_t{24} * 1024;
// Sums of one of the 16 elements that a task keeps.
constexpr std::int64_t kMaxSums = 5120;
constexpr std::int64_t kWindowSize = std::int64_t{32} * 1024;
constexpr std::int64_t kMaxDepth = 1024;
static_assert((kWinogradElements * (kMaxTransformed + kMaxSums + 2 * kWinogradSlack) + kWindowSize +
               kWinogradSlack) *
                  std::int64_t{sizeof(float)} <=
              kScratchBytes);
constexpr std::int64_t kLeastRows = 64;   // filters of a task
constexpr std::int64_t kWantedTasks = 8;  // so that several threads find work
// Positions whose norms are added up at once.
constexpr std::int64_t kPositions = 2048;

// Whether nothing stands out among elements with this sum of absolute values and of squares: as
// many as kLeastParts equal ones make a ratio of kLeastParts.
bool Even(float sum, float squares) {
  constexpr float kLeastParts = 4;
  constexpr float kLargest = 1e15F;
  constexpr float kSmallest = 1e-15F;
  return sum == 0 || (sum < kLargest && sum > kSmallest && sum * sum >= kLeastParts * squares);
}

// Elements of all transformed weights, [filters][16][channels and planes, to a pitch].
std::int64_t TransformedSize(const Geometry& g) {
  return g.filters * kWinogradElements * OddLines(g.channels * g.axes[0].kernel);
}

// Returns whether all filters may be used.
bool TransformWeights(const Geometry& g, const TensorView& weight, const std::stop_token& stop,
                      float* out) {
  const WinogradTable& kernels = WinogradKernels();
  const std::int64_t depth = g.channels * g.axes[0].kernel;
  const std::int64_t pitch = OddLines(depth);
  std::atomic<bool> even = true;
  ForEachTask(CeilDivide(g.filters, 8), stop, [&](std::int64_t task) {
    for (std::int64_t m = 8 * task; m < std::min(8 * task + 8, g.filters); ++m) {
      std::array<float, 9> sums, squares;
      kernels.weights({.weights = weight.As<float>() + m * g.weight.filter,
                       .count = depth,
                       .out = out + m * kWinogradElements * pitch,
                       .stride = pitch,
                       .sums = sums.data(),
                       .squares = squares.data()});
      // No tap below an eighth of the average.
      const float least = std::accumulate(sums.begin(), sums.end(), 0.0F) / 9 / 8;
      for (std::size_t t = 0; t < 9; ++t) {
        if (!(Even(sums[t], squares[t]) && sums[t] >= least)) even = false;
      }
    }
  });
  return even;
}

struct Shape3x3 {
  explicit Shape3x3(const Geometry& g)
      : depth(g.channels * g.axes[0].kernel),
        tile_rows(CeilDivide(g.axes[1].output, 2)),
        tile_columns(CeilDivide(g.axes[2].output, 2)) {
    const std::int64_t most =
        std::clamp<std::int64_t>((kMaxTransformed / depth - 16) / 32 * 32, 16, kMaxTiles);
    tiles.columns = CeilDivide(tile_columns, CeilDivide(tile_columns, most));
    tiles.rows = std::min(tile_rows, most / tiles.columns);
    tiles.rows = CeilDivide(tile_rows, CeilDivide(tile_rows, tiles.rows));
    pitch = OddLines(tiles.rows * tiles.columns);
    rows = std::max<std::int64_t>(kMaxSums / pitch / 12 * 12, 12);
  }

  std::int64_t depth;
  std::int64_t tile_rows, tile_columns;  // of the output
  WinogradTiles tiles;                   // of a task
  std::int64_t pitch;                    // from one channel's tiles to the next
  std::int64_t rows;                     // filters whose sums are kept
};

class Winograd {
 public:
  explicit Winograd(const Run& run)
      : run_(run),
        g_(run.problem),
        shape_(g_),
        patches_{g_, run.problem.padding_mode(), FirstPhases(run.problem, g_), run.operands.input,
                 run.operands.weight},
        window_(patches_, {2 * shape_.tiles.rows, 2 * shape_.tiles.columns}),
        weights_(reinterpret_cast<const float*>(
            run.packed_weight.empty() ? run.workspace.data() : run.packed_weight.data())),
        weight_pitch_(OddLines(shape_.depth)),
        bias_(LoadBias<float>(run)) {}

  absl::Status Compute() {
    std::vector<std::atomic<bool>> even(static_cast<std::size_t>(g_.batch));
    const bool good = HaveEvenWeights();
    if (good) FindEvenImages(even);
    std::vector<std::int64_t> images;
    for (std::int64_t n = 0; n < g_.batch; ++n) {
      if (good && even[static_cast<std::size_t>(n)]) {
        images.push_back(n);
      } else if (absl::Status status = ComputeByGemm(n); !status.ok()) {
        return status;
      }
    }
    ComputeImages(images);
    return StatusAfter(run_.stop);
  }

 private:
  // Transforms them first, unless somebody has.
  bool HaveEvenWeights() const {
    if (!run_.packed_weight.empty()) return weights_[TransformedSize(g_)] != 0;
    return TransformWeights(g_, run_.operands.weight, run_.stop,
                            reinterpret_cast<float*>(run_.workspace.data()));
  }

  void FindEvenImages(std::vector<std::atomic<bool>>& even) const {
    for (std::atomic<bool>& image : even) image = true;
    const std::int64_t positions =
        g_.axes[0].input * g_.axes[1].input * g_.axes[2].input;  // side by side
    const std::int64_t blocks = CeilDivide(positions, kPositions);
    ForEachTask(g_.batch * blocks, run_.stop, [&](std::int64_t task) {
      std::array<float, kPositions> sums, squares;
      const std::int64_t first = task % blocks * kPositions;
      const std::int64_t count = std::min(kPositions, positions - first);
      std::fill_n(sums.begin(), count, 0.0F);
      std::fill_n(squares.begin(), count, 0.0F);
      const float* x = run_.operands.input.As<float>() + task / blocks * g_.input.batch + first;
      for (std::int64_t c = 0; c < g_.channels; ++c, x += g_.input.channel) {
        kernels_.norms({x, sums.data(), squares.data(), count});
      }
      bool good = true;
      for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
        good &= Even(sums[i], squares[i]);
      }
      if (!good) even[static_cast<std::size_t>(task / blocks)] = false;
    });
  }

  absl::Status ComputeByGemm(std::int64_t n) const {
    if (g_.batch == 1) return kGemm.run(run_);
    const Problem problem = run_.problem.WithBatch(1);
    Operands operands = run_.operands;
    operands.input.shape[0] = 1;
    operands.input.data += n * problem.input_bytes();
    const auto bytes = static_cast<std::size_t>(problem.output_bytes());
    return kGemm.run({problem, operands,
                      run_.output.subspan(static_cast<std::size_t>(n) * bytes, bytes),
                      run_.workspace, run_.stop});
  }

  void ComputeImages(const std::vector<std::int64_t>& images) const {
    const std::int64_t x_tiles = CeilDivide(shape_.tile_columns, shape_.tiles.columns);
    const std::int64_t y_tiles = CeilDivide(shape_.tile_rows, shape_.tiles.rows);
    const std::int64_t tiles = x_tiles * y_tiles * g_.axes[0].output;
    const std::int64_t wanted =
        CeilDivide(kWantedTasks, std::max<std::int64_t>(tiles * g_.batch, 1));
    const std::int64_t rows = std::max(kLeastRows, RoundUp(CeilDivide(g_.filters, wanted), 12));
    const std::int64_t row_blocks = CeilDivide(g_.filters, rows);
    ForEachTask(static_cast<std::int64_t>(images.size()) * tiles * row_blocks, run_.stop,
                [&](std::int64_t task) {
                  const std::int64_t row = task % row_blocks * rows;
                  const std::int64_t tile = task / row_blocks % tiles;
                  const Window::Origin origin{tile / x_tiles / y_tiles,
                                              tile / x_tiles % y_tiles * shape_.tiles.rows * 2,
                                              tile % x_tiles * shape_.tiles.columns * 2};
                  ComputeTiles(images[static_cast<std::size_t>(task / row_blocks / tiles)], origin,
                               row, std::min(rows, g_.filters - row));
                });
  }

  void ComputeTiles(std::int64_t n, const Window::Origin& origin, std::int64_t first_row,
                    std::int64_t rows) const {
    const Window::Extent extent{std::min(2 * shape_.tiles.rows, g_.axes[1].output - origin.y),
                                std::min(2 * shape_.tiles.columns, g_.axes[2].output - origin.x)};
    if (extent.rows <= 0 || extent.width <= 0) return;
    const WinogradTiles tiles{CeilDivide(extent.rows, 2), CeilDivide(extent.width, 2)};
    float* const window = reinterpret_cast<float*>(ThreadScratch());
    float* const transformed = window + kWindowSize + kWinogradSlack;
    float* const sums = transformed + kWinogradElements * (kMaxTransformed + kWinogradSlack);
    const std::int64_t stride = shape_.depth * shape_.pitch + kWinogradSlack;
    TransformInput(n, origin, extent, tiles, window, transformed, stride);

    std::array<std::int32_t, kMaxDepth> offsets;
    for (std::int64_t k = 0; k < shape_.depth; ++k) {
      offsets[static_cast<std::size_t>(k)] = static_cast<std::int32_t>(k * shape_.pitch);
    }
    const GemmSegment segment{0, tiles.rows * tiles.columns, 0};
    for (std::int64_t i = 0; i < rows && !run_.stop.stop_requested(); i += shape_.rows) {
      const std::int64_t height = std::min(shape_.rows, rows - i);
      const std::int64_t sums_stride = height * shape_.pitch;
      GemmTile<float> tile;
      tile.rows = height;
      tile.segments = {&segment, 1};
      tile.c_stride = shape_.pitch;
      tile.a_stride = kWinogradElements * weight_pitch_;
      for (std::int64_t e = 0; e < kWinogradElements; ++e) {
        tile.c = sums + e * sums_stride;
        for (std::int64_t k = 0; k < shape_.depth; k += kDepthBlock) {
          tile.depth = std::min(kDepthBlock, shape_.depth - k);
          tile.a = weights_ + ((first_row + i) * kWinogradElements + e) * weight_pitch_ + k;
          tile.b = transformed + e * stride;
          tile.offsets = offsets.data() + k;
          tile.accumulate = k > 0;
          gemm_(tile);
        }
      }
      float* out = reinterpret_cast<float*>(run_.output.data()) + n * g_.output.batch +
                   (first_row + i) * g_.output.channel +
                   OutputOffset(g_, patches_.phases, {origin.z, origin.y, origin.x});
      for (std::int64_t m = 0; m < height; ++m, out += g_.output.channel) {
        kernels_.output({.tiles = tiles,
                         .sums = sums + m * shape_.pitch,
                         .stride = sums_stride,
                         .bias = bias_[static_cast<std::size_t>(first_row + i + m)],
                         .out = out,
                         .pitch = g_.output.spatial[1],
                         .rows = extent.rows,
                         .columns = extent.width});
      }
    }
  }

  void TransformInput(std::int64_t n, const Window::Origin& origin, Window::Extent extent,
                      WinogradTiles tiles, float* window, float* out, std::int64_t stride) const {
    const WindowCopy copies = window_.Copies(origin, extent);
    copies.FillPadding(window);
    const float* input = run_.operands.input.As<float>() + n * g_.input.batch;
    const std::int64_t planes = g_.axes[0].kernel;
    for (std::int64_t c = 0; c < g_.channels; ++c, input += g_.input.channel) {
      constexpr std::int64_t kAhead = 4;
      if (c + kAhead < g_.channels) copies.Prefetch(input + kAhead * g_.input.channel);
      copies.CopyChannel(input, window);
      for (std::int64_t z = 0; z < planes; ++z, out += shape_.pitch) {
        kernels_.input({.tiles = tiles,
                        .window = window + window_.Offset(0, 9 * z),
                        .pitch = window_.pitch(),
                        .out = out,
                        .stride = stride});
      }
    }
  }

  const Run& run_;
  const Geometry g_;
  const Shape3x3 shape_;
  const Patches patches_;
  const Window window_;
  const float* const weights_;  // transformed
  const std::int64_t weight_pitch_;
  const std::vector<float> bias_;
  const GemmKernel<float> gemm_ = GetGemmKernel<float>();
  const WinogradTable& kernels_ = WinogradKernels();
};

std::string Refusal(const Problem& problem) {
  const Geometry g(problem);
  if (problem.operation() != Operation::kConv) return "a transposed convolution";
  if (!IsFloat32(problem)) return "types other than float32";
  for (const std::size_t i : {std::size_t{1}, std::size_t{2}}) {
    const Axis& axis = g.axes[i];
    if (axis.kernel != 3 || axis.stride != 1 || axis.dilation != 1) {
      return "kernels other than 3x3, strides or dilations";
    }
  }
  if (g.groups != 1) return "several groups";
  if (problem.tensor_layout() != TensorLayout::kChannelsFirst) return "channels last";
  const Patches patches{g, problem.padding_mode(), FirstPhases(problem, g), {}, {}};
  if (!WeightsInOrder(problem, patches, DataType::kFloat32)) {
    return "weights in another order or trimmed";
  }
  constexpr std::int64_t kLeastDepth = 16;
  if (g.filters < kLeastDepth || g.channels < kLeastDepth ||
      g.axes[0].kernel > kMaxDepth / g.channels) {
    return "too few or too many channels";
  }
  // Cycles for one filter and channel: the kernel makes 16 products in one, either way; and what
  // the transforms of weights, inputs and outputs cost. Of one image, so that the choice, and with
  // it the bits, are the same in a batch.
  const Shape3x3 shape(g);
  const auto planes = static_cast<double>(g.axes[0].output);
  const auto outputs = planes * static_cast<double>(g.axes[1].output * g.axes[2].output);
  const auto tiles = planes * static_cast<double>(shape.tile_rows * shape.tile_columns);
  const double transforms =
      tiles * (6 / static_cast<double>(g.filters) + 8 / static_cast<double>(shape.depth)) + 18;
  if (tiles + transforms > 0.8 * 9 * outputs / 16) return "too few outputs";
  const Window window(patches, {2 * shape.tiles.rows, 2 * shape.tiles.columns});
  if (window.channel_size() > kWindowSize) return "planes too far apart";
  return "";
}

// The transformed weights: 16/9 of them, which is more than a tenth of all where there are many
// channels; they serve every tile.
std::int64_t WorkspaceBytes(const Problem& problem) {
  return TransformedSize(Geometry(problem)) * std::int64_t{sizeof(float)};
}

absl::Status Compute(const Run& run) { return Winograd(run).Compute(); }

// The transformed weights, then whether they may be used.
std::int64_t PackedBytes(const Problem& problem) {
  return WorkspaceBytes(problem) + std::int64_t{sizeof(float)};
}

void Pack(const Problem& problem, const TensorView& weight, std::span<std::byte> out) {
  const Geometry g(problem);
  auto* const transformed = reinterpret_cast<float*>(out.data());
  transformed[TransformedSize(g)] = TransformWeights(g, weight, {}, transformed) ? 1 : 0;
}

}  // namespace

constexpr Algorithm kWinograd = {"winograd", Refusal, WorkspaceBytes, Compute, PackedBytes, Pack};

}  // namespace convserve
