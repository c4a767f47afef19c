// How weights become panels and patches strips (core/kernels/panel_kernel.h), and how their
// products become rows of outputs.
#ifndef CONVSERVE_CORE_KERNELS_PACKING_KERNEL_H_
#define CONVSERVE_CORE_KERNELS_PACKING_KERNEL_H_

#include <cstdint>
#include <span>

namespace convserve {

// Elements that a vector may write past the end of what it packs.
inline constexpr std::int64_t kPanelSlack = 32;

// Packs rows of weights: element t of channel c of row i,
//   from[i*row_stride + c*channel_stride + taps[t].from],
// becomes element taps[t].to + c*taps[t].step of the depth of row i.
struct PanelTap {
  std::int64_t from = 0;
  std::int64_t to = 0;
  std::int64_t step = 0;
};
struct PanelWeights {
  const float* from = nullptr;
  std::int64_t rows = 0;
  std::int64_t panels = 0;  // as in PanelProduct
  std::int64_t row_stride = 0;
  std::int64_t channels = 0;
  std::int64_t channel_stride = 0;
  std::span<const PanelTap> taps;
  bool in_order = false;  // element t is taps[t] of a single channel: from = to = t
  float* out = nullptr;
  std::int64_t panel_depth = 0;
};

// Packs a strip of patches: out[k*strip + to + x] = from[offsets[k] + run.from + x] for x <
// run.count, for every run.
struct StripRun {
  std::int64_t from, to, count;
};
struct StripPatches {
  const float* from = nullptr;
  std::span<const std::int32_t> offsets;
  std::span<const StripRun> runs = {};
  float* out = nullptr;
};

// to[x*parts + p] = from[p][x] for x < count. What goes past the caches is for the caller to flush.
struct Interleaved {
  std::span<const float* const> from;
  std::int64_t count = 0;
  float* to = nullptr;
  bool past_caches = false;  // has whole lines written past the caches
};

// Elements of 32 bits, whatever they are, that are brought from columns into rows:
// to[i*to_pitch + j] = from[j*from_pitch + i] for i < rows and j < columns. What goes past the
// caches is for the caller to flush.
struct Transposed {
  const void* from = nullptr;
  std::int64_t from_pitch = 0;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  void* to = nullptr;
  std::int64_t to_pitch = 0;
  bool past_caches = false;  // has whole lines written past the caches
};

// Compiled once for each instruction set.
struct PackingTable {
  void (*weights)(const PanelWeights&) = nullptr;
  void (*patches)(const StripPatches&) = nullptr;
  void (*interleave)(const Interleaved&) = nullptr;
  void (*transpose)(const Transposed&) = nullptr;
};

// The kernels of the instruction set in use. Thread-safe.
const PackingTable& PackingKernels();

}  // namespace convserve

#endif  // CONVSERVE_CORE_KERNELS_PACKING_KERNEL_H_
