#include "core/algorithms/winograd_transform.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "core/algorithms/border.h"
#include "core/divide.h"

namespace convserve {
namespace {

// Of a grid's outputs (core/algorithms/winograd_layout.h): neighbours are as far apart as taps.
std::array<Phase, 3> GridPhases(const Problem& problem, const Geometry& g) {
  std::array<Phase, 3> phases = FirstPhases(problem, g);
  for (const std::size_t axis : {std::size_t{1}, std::size_t{2}}) {
    Phase& phase = phases[axis];
    phase.outputs = CeilDivide(phase.outputs, phase.tap_step);
    phase.output_step = phase.tap_step;
    phase.input_step = phase.tap_step;
  }
  return phases;
}

}  // namespace

WinogradTransform::WinogradTransform(const Problem& problem, const Geometry& g,
                                     const WinogradLayout& layout, const Operands& operands)
    : g_(g),
      layout_(layout),
      patches_{g, problem.padding_mode(), GridPhases(problem, g), operands.input, operands.weight},
      window_(patches_, {2 * layout.tiles().rows, 2 * layout.tiles().columns}) {}

void WinogradTransform::Input(const Tiles& tiles, const Channels& channels, float* window,
                              float* out) const {
  const WinogradLayout::Block& block = tiles.block;
  std::vector<WindowCopy> copies;
  for (std::int64_t i = 0; i < block.grids; ++i) {
    const auto [origin, extent] = layout_.OutputsAt(block, i);
    copies.push_back(window_.Copies(origin, extent));
    copies.back().FillPadding(window + i * window_.channel_size());
  }
  const float* input =
      patches_.input.As<float>() + tiles.image * g_.input.batch + channels.first * g_.input.channel;
  const std::int64_t strip = PanelKernels().strip;
  for (std::int64_t c = 0; c < channels.count; ++c, input += g_.input.channel) {
    constexpr std::int64_t kAhead = 4;
    // Small grids meet the same lines, which follow those of the channel before.
    if (copies.size() == 1 && channels.first + c + kAhead < g_.channels) {
      copies[0].Prefetch(input + kAhead * g_.input.channel);
    }
    float* to = window;
    for (const WindowCopy& copy : copies) {
      copy.CopyChannel(input, to);
      to += window_.channel_size();
    }
    for (std::int64_t z = 0; z < layout_.planes(); ++z, out += strip) {
      for (std::int64_t i = 0; i < block.grids; ++i) {
        kernels_.input({.tiles = block.tiles,
                        .first_tile = i * block.tiles.count(),
                        .window = window + i * window_.channel_size() + window_.Offset(0, 9 * z),
                        .pitch = window_.pitch(),
                        .out = out,
                        .element_stride = layout_.tiles_stride(),
                        .strip_stride = (channels.count * layout_.planes() + 1) * strip});
      }
    }
  }
}

void WinogradTransform::Output(const Tiles& tiles, const Filters& filters, const float* sums,
                               const std::vector<float>& bias, float* out) const {
  const WinogradLayout::Block& block = tiles.block;
  for (std::int64_t i = 0; i < block.grids; ++i) {
    const auto [origin, extent] = layout_.OutputsAt(block, i);
    float* to = out + tiles.image * g_.output.batch + filters.first * g_.output.channel +
                OutputOffset(g_, patches_.phases, {origin.z, origin.y, origin.x}) +
                origin.beside_y * g_.output.spatial[1] + origin.beside_x;
    for (std::int64_t m = 0; m < filters.count; ++m, to += g_.output.channel) {
      kernels_.output({.tiles = block.tiles,
                       .sums = sums + m * layout_.sums_pitch() + i * block.tiles.count(),
                       .stride = layout_.sums_stride(),
                       .bias = bias[static_cast<std::size_t>(filters.first + m)],
                       .out = to,
                       .pitch = patches_.phases[1].output_step * g_.output.spatial[1],
                       .step = patches_.phases[2].output_step,
                       .rows = extent.rows,
                       .columns = extent.width});
    }
  }
}

}  // namespace convserve
