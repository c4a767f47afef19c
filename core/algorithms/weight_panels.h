// The weights of kPanels, packed into panels: block by block by the tasks that need them, or all of
// them beforehand.
#ifndef CONVSERVE_CORE_ALGORITHMS_WEIGHT_PANELS_H_
#define CONVSERVE_CORE_ALGORITHMS_WEIGHT_PANELS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/algorithms/panel_layout.h"
#include "core/geometry.h"
#include "core/kernels/packing_kernel.h"
#include "core/kernels/panel_kernel.h"
#include "core/problem.h"
#include "core/tensor.h"

namespace convserve {

// Thread-safe.
class WeightPanels {
 public:
  // Some filters of a group, and channels of a block of depth.
  struct Block {
    std::int64_t group, first_row, rows, panels, first_channel, channels;
  };

  // `packed` holds what PackAll has written; where it is empty, blocks are packed one by one.
  WeightPanels(const Problem& problem, const Geometry& g, const PanelLayout& layout,
               const TensorView& weight, std::span<const std::byte> packed);

  // The panels of a block of the layout's cut; packed to `scratch` unless they are all packed.
  const float* Panels(const Block& block, float* scratch) const;
  // What Panels is going to read for the block, or what multiplies it.
  PanelFetch Fetch(const Block& block) const;

  // Bytes of all panels.
  static std::size_t Bytes(const Geometry& g, const PanelLayout& layout);
  // Writes all panels; on the threads of the arena that the caller is in.
  void PackAll(float* out) const;

 private:
  // Where the panels of a block are among all.
  std::int64_t Offset(const Block& block) const;
  const float* At(const Block& block) const;
  void Pack(const Block& block, float* out) const;

  const Geometry& g_;
  const PanelLayout& layout_;
  const float* const weight_;
  const float* const packed_;  // or null
  const bool filters_outermost_;
  bool in_order_ = false;
  // Where the weights of a channel go in panels of all phases; in order, those of a block.
  std::vector<PanelTap> taps_;
};

}  // namespace convserve

#endif  // CONVSERVE_CORE_ALGORITHMS_WEIGHT_PANELS_H_
