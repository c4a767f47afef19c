#include "core/algorithms/quad_phase.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

#include "core/algorithms/border.h"
#include "core/data_type.h"
#include "core/divide.h"

namespace convserve {
namespace {

constexpr std::int64_t kQuad = 4;
constexpr std::int32_t kFlipAll = static_cast<std::int32_t>(0x80808080U);

// Four bytes of a tensor, wherever they are.
struct BytesOfQuad {
  std::array<std::uint8_t, 4> bytes;
};

// Whether the tensor is made of quads of channels.
bool HasQuads(const Geometry& g) { return g.input.channel == 1 && g.channels % kQuad == 0; }

// With four channels in one; strides count quads where the tensor is made of them, else bytes.
Geometry InQuads(Geometry g) {
  if (HasQuads(g)) {
    for (std::int64_t* stride : {&g.input.batch, &g.input.group, &g.input.spatial[0],
                                 &g.input.spatial[1], &g.input.spatial[2]}) {
      *stride /= kQuad;
    }
  } else {
    g.input.channel *= kQuad;
  }
  g.channels = CeilDivide(g.channels, kQuad);
  return g;
}

// Quads of channels whose bytes are a quarter padding at most are worth a window.
bool ChannelsFillQuads(std::int64_t channels) {
  return RoundUp(channels, kQuad) * 3 <= channels * 4;
}

TensorView AsBytes(TensorView tensor) {
  tensor.data_type = DataType::kUInt8;
  return tensor;
}

}  // namespace

QuadPhase::QuadPhase(const Run& run, const Geometry& g, const std::array<Phase, 3>& axes,
                     bool sums_in_output)
    : g_(g),
      quads_(InQuads(g)),
      bytes_{g, run.problem.padding_mode(), axes, AsBytes(run.operands.input),
             AsBytes(run.operands.weight)},
      quad_patches_{quads_, bytes_.mode, axes, bytes_.input, bytes_.weight},
      signed_input_(run.problem.input_type() == DataType::kInt8),
      signed_weight_(run.problem.weight_type() == DataType::kInt8),
      tiling_(MakeTiling(quad_patches_, {.buffer = kGemmBuffer<std::int32_t>,
                                         .sums_in_output = sums_in_output,
                                         .windows = ChannelsFillQuads(g.channels),
                                         .products_per_copy = 40})),
      tap_weights_(TapOffsets(bytes_)),
      corrections_(static_cast<std::size_t>(g.groups * g.filters)) {
  if (!tiling_.window) {
    depth_ = CeilDivide(bytes_.depth(), kQuad);
    return;
  }
  depth_ = quad_patches_.depth();
  window_.emplace(quad_patches_, tiling_.extent);
  tap_offsets_ = WindowTaps(*window_, bytes_.taps());
}

GemmKernel<std::int32_t> QuadPhase::Kernel(const Problem& problem) {
  const ByteTable& kernels = ByteKernels();
  return problem.weight_type() == DataType::kInt8 ? kernels.signed_rows : kernels.unsigned_rows;
}

// The weights of a filter, in the order of the patch matrix, as quads.
void QuadPhase::PackFilter(const std::uint8_t* weights, std::vector<std::int32_t>& row) const {
  const std::int64_t taps = bytes_.taps();
  const std::int64_t depth = bytes_.depth();
  if (!window_ || taps == 1) {
    row.back() = 0;
    std::memcpy(row.data(), weights, static_cast<std::size_t>(depth));
    return;
  }
  const std::int64_t whole = depth / taps / kQuad;
  for (std::int64_t quad = 0; quad < whole; ++quad) {
    ByteKernels().quads({weights + quad * kQuad * taps, taps, taps, 0, row.data() + quad * taps});
  }
  if (whole == quads_.channels) return;
  std::vector<std::uint8_t> last(static_cast<std::size_t>(kQuad * taps));
  std::copy(weights + whole * kQuad * taps, weights + depth, last.begin());
  ByteKernels().quads({last.data(), taps, taps, 0, row.data() + whole * taps});
}

void QuadPhase::Pack(const WeightPart& part) {
  const std::int64_t taps = bytes_.taps();
  const std::int64_t depth = bytes_.depth();
  if (depth == 0) return;
  const bool in_order = FiltersInOrder(bytes_, tap_weights_);
  const std::uint8_t* base =
      bytes_.weight.As<std::uint8_t>() + g_.weight.offset + part.group * g_.weight.group;
  const std::int64_t pitch = depth + 80;  // rows do not compete for the same places in the cache
  std::vector<std::uint8_t> ordered(static_cast<std::size_t>(in_order ? 0 : part.filters * pitch));
  // Channel by channel, as most tensors that are not in order have the filters of one close
  // together.
  for (std::int64_t c = 0; c < g_.channels && !in_order; ++c) {
    for (std::int64_t i = 0; i < part.filters; ++i) {
      const std::uint8_t* from =
          base + (part.first_filter + i) * g_.weight.filter + c * g_.weight.channel;
      std::uint8_t* to = ordered.data() + i * pitch + c * taps;
      for (const std::int64_t offset : tap_weights_) *to++ = from[offset];
    }
  }
  std::vector<std::int32_t> row(static_cast<std::size_t>(depth_));
  for (std::int64_t i = 0; i < part.filters; ++i) {
    const std::int64_t filter = part.first_filter + i;
    const std::uint8_t* weights =
        in_order ? base + filter * g_.weight.filter : ordered.data() + i * pitch;
    PackFilter(weights, row);
    for (std::int64_t k = 0; k < depth_; k += kDepthBlock) {
      const std::int64_t block_depth = std::min(kDepthBlock, depth_ - k);
      std::copy_n(row.begin() + k, block_depth,
                  packed_ + g_.filters * (part.group * depth_ + k) + filter * block_depth);
    }
    if (signed_input_ != signed_weight_) continue;
    std::int64_t sum = 0;
    for (std::int64_t k = 0; k < depth; ++k) {
      sum += signed_weight_ ? static_cast<std::int8_t>(weights[k]) : weights[k];
    }
    corrections_[static_cast<std::size_t>(part.group * g_.filters + filter)] =
        signed_weight_ ? -128 * sum : 128 * sum;
  }
}

void QuadPhase::Copy(const GemmBlock& block, GemmScratch<std::int32_t>& scratch) const {
  if (window_) {
    CopyWindow(block, scratch);
  } else {
    CopyPatches(block, scratch);
  }
}

void QuadPhase::CopyPatches(const GemmBlock& block, GemmScratch<std::int32_t>& scratch) const {
  const std::int64_t pitch = OddLines(block.columns.count);
  auto* const rows = reinterpret_cast<std::uint8_t*>(scratch.rest);
  const std::int64_t first = block.first_depth * kQuad;
  PackPatches(bytes_, block.task.batch, block.task.group,
              {block.columns.first, block.columns.count, first,
               std::min(block.depth * kQuad, bytes_.depth() - first)},
              pitch, rows);
  for (std::int64_t k = 0; k < block.depth; ++k) {
    ByteKernels().quads(
        {rows + k * kQuad * pitch, pitch, block.columns.count, flip(), scratch.buffer + k * pitch});
  }
  SetPatchOffsets(pitch, block.depth, scratch.offsets.data());
}

void QuadPhase::CopyWindow(const GemmBlock& block, GemmScratch<std::int32_t>& scratch) const {
  const std::int64_t taps = bytes_.taps();
  const std::int64_t first = block.first_depth / taps;
  const std::int64_t last = (block.first_depth + block.depth - 1) / taps + 1;
  const WindowCopy copies = window_->Copies(block.columns.origin, block.extent);
  if (HasQuads(g_)) {
    CopyQuads(copies, block.task, first, last, scratch.buffer);
  } else {
    MakeQuads(copies, block.task, first * kQuad, std::min(last * kQuad, g_.channels), scratch);
  }
  SetWindowOffsets(*window_, tap_offsets_, block.first_depth, block.depth, scratch.offsets.data());
}

void QuadPhase::CopyQuads(const WindowCopy& copies, const GemmTask& task, std::int64_t first,
                          std::int64_t last, std::int32_t* out) const {
  const std::int64_t size = window_->channel_size();
  const auto* input = bytes_.input.As<BytesOfQuad>() + task.batch * quads_.input.batch +
                      task.group * quads_.input.group + first;
  auto* const quads = reinterpret_cast<BytesOfQuad*>(out);
  for (std::int64_t q = 0; q < last - first; ++q) {
    copies.FillPadding(quads + q * size);
    copies.CopyChannel(input + q, quads + q * size);
  }
  if (flip() == 0) return;
  const std::int64_t count = (last - first) * size + window_->overhang();
  for (std::int64_t i = 0; i < count; ++i) out[i] ^= kFlipAll;
}

// Of channels [first, last).
void QuadPhase::MakeQuads(const WindowCopy& copies, const GemmTask& task, std::int64_t first,
                          std::int64_t last, GemmScratch<std::int32_t>& scratch) const {
  const std::int64_t size = window_->channel_size();
  const std::uint8_t* input = bytes_.input.As<std::uint8_t>() + task.batch * g_.input.batch +
                              task.group * g_.input.group + first * g_.input.channel;
  auto* const planes = reinterpret_cast<std::uint8_t*>(scratch.rest);
  std::int32_t* out = scratch.buffer;
  // The planes of all quads have their padding at the same places.
  for (std::int64_t q = 0; q < kQuad; ++q) copies.FillPadding(planes + q * size);
  // Rows of different channels are too far apart for the processor to foresee them.
  for (std::int64_t c = first; c < last; c += kQuad, out += size) {
    for (std::int64_t q = 0; q < std::min(kQuad, last - c); ++q, input += g_.input.channel) {
      if (c + q + kQuad < last) copies.Prefetch(input + kQuad * g_.input.channel);
      copies.CopyChannel(input, planes + q * size);
    }
    ByteKernels().quads({planes, size, size + window_->overhang(), flip(), out});
  }
}

void QuadPhase::SetWeights(const GemmBlock& block, std::int64_t row, GemmTile<std::int32_t>& tile,
                           const GemmScratch<std::int32_t>& /*scratch*/) const {
  tile.a = packed_ + g_.filters * (block.task.group * depth_ + block.first_depth) +
           (block.task.first_row + row) * block.depth;
  tile.a_stride = block.depth;
}

}  // namespace convserve
