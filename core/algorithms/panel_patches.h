// Where kPanels reads the patches of a strip of columns from: windows of the input
// (core/algorithms/window.h), or the input itself where columns are inputs.
#ifndef CONVSERVE_CORE_ALGORITHMS_PANEL_PATCHES_H_
#define CONVSERVE_CORE_ALGORITHMS_PANEL_PATCHES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/algorithms/algorithm.h"
#include "core/algorithms/panel_layout.h"
#include "core/algorithms/window.h"
#include "core/geometry.h"
#include "core/kernels/packing_kernel.h"
#include "core/kernels/panel_kernel.h"

namespace convserve {

// Channels of a block of depth.
struct PanelChannels {
  std::int64_t first, count;
};

using StripRuns = std::array<StripRun, kMaxStrip>;

class PanelPatches {
 public:
  using Task = PanelLayout::Task;

  PanelPatches(const Run& run, const Geometry& g, const PanelLayout& layout)
      : run_(run), g_(g), layout_(layout) {}

  // What copying a channel to the windows takes, for every plane of the task's box; nothing where
  // there are no windows.
  std::vector<WindowCopy> Copies(const Task& task) const;
  // Copies channels to the windows, [image and z][channel][window].
  void CopyWindows(const Task& task, const PanelChannels& channels,
                   const std::vector<WindowCopy>& copies, float* out) const;

  // What CopyWindows is going to read for these channels, of the first image, unless far more lies
  // between.
  PanelFetch Fetch(const Task& task, const PanelChannels& channels,
                   const std::vector<WindowCopy>& copies) const;

  // The patches of phase `index` for the strip at `column`, and how they are packed to `out`. They
  // have their runs in `runs`.
  StripPatches At(const Task& task, const Box& box, std::int64_t column, std::size_t index,
                  const PanelChannels& channels, const float* windows, StripRuns& runs,
                  float* out) const;

  // The input at a column, where columns are inputs.
  const float* InputAt(const Task& task, const Box& box, std::int64_t column,
                       const PanelChannels& channels) const;

 private:
  const float* Input(const Task& task, std::int64_t image, const PanelChannels& channels) const;

  const Run& run_;
  const Geometry& g_;
  const PanelLayout& layout_;
  const std::int64_t strip_ = PanelKernels().strip;
};

}  // namespace convserve

#endif  // CONVSERVE_CORE_ALGORITHMS_PANEL_PATCHES_H_
