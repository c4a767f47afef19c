// What kWinograd makes of the input and of its sums, block of tiles by block of tiles.
#ifndef CONVSERVE_CORE_ALGORITHMS_WINOGRAD_TRANSFORM_H_
#define CONVSERVE_CORE_ALGORITHMS_WINOGRAD_TRANSFORM_H_

#include <cstdint>
#include <vector>

#include "core/algorithms/algorithm.h"
#include "core/algorithms/patches.h"
#include "core/algorithms/window.h"
#include "core/algorithms/winograd_layout.h"
#include "core/algorithms/winograd_panels.h"
#include "core/geometry.h"
#include "core/kernels/panel_kernel.h"
#include "core/kernels/winograd_kernel.h"
#include "core/problem.h"
#include "core/tensor.h"

namespace convserve {

// Elements of the windows that parts of channels are copied to, and outputs on their way to filters
// that lie side by side.
inline constexpr std::int64_t kWinogradWindows = std::int64_t{32} * 1024;

// Thread-safe.
class WinogradTransform {
 public:
  using Filters = WinogradPanels::Filters;
  using Channels = WinogradPanels::Channels;
  struct Tiles {
    std::int64_t image;
    WinogradLayout::Block block;
  };

  // The operands are those of a run; nothing for what no run needs.
  WinogradTransform(const Problem& problem, const Geometry& g, const WinogradLayout& layout,
                    const Operands& operands);

  // Elements that Input copies parts of a channel to.
  std::int64_t window_size() const { return layout_.block_grids() * window_.channel_size(); }
  // The transformed tiles of some channels, in strips of a product for each element,
  // layout.tiles_stride() apart.
  void Input(const Tiles& tiles, const Channels& channels, float* windows, float* out) const;
  // Makes the outputs of some filters in `out`, where their sums begin at `sums`:
  // layout.sums_pitch() from one filter to the next, layout.sums_stride() from one
  // element to the next.
  void Output(const Tiles& tiles, const Filters& filters, const float* sums,
              const std::vector<float>& bias, float* windows, float* out) const;

 private:
  // The outputs of so many tiles.
  Window::Extent Covered(const WinogradTiles& tiles) const;
  void OutputSideBySide(const WinogradOutput& outputs, std::int64_t filters, const float* bias,
                        float* windows) const;

  const Geometry& g_;
  const WinogradLayout& layout_;
  const Patches patches_;  // of the first grid
  const Window window_;    // of a grid
  const WinogradForm& kernels_;
};

}  // namespace convserve

#endif  // CONVSERVE_CORE_ALGORITHMS_WINOGRAD_TRANSFORM_H_
