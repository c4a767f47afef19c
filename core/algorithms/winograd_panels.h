// The weights of kWinograd, transformed and in panels: block by block by the tasks that need them,
// or all of them beforehand.
#ifndef CONVSERVE_CORE_ALGORITHMS_WINOGRAD_PANELS_H_
#define CONVSERVE_CORE_ALGORITHMS_WINOGRAD_PANELS_H_

#include <algorithm>
#include <cstdint>
#include <stop_token>
#include <vector>

#include "core/algorithms/even.h"
#include "core/algorithms/winograd_layout.h"
#include "core/geometry.h"
#include "core/kernels/panel_kernel.h"
#include "core/kernels/winograd_kernel.h"
#include "core/tensor.h"

namespace convserve {

// Thread-safe.
class WinogradPanels {
 public:
  struct Filters {
    std::int64_t first, count;
  };
  struct Channels {
    std::int64_t first, count;
  };

  // What is known of some filters of which some channels have been transformed.
  class Norms {
   public:
    explicit Norms(const Filters& filters);
    // Whether Winograd's error stays within bounds for all of them, of all channels.
    bool Even(const Evenness& evenness) const;

   private:
    friend class WinogradPanels;
    Filters filters_;
    std::vector<float> sums_, squares_;  // [9][filters]
  };

  // `packed` is what PackAll has written or will write, or null.
  WinogradPanels(const Geometry& g, const WinogradLayout& layout, const TensorView& weight,
                 const float* packed);

  // Blocks [first, first + count) of the filters.
  Filters FiltersAt(std::int64_t first, std::int64_t count) const {
    const std::int64_t filter = first * layout_.filters();
    return {filter, std::min(count * layout_.filters(), g_.filters - filter)};
  }
  // The block that begins with channel `first`.
  Channels ChannelsAt(std::int64_t first) const {
    return {first, std::min(layout_.channels(), g_.channels - first)};
  }

  // The panels of a block of filters and one of channels for each element, layout.panels_stride()
  // apart, as PackAll has written them; null without.
  const float* Packed(const Filters& filters, const Channels& channels) const;
  // Writes these panels, and adds the weights to `norms`.
  void Transform(const Filters& filters, const Channels& channels, float* out, Norms& norms) const;
  // What Transform is going to read, or what multiplies packed panels.
  PanelFetch Fetch(const Filters& filters, const Channels& channels) const;

  // Elements of all panels.
  static std::int64_t Size(const WinogradLayout& layout);
  // Writes all panels, and returns whether all filters are even; on the threads of the arena that
  // the caller is in.
  bool PackAll(const std::stop_token& stop, float* out) const;

 private:
  // Where the panels of two blocks are among all.
  std::int64_t Offset(const Filters& filters, const Channels& channels) const;

  const Geometry& g_;
  const WinogradLayout& layout_;
  const float* const weight_;
  const float* const packed_;  // or null
  const WinogradTable& kernels_ = WinogradKernels();
};

}  // namespace convserve

#endif  // CONVSERVE_CORE_ALGORITHMS_WINOGRAD_PANELS_H_
