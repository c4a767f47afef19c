// Weights of narrow numbers as elements (core/algorithms/narrow_phase.h) of whole kernels, from
// which the phases of a convolution take their taps: made once for all phases, several numbers at a
// time.
#ifndef CONVSERVE_CORE_ALGORITHMS_NARROW_KERNELS_H_
#define CONVSERVE_CORE_ALGORITHMS_NARROW_KERNELS_H_

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "core/algorithms/patches.h"
#include "core/divide.h"
#include "core/geometry.h"

namespace convserve {

// Narrow is ByteQuad or BFloat16Pair.
template <class Narrow>
class NarrowKernels {
 public:
  using Number = typename Narrow::Number;
  using Element = typename Narrow::Element;

  // Whether kernels lie side by side as a whole: those of a filter, or those of a channel.
  static bool Suit(const Geometry& g) {
    std::int64_t step = 1;
    for (const std::size_t axis : {std::size_t{2}, std::size_t{1}, std::size_t{0}}) {
      const std::int64_t size = g.axes[axis].kernel;
      if (size > 1 && std::abs(g.weight.kernel[axis]) != step) return false;
      step *= size;
    }
    return g.weight.channel == step || g.weight.filter == step;
  }

  // Makes the elements of a part that has all channels, unless this has been done.
  void Make(const Geometry& g, const Number* weights, const WeightPart& part) {
    if (!elements_.empty()) return;
    const std::int64_t taps = g.taps();
    const std::int64_t channels = CeilDivide(g.channels, Narrow::kCount);
    first_tap_ = g.weight.offset;
    filters_ = part.filters;
    channels_ = channels;
    weights += part.group * g.weight.group + part.first_filter * g.weight.filter;
    elements_.resize(static_cast<std::size_t>(part.filters * channels * taps));
    if (g.weight.channel == taps) {
      filter_step_ = channels * taps;
      channel_step_ = taps;
      for (std::int64_t i = 0; i < part.filters; ++i) {
        MakeRows(weights + i * g.weight.filter, taps, taps, g.channels,
                 elements_.data() + i * filter_step_);
      }
    } else {
      filter_step_ = taps;
      channel_step_ = part.filters * taps;
      MakeRows(weights, g.weight.channel, channel_step_, g.channels, elements_.data());
    }
  }

  // Of every filter of the part, the elements of every channel for taps that stand so far from the
  // first one: [filters][channels][taps], `pitch` from one filter to the next.
  void Take(const std::vector<std::int64_t>& taps, std::int64_t pitch, Element* out) const {
    const auto count = static_cast<std::int64_t>(taps.size());
    const auto take = [&](std::int64_t i, std::int64_t c) {
      const Element* from = elements_.data() + i * filter_step_ + c * channel_step_ + first_tap_;
      Element* to = out + i * pitch + c * count;
      for (std::int64_t t = 0; t < count; ++t) to[t] = from[taps[static_cast<std::size_t>(t)]];
    };
    // In the order of memory.
    if (filter_step_ > channel_step_) {
      for (std::int64_t i = 0; i < filters_; ++i) {
        for (std::int64_t c = 0; c < channels_; ++c) take(i, c);
      }
    } else {
      for (std::int64_t c = 0; c < channels_; ++c) {
        for (std::int64_t i = 0; i < filters_; ++i) take(i, c);
      }
    }
  }

  // Elements of `count` numbers in a row, from `channels` such rows; what is missing of the last
  // ones is zero.
  static void MakeRows(const Number* from, std::int64_t pitch, std::int64_t count,
                       std::int64_t channels, Element* to) {
    const std::int64_t whole = channels / Narrow::kCount;
    const std::int64_t rest = channels % Narrow::kCount;
    Narrow::Make(from, pitch, count, 0, to, whole);
    if (rest == 0) return;
    std::vector<Number> last(static_cast<std::size_t>(Narrow::kCount * count));
    for (std::int64_t i = 0; i < rest; ++i) {
      std::copy_n(from + (whole * Narrow::kCount + i) * pitch, count, last.begin() + i * count);
    }
    Narrow::Make(last.data(), count, count, 0, to + whole * count);
  }

 private:
  std::vector<Element> elements_;
  std::int64_t first_tap_ = 0, filters_ = 0, channels_ = 0;
  std::int64_t filter_step_ = 0, channel_step_ = 0;
};

}  // namespace convserve

#endif  // CONVSERVE_CORE_ALGORITHMS_NARROW_KERNELS_H_
