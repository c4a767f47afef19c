// One phase of a convolution of narrow numbers as blocked matrix products, as
// core/algorithms/gemm_phase.h is for floats: several numbers of 8 or 16 bits are one element of 32
// that the kernel multiplies at once (core/kernels/byte_kernel.h, core/kernels/pair_kernel.h).
//
// With a window, an element is so many channels of one position, so that a tap stays an offset;
// with packed patches, and for few channels, it is so many rows of the patch matrix that follow
// each other. What is missing of the last element is zero.
#ifndef CONVSERVE_CORE_ALGORITHMS_NARROW_PHASE_H_
#define CONVSERVE_CORE_ALGORITHMS_NARROW_PHASE_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <vector>

#include "core/algorithms/algorithm.h"
#include "core/algorithms/gemm_phase.h"
#include "core/algorithms/narrow_kernels.h"
#include "core/algorithms/narrow_numbers.h"
#include "core/algorithms/patches.h"
#include "core/algorithms/tiling.h"
#include "core/algorithms/window.h"
#include "core/divide.h"
#include "core/geometry.h"
#include "core/kernels/gemm_kernel.h"
#include "core/problem.h"

namespace convserve {

// Whether numbers are bfloat16 and worth being multiplied in pairs.
bool ArePairs(const Problem& problem);

// OutputsApart() for parts that pack their weights each for itself.
std::vector<std::array<Phase, 3>> NarrowOutputsApart(const Problem& problem, const Geometry& g);

// Narrow is ByteQuad or BFloat16Pair.
template <class Narrow>
class NarrowPhase {
 public:
  using Number = typename Narrow::Number;
  using Element = typename Narrow::Element;
  // What the phases that pack the same part of the weights share.
  using SharedWeights = NarrowKernels<Narrow>;

  NarrowPhase(const Run& run, const Geometry& g, const std::array<Phase, 3>& axes,
              bool sums_in_output);

  static GemmKernel<Element> Kernel(const Problem& problem);

  const Patches& patches() const { return numbers_; }
  const Tiling& tiling() const { return tiling_; }
  const std::optional<Window>& window() const { return window_; }
  // In elements, as all depths of blocks.
  std::int64_t depth() const { return depth_; }
  bool weights_in_place() const { return false; }
  // Whether all weights that were packed are finite.
  bool finite() const { return finite_; }
  // What is to be added to the sums of every filter, once weights are packed: of bytes.
  const std::vector<std::int64_t>& corrections() const { return corrections_; }

  std::int64_t packed_size() const { return g_.groups * g_.filters * depth_; }
  // The most that it is for a phase with these taps.
  static std::int64_t PackedSize(const Geometry& g, const std::array<Phase, 3>& axes) {
    const std::int64_t taps = axes[0].taps * axes[1].taps * axes[2].taps;
    return g.groups * g.filters * CeilDivide(g.channels, Narrow::kCount) * taps;
  }
  void SetPacked(Element* packed) { packed_ = packed; }
  // A part that has all channels.
  void Pack(const WeightPart& part, SharedWeights& shared);

  void Copy(const GemmBlock& block, GemmScratch<Element>& scratch) const;
  void SetWeights(const GemmBlock& block, std::int64_t row, GemmTile<Element>& tile,
                  const GemmScratch<Element>& scratch) const;

 private:
  static constexpr bool kBytes = std::is_same_v<Narrow, ByteQuad>;
  static constexpr std::int64_t kCount = Narrow::kCount;

  // The numbers of an element as a tensor holds them, wherever they are.
  struct Numbers {
    std::array<Number, Narrow::kCount> numbers;
  };

  // Whether the tensor is made of whole elements of channels.
  static bool HasElements(const Geometry& g);
  // With the channels of an element in one; strides count elements where the tensor is made of
  // them, else numbers.
  static Geometry InElements(Geometry g);

  // What makes one operand of bytes signed and the other unsigned.
  std::uint8_t flip() const { return kBytes && signed_input_ == signed_weight_ ? 0x80 : 0; }
  void CopyPatches(const GemmBlock& block, GemmScratch<Element>& scratch) const;
  // Columns of the patch matrix.
  struct Columns {
    std::int64_t first, count;
  };
  void CopyColumns(const GemmBlock& block, const Columns& columns, std::int64_t pitch, Element* out,
                   GemmScratch<Element>& scratch) const;
  void CopyWindow(const GemmBlock& block, GemmScratch<Element>& scratch) const;
  void CopyElements(const WindowCopy& copies, const GemmBlock& block, std::int64_t first,
                    std::int64_t last, GemmScratch<Element>& scratch) const;
  void MakeElements(const WindowCopy& copies, const GemmTask& task, std::int64_t first,
                    std::int64_t last, GemmScratch<Element>& scratch) const;
  // Whether an element's numbers are channels that do not follow each other in the patch matrix.
  bool ChannelsApart() const { return window_ && numbers_.taps() > 1; }
  void PackFilter(const Number* weights, Element* row) const;
  // From one gathered filter to the next: they do not compete for the same places in the cache.
  std::int64_t gathered_pitch() const { return depth_ * kCount + 80; }
  std::vector<Number> GatherFilters(const WeightPart& part, const Number* weights) const;
  void PackGathered(const Number* weights, Element* row) const;
  void LookAtFilter(std::int64_t filter, const Element* row);

  const Geometry& g_;
  const Geometry elements_;        // with the channels of an element in one
  const Patches numbers_;          // bytes are unsigned, whatever they are
  const Patches element_patches_;  // for tiles and windows
  const bool signed_input_, signed_weight_;
  Tiling tiling_;
  std::optional<Window> window_;
  std::int64_t depth_ = 0;
  std::vector<std::int32_t> tap_offsets_;  // with a window: of channel 0
  std::vector<std::int64_t> tap_weights_;  // where the taps stand in the tensor
  Element* packed_ = nullptr;
  std::vector<std::int64_t> corrections_;
  std::atomic<bool> finite_ = true;
  std::atomic<bool> moderate_ = true;  // the weights, where it matters
};

extern template class NarrowPhase<ByteQuad>;
extern template class NarrowPhase<BFloat16Pair>;

}  // namespace convserve

#endif  // CONVSERVE_CORE_ALGORITHMS_NARROW_PHASE_H_
