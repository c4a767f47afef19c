#include "core/algorithms/winograd_transform.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "core/algorithms/border.h"
#include "core/divide.h"
#include "core/kernels/packing_kernel.h"

namespace convserve {
namespace {

// Of channels that lie side by side: as many as a few lines have.
constexpr std::int64_t kChannelsAtOnce = 32;

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
      window_(patches_, Covered(layout.tiles())),
      kernels_(WinogradKernels().of(layout.width())) {}

Window::Extent WinogradTransform::Covered(const WinogradTiles& tiles) const {
  return {kWinogradHeight * tiles.rows, layout_.width() * tiles.columns};
}

void WinogradTransform::Input(const Tiles& tiles, const Channels& channels, float* windows,
                              float* out) const {
  const WinogradLayout::Block& block = tiles.block;
  // Channels that lie side by side are copied together.
  const std::int64_t at_once =
      g_.channels_last() ? std::clamp<std::int64_t>(kWinogradWindows / window_size(), 1,
                                                    std::min(kChannelsAtOnce, channels.count))
                         : 1;
  std::vector<WindowCopy> copies;
  for (std::int64_t i = 0; i < block.grids; ++i) {
    // Wide tiles make every output of all of their inputs, also of those past the last output.
    const auto [origin, extent] = layout_.OutputsAt(block, i);
    copies.push_back(window_.Copies(origin, layout_.width() == 2 ? extent : Covered(block.tiles)));
    for (std::int64_t c = 0; c < at_once; ++c) {
      copies.back().FillPadding(windows + c * window_size() + i * window_.channel_size());
    }
  }
  const float* input =
      patches_.input.As<float>() + tiles.image * g_.input.batch + channels.first * g_.input.channel;
  const std::int64_t strip = PanelKernels().strip;
  for (std::int64_t c = 0; c < channels.count; c += at_once) {
    const std::int64_t count = std::min(at_once, channels.count - c);
    // Small grids meet the same lines, which follow those of the channel before.
    const std::int64_t known = copies.size() == 1 ? g_.channels - channels.first - c : 0;
    for (std::size_t i = 0; i < copies.size(); ++i) {
      copies[i].CopyChannels(input + c * g_.input.channel, count, false,
                             windows + static_cast<std::int64_t>(i) * window_.channel_size(),
                             window_size(), known);
    }
    for (std::int64_t k = 0; k < count * layout_.planes(); ++k, out += strip) {
      const float* window = windows + k / layout_.planes() * window_size() +
                            window_.Offset(0, 9 * (k % layout_.planes()));
      for (std::int64_t i = 0; i < block.grids; ++i) {
        kernels_.input({.tiles = block.tiles,
                        .first_tile = i * block.tiles.count(),
                        .window = window + i * window_.channel_size(),
                        .pitch = window_.pitch(),
                        .out = out,
                        .element_stride = layout_.tiles_stride(),
                        .strip_stride = (channels.count * layout_.planes() + 1) * strip});
      }
    }
  }
}

void WinogradTransform::Output(const Tiles& tiles, const Filters& filters, const float* sums,
                               const std::vector<float>& bias, float* windows, float* out) const {
  const WinogradLayout::Block& block = tiles.block;
  for (std::int64_t i = 0; i < block.grids; ++i) {
    const auto [origin, extent] = layout_.OutputsAt(block, i);
    float* const to = out + tiles.image * g_.output.batch + filters.first * g_.output.channel +
                      OutputOffset(g_, patches_.phases, {origin.z, origin.y, origin.x}) +
                      origin.beside_y * g_.output.spatial[1] +
                      origin.beside_x * g_.output.spatial[2];
    WinogradOutput outputs{.tiles = block.tiles,
                           .sums = sums + i * block.tiles.count(),
                           .stride = layout_.sums_stride(),
                           .out = to,
                           .pitch = patches_.phases[1].output_step * g_.output.spatial[1],
                           .step = patches_.phases[2].output_step * g_.output.spatial[2],
                           .rows = extent.rows,
                           .columns = extent.width};
    const float* const bias_of_first = bias.data() + filters.first;
    if (g_.channels_last()) {
      OutputSideBySide(outputs, filters.count, bias_of_first, windows);
      continue;
    }
    for (std::int64_t m = 0; m < filters.count; ++m) {
      outputs.bias = bias_of_first[m];
      kernels_.output(outputs);
      outputs.sums += layout_.sums_pitch();
      outputs.out += g_.output.channel;
    }
  }
}

// Makes the outputs of some filters at a time row by row in `windows`, and puts them together.
void WinogradTransform::OutputSideBySide(const WinogradOutput& outputs, std::int64_t filters,
                                         const float* bias, float* windows) const {
  const std::int64_t pitch = RoundUp(outputs.columns, kWinogradSlack);
  const std::int64_t size = OddLines(outputs.rows * pitch);
  const std::int64_t at_once = std::min(filters, kWinogradWindows / size);
  for (std::int64_t first = 0; first < filters; first += at_once) {
    const std::int64_t count = std::min(at_once, filters - first);
    for (std::int64_t m = 0; m < count; ++m) {
      WinogradOutput rows = outputs;
      rows.sums += (first + m) * layout_.sums_pitch();
      rows.bias = bias[first + m];
      rows.out = windows + m * size;
      rows.pitch = pitch;
      rows.step = 1;
      kernels_.output(rows);
    }
    for (std::int64_t y = 0; y < outputs.rows; ++y) {
      PackingKernels().transpose({.from = windows + y * pitch,
                                  .from_pitch = size,
                                  .rows = outputs.columns,
                                  .columns = count,
                                  .to = outputs.out + y * outputs.pitch + first,
                                  .to_pitch = outputs.step});
    }
  }
}

}  // namespace convserve
