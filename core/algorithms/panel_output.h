// Where the totals of kPanels belong in the output.
//
// Strips of a convolution are written by the product itself, in whole vectors, where they lie in
// the output in one piece. Others, the phases of a transposed convolution, whose outputs take turns
// along a row, and filters that lie side by side are put together from complete totals.
#ifndef CONVSERVE_CORE_ALGORITHMS_PANEL_OUTPUT_H_
#define CONVSERVE_CORE_ALGORITHMS_PANEL_OUTPUT_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/algorithms/algorithm.h"
#include "core/algorithms/panel_layout.h"
#include "core/geometry.h"
#include "core/kernels/packing_kernel.h"
#include "core/kernels/panel_kernel.h"

namespace convserve {

class PanelOutput {
 public:
  PanelOutput(const Run& run, const Geometry& g, const PanelLayout& layout,
              const std::vector<float>& bias)
      : run_(run), g_(g), layout_(layout), bias_(bias) {}

  // Whether strips belong in the output in one piece of whole vectors.
  bool TakesStrips(const PanelPhase& phase, const Box& box, std::int64_t column,
                   std::int64_t columns) const;
  // Whether it takes all of these strips in one piece, or none of them.
  bool TreatsAlike(const PanelPhase& phase, const Box& box, std::int64_t column,
                   std::int64_t columns) const;

  // Where a column of a task's first filter belongs.
  float* At(const PanelLayout::Task& task, const PanelPhase& phase, const Box& box,
            std::int64_t column) const;

  // Writes what was not written before: of the phases from `first` on, which share their rows, one
  // for each of `totals`.
  void Store(const PanelLayout::Task& task, std::size_t first,
             std::span<const float* const> totals) const;

 private:
  std::int64_t Together(const PanelPhase& phase, const Box& box) const;
  void StoreStrips(const PanelLayout::Task& task, const PanelPhase& phase,
                   const float* totals) const;
  void StoreTransposed(const PanelLayout::Task& task, const PanelPhase& phase,
                       const float* totals) const;
  void StoreInterleaved(const PanelLayout::Task& task, std::size_t first,
                        std::span<const float* const> totals) const;

  const Run& run_;
  const Geometry& g_;
  const PanelLayout& layout_;
  const std::vector<float>& bias_;
  const PanelTable& kernels_ = PanelKernels();
  const PackingTable& packing_ = PackingKernels();
};

}  // namespace convserve

#endif  // CONVSERVE_CORE_ALGORITHMS_PANEL_OUTPUT_H_
