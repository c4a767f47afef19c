#include "core/algorithms/narrow_phase.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <type_traits>

#include "core/algorithms/border.h"
#include "core/algorithms/outputs_apart.h"
#include "core/divide.h"
#include "core/kernels/byte_kernel.h"
#include "core/kernels/pair_kernel.h"

namespace convserve {
namespace {

constexpr std::int32_t kFlipAll = static_cast<std::int32_t>(0x80808080U);

// Elements of channels that are a quarter padding at most are worth a window.
bool ChannelsFill(std::int64_t channels, std::int64_t count) {
  return RoundUp(channels, count) * 3 <= channels * 4;
}

TensorView As(DataType type, TensorView tensor) {
  tensor.data_type = type;
  return tensor;
}

// Of numbers side by side, where an instruction wants to know.
bool AreModerate(const BFloat16* numbers, std::int64_t count) {
  const PairTable& kernels = PairKernels();
  return kernels.in_one && kernels.magnitudes(numbers, count).moderate;
}

// The same of what a window's copy of a channel reads.
bool AreModerate(const BFloat16* channel, const WindowCopy::Reach& reach) {
  return AreModerate(channel + reach.first, reach.last - reach.first);
}

}  // namespace

bool ArePairs(const Problem& problem) {
  // So many filters are worth patches of few channels.
  constexpr std::int64_t kManyFilters = 64;
  const Geometry g(problem);
  return problem.input_type() == DataType::kBFloat16 &&
         problem.weight_type() == DataType::kBFloat16 &&
         (ChannelsFill(g.channels, BFloat16Pair::kCount) || g.filters >= kManyFilters);
}

std::vector<std::array<Phase, 3>> NarrowOutputsApart(const Problem& problem, const Geometry& g) {
  constexpr double kProductsPerTap = 160;
  return OutputsApart(problem, g, kProductsPerTap);
}

template <class Narrow>
bool NarrowPhase<Narrow>::HasElements(const Geometry& g) {
  return g.input.channel == 1 && g.channels % kCount == 0;
}

template <class Narrow>
Geometry NarrowPhase<Narrow>::InElements(Geometry g) {
  if (HasElements(g)) {
    for (std::int64_t* stride : {&g.input.batch, &g.input.group, &g.input.spatial[0],
                                 &g.input.spatial[1], &g.input.spatial[2]}) {
      *stride /= kCount;
    }
  } else {
    g.input.channel *= kCount;
  }
  g.channels = CeilDivide(g.channels, kCount);
  return g;
}

template <class Narrow>
NarrowPhase<Narrow>::NarrowPhase(const Run& run, const Geometry& g,
                                 const std::array<Phase, 3>& axes, bool sums_in_output)
    : g_(g),
      elements_(InElements(g)),
      numbers_{g, run.problem.padding_mode(), axes, As(Narrow::kType, run.operands.input),
               As(Narrow::kType, run.operands.weight)},
      element_patches_{elements_, numbers_.mode, axes, numbers_.input, numbers_.weight},
      signed_input_(run.problem.input_type() == DataType::kInt8),
      signed_weight_(run.problem.weight_type() == DataType::kInt8),
      tiling_(MakeTiling(element_patches_, {.buffer = kGemmBuffer<Element>,
                                            .sums_in_output = sums_in_output,
                                            .windows = ChannelsFill(g.channels, kCount),
                                            .products_per_copy = Narrow::kProductsPerCopy})),
      tap_weights_(TapOffsets(numbers_)),
      corrections_(static_cast<std::size_t>(kBytes ? g.groups * g.filters : 0)) {
  if (!tiling_.window) {
    depth_ = CeilDivide(numbers_.depth(), kCount);
    return;
  }
  depth_ = element_patches_.depth();
  window_.emplace(element_patches_, tiling_.extent);
  tap_offsets_ = WindowTaps(*window_, numbers_.taps());
}

template <class Narrow>
GemmKernel<typename Narrow::Element> NarrowPhase<Narrow>::Kernel(const Problem& problem) {
  if constexpr (kBytes) {
    const ByteTable& kernels = ByteKernels();
    return problem.weight_type() == DataType::kInt8 ? kernels.signed_rows : kernels.unsigned_rows;
  } else {
    return PairKernels().gemm;
  }
}

// The weights of a filter, which lie in the tensor in the order of the patch matrix, as elements.
template <class Narrow>
void NarrowPhase<Narrow>::PackFilter(const Number* weights, Element* row) const {
  const std::int64_t taps = numbers_.taps();
  const std::int64_t depth = numbers_.depth();
  if (!ChannelsApart()) {
    row[depth_ - 1] = 0;
    std::memcpy(row, weights, static_cast<std::size_t>(depth) * sizeof(Number));
    return;
  }
  SharedWeights::MakeRows(weights, taps, taps, g_.channels, row);
}

// The same of a filter that was gathered.
template <class Narrow>
void NarrowPhase<Narrow>::PackGathered(const Number* weights, Element* row) const {
  if (ChannelsApart()) {
    Narrow::Make(weights, depth_, depth_, 0, row);
  } else {
    std::memcpy(row, weights, static_cast<std::size_t>(depth_) * sizeof(Element));
  }
}

// The weights of some filters, which lie anywhere in the tensor, in the order of the patch matrix;
// where channels are apart, those of the same place in their elements side by side.
template <class Narrow>
std::vector<typename Narrow::Number> NarrowPhase<Narrow>::GatherFilters(
    const WeightPart& part, const Number* weights) const {
  const std::int64_t taps = numbers_.taps();
  std::vector<Number> gathered(static_cast<std::size_t>(part.filters * gathered_pitch()));
  // Channel by channel, as most such tensors have the filters of one close together.
  const auto gather = [&, pitch = gathered_pitch()](auto taps_of_phase, auto offsets) {
    for (std::int64_t c = 0; c < g_.channels; ++c) {
      const Number* from = weights + c * g_.weight.channel;
      const std::int64_t place = ChannelsApart() ? c % kCount * elements_.channels + c / kCount : c;
      Number* to = gathered.data() + place * taps_of_phase;
      for (std::int64_t i = 0; i < part.filters; ++i, from += g_.weight.filter, to += pitch) {
        for (std::int64_t t = 0; t < taps_of_phase; ++t) {
          to[t] = from[offsets[static_cast<std::size_t>(t)]];
        }
      }
    }
  };
  // A few taps in registers: bytes could change whatever memory their offsets are in, for all the
  // compiler knows.
  const auto gather_few = [&]<std::int64_t kTaps>(std::integral_constant<std::int64_t, kTaps> few) {
    std::array<std::int64_t, kTaps> offsets;
    std::copy_n(tap_weights_.begin(), kTaps, offsets.begin());
    gather(few, offsets);
  };
  switch (taps) {
    case 1:
      gather_few(std::integral_constant<std::int64_t, 1>());
      break;
    case 2:
      gather_few(std::integral_constant<std::int64_t, 2>());
      break;
    case 4:
      gather_few(std::integral_constant<std::int64_t, 4>());
      break;
    default:
      gather(taps, tap_weights_);
  }
  return gathered;
}

// Takes down what is to be known of the weights of a filter, counted over all groups.
template <class Narrow>
void NarrowPhase<Narrow>::LookAtFilter(std::int64_t filter, const Element* row) {
  const auto* const weights = reinterpret_cast<const Number*>(row);
  const std::int64_t count = depth_ * kCount;
  if constexpr (kBytes) {
    if (signed_input_ != signed_weight_) return;
    std::int64_t sum = 0;
    for (std::int64_t k = 0; k < count; ++k) {
      sum += signed_weight_ ? static_cast<std::int8_t>(weights[k]) : weights[k];
    }
    corrections_[static_cast<std::size_t>(filter)] = signed_weight_ ? -128 * sum : 128 * sum;
  } else {
    const Magnitudes magnitudes = PairKernels().magnitudes(weights, count);
    if (!magnitudes.finite) finite_ = false;
    if (!magnitudes.moderate) moderate_ = false;
  }
}

template <class Narrow>
void NarrowPhase<Narrow>::Pack(const WeightPart& part, SharedWeights& shared) {
  if (depth_ == 0) return;
  const auto* const tensor = numbers_.weight.template As<Number>();
  const Number* weights = tensor + g_.weight.offset + part.group * g_.weight.group +
                          part.first_filter * g_.weight.filter;
  const bool in_order = FiltersInOrder(numbers_, tap_weights_);
  const bool of_kernels = !in_order && window_ && SharedWeights::Suit(g_);
  const std::int64_t pitch = of_kernels ? OddLines(depth_) : 0;
  std::vector<Number> gathered;
  std::vector<Element> rows(static_cast<std::size_t>(depth_ + (part.filters - 1) * pitch));
  if (of_kernels) {
    shared.Make(g_, tensor, part);
    shared.Take(tap_weights_, pitch, rows.data());
  } else if (!in_order) {
    gathered = GatherFilters(part, weights);
  }
  for (std::int64_t i = 0; i < part.filters; ++i) {
    const std::int64_t filter = part.first_filter + i;
    Element* const row = rows.data() + i * pitch;
    if (in_order) {
      PackFilter(weights + i * g_.weight.filter, row);
    } else if (!of_kernels) {
      PackGathered(gathered.data() + i * gathered_pitch(), row);
    }
    for (std::int64_t k = 0; k < depth_; k += kDepthBlock) {
      const std::int64_t block_depth = std::min(kDepthBlock, depth_ - k);
      std::copy_n(row + k, block_depth,
                  packed_ + g_.filters * (part.group * depth_ + k) + filter * block_depth);
    }
    LookAtFilter(part.group * g_.filters + filter, row);
  }
}

template <class Narrow>
void NarrowPhase<Narrow>::Copy(const GemmBlock& block, GemmScratch<Element>& scratch) const {
  if (window_) {
    CopyWindow(block, scratch);
  } else {
    CopyPatches(block, scratch);
  }
}

template <class Narrow>
void NarrowPhase<Narrow>::CopyPatches(const GemmBlock& block, GemmScratch<Element>& scratch) const {
  // So few at a time that their numbers are still in the L2 cache when they become elements.
  constexpr std::int64_t kColumns = 256 / sizeof(Number);
  const std::int64_t pitch = OddLines(block.columns.count);
  scratch.moderate = true;
  for (std::int64_t first = 0; first < block.columns.count; first += kColumns) {
    const std::int64_t count = std::min(kColumns, block.columns.count - first);
    CopyColumns(block, {block.columns.first + first, count}, pitch, scratch.buffer + first,
                scratch);
  }
  SetPatchOffsets(pitch, block.depth, scratch.offsets.data());
}

template <class Narrow>
void NarrowPhase<Narrow>::CopyColumns(const GemmBlock& block, const Columns& columns,
                                      std::int64_t pitch, Element* out,
                                      GemmScratch<Element>& scratch) const {
  auto* const rows = reinterpret_cast<Number*>(scratch.rest);
  const std::int64_t first = block.first_depth * kCount;
  const std::int64_t depth = std::min(block.depth * kCount, numbers_.depth() - first);
  const std::int64_t count = columns.count;
  PackPatches(numbers_, block.task.batch, block.task.group, {columns.first, count, first, depth},
              count, rows);
  if constexpr (!kBytes) {
    // No weight of zero makes up for what is not finite.
    std::fill_n(rows + depth * count, (block.depth * kCount - depth) * count, Number{});
    scratch.moderate = scratch.moderate && AreModerate(rows, depth * count);
  }
  for (std::int64_t k = 0; k < block.depth; ++k) {
    Narrow::Make(rows + k * kCount * count, count, count, flip(), out + k * pitch);
  }
}

template <class Narrow>
void NarrowPhase<Narrow>::CopyWindow(const GemmBlock& block, GemmScratch<Element>& scratch) const {
  const std::int64_t taps = numbers_.taps();
  const std::int64_t first = block.first_depth / taps;
  const std::int64_t last = (block.first_depth + block.depth - 1) / taps + 1;
  const WindowCopy copies = window_->Copies(block.columns.origin, block.extent);
  if (HasElements(g_)) {
    CopyElements(copies, block, first, last, scratch);
  } else {
    MakeElements(copies, block.task, first * kCount, std::min(last * kCount, g_.channels), scratch);
  }
  SetWindowOffsets(*window_, tap_offsets_, block.first_depth, block.depth, scratch.offsets.data());
}

// Channels [first, last) of elements.
template <class Narrow>
void NarrowPhase<Narrow>::CopyElements(const WindowCopy& copies, const GemmBlock& block,
                                       std::int64_t first, std::int64_t last,
                                       GemmScratch<Element>& scratch) const {
  const std::int64_t size = window_->channel_size();
  const auto* input = numbers_.input.template As<Numbers>() +
                      block.task.batch * elements_.input.batch +
                      block.task.group * elements_.input.group;
  auto* const elements = reinterpret_cast<Numbers*>(scratch.buffer);
  copies.CopyChannels(input + first, last - first, true, elements, size);
  if constexpr (!kBytes) {
    // All channels are side by side.
    if (block.first_depth == 0) {
      const auto [from, to] = copies.Reads();
      const auto* numbers = reinterpret_cast<const Number*>(input);
      scratch.moderate =
          from == to || AreModerate(numbers, {from * kCount, (to - 1) * kCount + g_.channels});
    }
  } else if (flip() != 0) {
    const std::int64_t count = (last - first) * size + window_->overhang();
    for (std::int64_t i = 0; i < count; ++i) scratch.buffer[i] ^= kFlipAll;
  }
}

// Of channels [first, last).
template <class Narrow>
void NarrowPhase<Narrow>::MakeElements(const WindowCopy& copies, const GemmTask& task,
                                       std::int64_t first, std::int64_t last,
                                       GemmScratch<Element>& scratch) const {
  const std::int64_t size = window_->channel_size();
  const std::int64_t count = size + window_->overhang();
  const Number* input = numbers_.input.template As<Number>() + task.batch * g_.input.batch +
                        task.group * g_.input.group + first * g_.input.channel;
  auto* const planes = reinterpret_cast<Number*>(scratch.rest);
  Element* out = scratch.buffer;
  // The planes of all elements have their padding at the same places.
  for (std::int64_t i = 0; i < kCount; ++i) copies.FillPadding(planes + i * size);
  scratch.moderate = true;
  const std::optional<WindowCopy::Stretch> stretch = copies.OneStretch();
  const WindowCopy::Reach reads = copies.Reads();
  // Rows of different channels are too far apart for the processor to foresee them.
  constexpr std::int64_t kAhead = 4;
  for (std::int64_t c = first; c < last; c += kCount, out += size) {
    const std::int64_t channels = std::min(kCount, last - c);
    const bool in_place = stretch && channels == kCount;
    const Number* from = input;
    for (std::int64_t i = 0; i < channels; ++i, input += g_.input.channel) {
      if (c + i + kAhead < last) copies.Prefetch(input + kAhead * g_.input.channel);
      if (!in_place) copies.CopyChannel(input, planes + i * size);
      if constexpr (!kBytes) {
        scratch.moderate = scratch.moderate && AreModerate(input, reads);
      }
    }
    if (in_place) {
      Narrow::Make(from + stretch->from, g_.input.channel, stretch->count, flip(),
                   out + stretch->to);
      continue;
    }
    if constexpr (!kBytes) {
      // No weight of zero makes up for what is not finite.
      if (channels < kCount) std::fill_n(planes + channels * size, count, Number{});
    }
    Narrow::Make(planes, size, count, flip(), out);
  }
}

template <class Narrow>
void NarrowPhase<Narrow>::SetWeights(const GemmBlock& block, std::int64_t row,
                                     GemmTile<Element>& tile,
                                     const GemmScratch<Element>& scratch) const {
  tile.a = packed_ + g_.filters * (block.task.group * depth_ + block.first_depth) +
           (block.task.first_row + row) * block.depth;
  tile.a_stride = block.depth;
  tile.moderate = moderate_ && scratch.moderate;
}

template class NarrowPhase<ByteQuad>;
template class NarrowPhase<BFloat16Pair>;

}  // namespace convserve
