#include "core/algorithms/winograd_panels.h"

#include <atomic>
#include <cstddef>

#include "core/algorithms/even.h"
#include "core/algorithms/tasks.h"

namespace convserve {
namespace {

// Elements of the panels of a block.
std::int64_t BlockSize(const WinogradLayout& layout) {
  return layout.elements() * layout.panels_stride();
}

}  // namespace

WinogradPanels::Norms::Norms(const Filters& filters)
    : filters_(filters),
      sums_(static_cast<std::size_t>(9 * filters.count)),
      squares_(sums_.size()) {}

bool WinogradPanels::Norms::Even(const Evenness& evenness) const {
  for (std::int64_t i = 0; i < filters_.count; ++i) {
    const auto at = [&](std::int64_t tap) {
      return static_cast<std::size_t>(tap * filters_.count + i);
    };
    float total = 0;
    for (std::int64_t t = 0; t < 9; ++t) total += sums_[at(t)];
    const float least = total / 9 / 8;  // no tap below an eighth of the average
    for (std::int64_t t = 0; t < 9; ++t) {
      if (!evenness.Holds(sums_[at(t)], squares_[at(t)]) || !(sums_[at(t)] >= least)) return false;
    }
  }
  return true;
}

WinogradPanels::WinogradPanels(const Geometry& g, const WinogradLayout& layout,
                               const TensorView& weight, const float* packed)
    : g_(g), layout_(layout), weight_(weight.As<float>()), packed_(packed) {}

const float* WinogradPanels::Packed(const Filters& filters, const Channels& channels) const {
  return packed_ == nullptr ? nullptr : packed_ + Offset(filters, channels);
}

PanelFetch WinogradPanels::Fetch(const Filters& filters, const Channels& channels) const {
  constexpr std::int64_t kRow = 64;
  if (const float* packed = Packed(filters, channels); packed != nullptr) {
    return {packed, BlockSize(layout_) / kRow, kRow, kRow};
  }
  const std::int64_t taps = 9 * layout_.planes();
  return {weight_ + filters.first * g_.weight.filter + channels.first * taps, filters.count,
          g_.weight.filter, channels.count * taps};
}

std::int64_t WinogradPanels::Size(const WinogradLayout& layout) {
  return layout.filter_blocks() * layout.depth_blocks() * BlockSize(layout);
}

bool WinogradPanels::PackAll(const std::stop_token& stop, float* out) const {
  std::atomic<bool> even = true;
  ForEachTask(layout_.filter_blocks(), stop, [&](std::int64_t task) {
    const Filters filters = FiltersAt(task, 1);
    Norms norms(filters);
    for (std::int64_t c = 0; c < g_.channels; c += layout_.channels()) {
      const Channels channels = ChannelsAt(c);
      Transform(filters, channels, out + Offset(filters, channels), norms);
    }
    if (!norms.Even(EvennessFor(layout_.width()))) even = false;
  });
  return even;
}

std::int64_t WinogradPanels::Offset(const Filters& filters, const Channels& channels) const {
  return (filters.first / layout_.filters() * layout_.depth_blocks() +
          channels.first / layout_.channels()) *
         BlockSize(layout_);
}

void WinogradPanels::Transform(const Filters& filters, const Channels& channels, float* out,
                               Norms& norms) const {
  const std::int64_t row = filters.first - norms.filters_.first;
  const std::int64_t taps = 9 * layout_.planes();
  kernels_.of(layout_.width())
      .weights({.weights = weight_ + filters.first * g_.weight.filter + channels.first * taps,
                .filters = filters.count,
                .filter_stride = g_.weight.filter,
                .count = channels.count * layout_.planes(),
                .out = out,
                .element_stride = layout_.panels_stride(),
                .sums = norms.sums_.data() + row,
                .squares = norms.squares_.data() + row,
                .norm_stride = norms.filters_.count});
}

}  // namespace convserve
