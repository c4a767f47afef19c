#include "core/algorithms/weight_panels.h"

#include <algorithm>
#include <stop_token>

#include "core/algorithms/patches.h"
#include "core/algorithms/tasks.h"

namespace convserve {

WeightPanels::WeightPanels(const Problem& problem, const Geometry& g, const PanelLayout& layout,
                           const TensorView& weight, std::span<const std::byte> packed)
    : g_(g),
      layout_(layout),
      weight_(weight.As<float>() + g.weight.offset),
      packed_(packed.empty() ? nullptr : reinterpret_cast<const float*>(packed.data())),
      filters_outermost_(problem.operation() == Operation::kConv) {
  const auto& phases = layout.phases();
  if (phases.empty()) return;
  in_order_ = !phases.front().shares_taps() &&
              WeightsInOrder(problem, phases.front().patches, DataType::kFloat32);
  if (in_order_) {  // a block of them is one run
    for (std::int64_t k = 0; k < layout.panel_depth(); ++k) taps_.push_back({k, k, 0});
    return;
  }
  std::vector<bool> met(static_cast<std::size_t>(layout.panel_depth()));
  for (const PanelPhase& phase : phases) {
    auto at = phase.taps_at.begin();
    for (const std::int64_t from : TapOffsets(phase.patches)) {
      const std::int64_t to = *at++;
      if (met[static_cast<std::size_t>(to)]) continue;
      met[static_cast<std::size_t>(to)] = true;
      taps_.push_back({from, to, phase.channel_step()});
    }
  }
  std::sort(taps_.begin(), taps_.end(),
            [](const PanelTap& a, const PanelTap& b) { return a.from < b.from; });
}

const float* WeightPanels::Panels(const Block& block, float* scratch) const {
  if (packed_ != nullptr) return packed_ + Offset(block);
  Pack(block, scratch);
  return scratch;
}

PanelFetch WeightPanels::Fetch(const Block& block) const {
  constexpr std::int64_t kRow = 64;
  if (packed_ != nullptr) {
    return {packed_ + Offset(block), block.rows * layout_.panel_depth() / kRow, kRow, kRow};
  }
  if (filters_outermost_) {
    return {At(block), block.rows, g_.weight.filter, block.channels * g_.weight.channel};
  }
  return {At(block), block.channels, g_.weight.channel, block.rows * g_.weight.filter};
}

std::size_t WeightPanels::Bytes(const Geometry& g, const PanelLayout& layout) {
  std::int64_t size = kPanelSlack;
  if (!layout.phases().empty()) {
    size += g.groups * layout.depth_blocks() * layout.panel_depth() * g.filters;
  }
  return static_cast<std::size_t>(size) * sizeof(float);
}

void WeightPanels::PackAll(float* out) const {
  if (layout_.phases().empty()) return;
  const std::int64_t blocks = layout_.depth_blocks();
  ForEachTask(g_.groups * blocks, {}, [&](std::int64_t task) {
    Block block{.group = task / blocks,
                .first_row = 0,
                .rows = g_.filters,
                .panels = 0,
                .first_channel = task % blocks * layout_.channels(),
                .channels = 0};
    block.channels = std::min(layout_.channels(), g_.channels - block.first_channel);
    Pack(block, out + Offset(block));
  });
}

// [group][block of depth][filter][depth of a panel]
std::int64_t WeightPanels::Offset(const Block& block) const {
  const std::int64_t index =
      block.group * layout_.depth_blocks() + block.first_channel / layout_.channels();
  return (index * g_.filters + block.first_row) * layout_.panel_depth();
}

const float* WeightPanels::At(const Block& block) const {
  return weight_ + block.group * g_.weight.group + block.first_row * g_.weight.filter +
         block.first_channel * g_.weight.channel;
}

void WeightPanels::Pack(const Block& block, float* out) const {
  std::span<const PanelTap> taps = taps_;
  if (in_order_) taps = taps.first(static_cast<std::size_t>(block.channels * layout_.taps()));
  PackingKernels().weights({.from = At(block),
                            .rows = block.rows,
                            .panels = block.panels,
                            .row_stride = g_.weight.filter,
                            .channels = in_order_ ? 1 : block.channels,
                            .channel_stride = g_.weight.channel,
                            .taps = taps,
                            .in_order = in_order_,
                            .out = out,
                            .panel_depth = layout_.panel_depth()});
}

}  // namespace convserve
