// How packed panels and strips are cut, for the kernels that pack them and those that multiply
// them. Included once for every target, after hwy/highway.h.
#if defined(CONVSERVE_CORE_KERNELS_PANELS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CONVSERVE_CORE_KERNELS_PANELS_INL_H_
#undef CONVSERVE_CORE_KERNELS_PANELS_INL_H_
#else
#define CONVSERVE_CORE_KERNELS_PANELS_INL_H_
#endif

#include <cstdint>

#include "core/divide.h"
#include "core/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace convserve {
namespace HWY_NAMESPACE {

constexpr int kVectors = 2;                   // that a strip is wide
constexpr int kMostRows = MaxRows(kVectors);  // of a panel

HWY_INLINE std::int64_t Strip() { return kVectors * static_cast<std::int64_t>(hn::Lanes(D())); }

// Of so many rows: `panels`, or as few as there can be where that is 0.
HWY_INLINE std::int64_t PanelCount(std::int64_t rows, std::int64_t panels) {
  return panels > 0 ? panels : CeilDivide(rows, kMostRows);
}

// Calls body(row, height) for them.
template <typename Body>
HWY_INLINE void ForEachPanel(std::int64_t rows, std::int64_t panels, Body body) {
  ForEachOfParts(rows, PanelCount(rows, panels), body);
}

}  // namespace HWY_NAMESPACE
}  // namespace convserve
HWY_AFTER_NAMESPACE();

#endif  // CONVSERVE_CORE_KERNELS_PANELS_INL_H_
