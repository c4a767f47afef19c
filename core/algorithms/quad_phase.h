// One phase of a convolution of 8-bit integers as blocked matrix products of quads
// (core/kernels/byte_kernel.h), as core/algorithms/gemm_phase.h is for floats.
//
// With a window, a quad is four channels of one position, so that a tap stays an offset; with
// packed patches, and for few channels, it is four rows of the patch matrix that follow each other.
// What is missing of the last quad are weights of zero.
#ifndef CONVSERVE_CORE_ALGORITHMS_QUAD_PHASE_H_
#define CONVSERVE_CORE_ALGORITHMS_QUAD_PHASE_H_

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/algorithms/algorithm.h"
#include "core/algorithms/gemm_phase.h"
#include "core/algorithms/patches.h"
#include "core/algorithms/tiling.h"
#include "core/algorithms/window.h"
#include "core/geometry.h"
#include "core/kernels/byte_kernel.h"

namespace convserve {

// The largest magnitude of a product of two bytes, of which one was made signed or unsigned, with
// its part of a filter's correction.
inline constexpr std::int64_t kMostOfQuadProduct = std::int64_t{255} * 128 * 2;

class QuadPhase {
 public:
  using Element = std::int32_t;

  QuadPhase(const Run& run, const Geometry& g, const std::array<Phase, 3>& axes,
            bool sums_in_output);

  static GemmKernel<std::int32_t> Kernel(const Problem& problem);

  const Patches& patches() const { return bytes_; }
  const Tiling& tiling() const { return tiling_; }
  const std::optional<Window>& window() const { return window_; }
  // In quads, as all depths of blocks.
  std::int64_t depth() const { return depth_; }
  // What is to be added to the sums of every filter, once weights are packed.
  const std::vector<std::int64_t>& corrections() const { return corrections_; }

  std::int64_t packed_size() const { return g_.groups * g_.filters * depth_; }
  void SetPacked(std::int32_t* packed) { packed_ = packed; }
  // A part that has all channels.
  void Pack(const WeightPart& part);

  void Copy(const GemmBlock& block, GemmScratch<std::int32_t>& scratch) const;
  void SetWeights(const GemmBlock& block, std::int64_t row, GemmTile<std::int32_t>& tile,
                  const GemmScratch<std::int32_t>& scratch) const;

 private:
  // What makes one operand signed and the other unsigned.
  std::uint8_t flip() const { return signed_input_ == signed_weight_ ? 0x80 : 0; }
  void CopyPatches(const GemmBlock& block, GemmScratch<std::int32_t>& scratch) const;
  void CopyWindow(const GemmBlock& block, GemmScratch<std::int32_t>& scratch) const;
  void CopyQuads(const WindowCopy& copies, const GemmTask& task, std::int64_t first,
                 std::int64_t last, std::int32_t* out) const;
  void MakeQuads(const WindowCopy& copies, const GemmTask& task, std::int64_t first,
                 std::int64_t last, GemmScratch<std::int32_t>& scratch) const;
  void PackFilter(const std::uint8_t* weights, std::vector<std::int32_t>& row) const;

  const Geometry& g_;
  const Geometry quads_;        // with four channels in one
  const Patches bytes_;         // of unsigned bytes, whatever they are
  const Patches quad_patches_;  // for tiles and windows
  const bool signed_input_, signed_weight_;
  Tiling tiling_;
  std::optional<Window> window_;
  std::int64_t depth_ = 0;
  std::vector<std::int32_t> tap_offsets_;  // with a window: of channel 0
  std::vector<std::int64_t> tap_weights_;  // where the taps stand in the tensor
  std::int32_t* packed_ = nullptr;
  std::vector<std::int64_t> corrections_;
};

}  // namespace convserve

#endif  // CONVSERVE_CORE_ALGORITHMS_QUAD_PHASE_H_
