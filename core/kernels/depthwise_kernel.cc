#include "core/kernels/depthwise_kernel.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "core/divide.h"
#include "core/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/depthwise_kernel.cc"
#include "hwy/cache_control.h"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
// clang-format off
#include "core/kernels/wide_planes-inl.h"  // comes last: compiled once for every target
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace convserve {
namespace HWY_NAMESPACE {
namespace {

// Planes of which a vector holds kRows whole rows of the input, and a zero after them. Rows follow
// each other in it as they do in memory; each is read once for the three taps beside each other.
template <std::int64_t kRows>
class NarrowPlanes {
  static_assert(kRows <= 2);  // of which one may lie beside the input

 public:
  static bool Fit(const DepthwisePlanes& p) {
    return kRows * p.in_columns < Lanes() && kRows * p.columns <= Lanes();
  }

  explicit NarrowPlanes(const DepthwisePlanes& planes)
      : p_(planes), all_(p_, 0, kRows), first_(p_, 0, 1), last_(p_, kRows - 1, kRows) {
    for (int j = 0; j < 3; ++j) {
      std::int32_t lanes[hn::MaxLanes(D())];
      for (std::int64_t lane = 0; lane < Lanes(); ++lane) {
        const std::int64_t row = lane / p_.columns;
        const std::int64_t column = lane % p_.columns - p_.left + j;
        const bool inside = row < kRows && column >= 0 && column < p_.in_columns;
        lanes[lane] =
            static_cast<std::int32_t>(inside ? row * p_.in_columns + column : Lanes() - 1);
      }
      shifts_[j] = hn::SetTableIndices(D(), lanes);
    }
  }

  void Run(const Plane& plane) const {
    for (std::int64_t y = p_.first_row; y < p_.last_row; y += kMostVectors * kRows) {
      switch (CeilDivide(p_.last_row - y, kRows)) {
        case 1:
          RunVectors<1>(plane, y);
          break;
        case 2:
          RunVectors<2>(plane, y);
          break;
        case 3:
          RunVectors<3>(plane, y);
          break;
        default:
          RunVectors<kMostVectors>(plane, y);
      }
    }
  }

 private:
  // Vectors of outputs computed at once.
  static constexpr std::int64_t kMostVectors = 4;
  using Shift = decltype(hn::SetTableIndices(D(), static_cast<const std::int32_t*>(nullptr)));

  // Lanes with rows [first, last) of the input that a vector holds, and of the outputs.
  struct Part {
    Part(const DepthwisePlanes& p, std::int64_t first, std::int64_t last)
        : in(LanesBetween(D(), first * p.in_columns, last * p.in_columns)),
          out(LanesBetween(D(), first * p.columns, last * p.columns)) {}
    M in, out;
  };

  template <std::int64_t kVectors>
  HWY_INLINE void RunVectors(const Plane& plane, std::int64_t y) const {
    const std::int64_t first = y - p_.top;  // row of the input
    if (first >= 0 && first + 2 + kVectors * kRows <= p_.in_rows) {
      RunBlock<kVectors, true>(plane, y);
    } else {
      RunBlock<kVectors, false>(plane, y);
    }
  }

  // kVectors vectors of outputs, from row y on. With kInside all rows that are met lie within the
  // input.
  template <std::int64_t kVectors, bool kInside>
  HWY_INLINE void RunBlock(const Plane& plane, std::int64_t y) const {
    const D d;
    V sums[kVectors];
    HWY_UNROLL(4) for (int v = 0; v < kVectors; ++v) sums[v] = hn::Zero(d);
    std::int64_t row = y - p_.top;
    const std::int64_t in_rows = p_.in_rows;
    const std::int64_t in_columns = p_.in_columns;
    const float* HWY_RESTRICT from = plane.in + row * in_columns;
    // The rows from the i-th on meet those of vector v with tap row i - kRows*v.
    HWY_UNROLL(16)
    for (int i = 0; i < (kVectors - 1) * kRows + 3; ++i, ++row, from += in_columns) {
      if (kInside || (row >= 0 && row + kRows <= in_rows)) {
        AddRows<false>(plane, i, from, all_, sums);
      } else if (row > -kRows && row < in_rows) {
        AddRows<true>(plane, i, from, row < 0 ? last_ : first_, sums);
      }
    }
    const V bias = hn::Set(d, plane.bias);
    const std::int64_t step = kRows * p_.columns;
    std::int64_t left = (p_.last_row - y) * p_.columns;
    float* HWY_RESTRICT out = plane.out + y * p_.columns;
    // Vectors are written in order: each one covers what the one before it spilt.
    HWY_UNROLL(4) for (int v = 0; v < kVectors; ++v, left -= step, out += step) {
      const V sum = hn::Add(sums[v], bias);
      if (left >= Lanes() || plane.spills) {
        hn::StoreU(sum, d, out);
      } else {
        StoreFirst(d, sum, std::min(left, step), out);
      }
    }
  }

  // Adds the products of the rows from the i-th on, which begin at `from`. With kSome only a part
  // of them lies within the input: even zeros are added only where there is a row.
  template <bool kSome, std::int64_t kVectors>
  CONVSERVE_STEP void AddRows(const Plane& plane, int i, const float* from, const Part& part,
                              V (&sums)[kVectors]) const {
    const V rows = LoadSome(D(), from, part.in);
    HWY_UNROLL(4) for (int j = 0; j < 3; ++j) {
      const V input = hn::TableLookupLanes(rows, shifts_[j]);
      HWY_UNROLL(4) for (int v = 0; v < kVectors; ++v) {
        const std::int64_t tap_row = i - kRows * v;
        if (tap_row < 0 || tap_row > 2) continue;
        const V sum = MulAdd(D(), plane.weights[3 * tap_row + j], input, sums[v]);
        sums[v] = kSome ? hn::IfThenElse(part.out, sum, sums[v]) : sum;
      }
    }
  }

  const DepthwisePlanes& p_;
  const Part all_, first_, last_;
  Shift shifts_[3];  // the lanes that a tap column meets
};

template <class Planes>
void RunEach(const DepthwisePlanes& planes) {
  const Planes each(planes);
  for (std::int64_t i = 0; i < planes.planes; ++i) each.Run(Plane(planes, i));
}

void RunPlanes(const DepthwisePlanes& planes) {
  if (NarrowPlanes<2>::Fit(planes)) {
    RunEach<NarrowPlanes<2>>(planes);
  } else if (NarrowPlanes<1>::Fit(planes)) {
    RunEach<NarrowPlanes<1>>(planes);
  } else {
    RunEach<WidePlanes>(planes);
  }
  if (planes.past_caches) hwy::FlushStream();
}

}  // namespace

DepthwiseKernel Depthwise();  // exported below

DepthwiseKernel Depthwise() { return &RunPlanes; }

}  // namespace HWY_NAMESPACE
}  // namespace convserve
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convserve {

HWY_EXPORT(Depthwise);

DepthwiseKernel GetDepthwiseKernel() { return HWY_DYNAMIC_DISPATCH(Depthwise)(); }

}  // namespace convserve
#endif  // HWY_ONCE
