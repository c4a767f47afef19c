#include "core/kernels/depthwise_kernel.h"

#include <algorithm>
#include <array>
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
#include "core/kernels/simd-inl.h"  // comes last: compiled once for every target
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace convserve {
namespace HWY_NAMESPACE {
namespace {

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
using M = hn::Mask<D>;

HWY_INLINE std::int64_t Lanes() { return static_cast<std::int64_t>(hn::Lanes(D())); }

// One of the planes.
struct Plane {
  Plane(const DepthwisePlanes& p, std::int64_t index)
      : in(p.in + index * p.in_rows * p.in_columns),
        out(p.out + index * p.rows * p.columns),
        spills(index + 1 < p.planes && p.rows * p.columns >= Lanes()),
        past_caches(p.past_caches && p.columns % Lanes() == 0 &&
                    reinterpret_cast<std::uintptr_t>(out) % sizeof(V) == 0),
        bias(p.bias[index]) {
    HWY_UNROLL(9) for (int t = 0; t < 9; ++t) weights[t] = hn::Set(D(), p.weights[9 * index + t]);
  }

  const float* in;
  float* out;
  bool spills;  // what is written past its last output is written again
  bool past_caches;
  float bias;
  V weights[9];
};

// Whether the taps of a vector of outputs all lie within the input's rows, or some beside them.
enum class Reading { kWhole, kSome };
enum class Writing { kWhole, kPastCaches, kFirst };

// Planes whose outputs fill a vector, or nearly.
class WidePlanes {
 public:
  explicit WidePlanes(const DepthwisePlanes& planes) : p_(planes) {
    const std::int64_t lanes = Lanes();
    if (p_.columns < lanes) {
      AddEdge(0);
      return;
    }
    for (; first_ < p_.left && first_ + lanes <= p_.columns; first_ += lanes) AddEdge(first_);
    const std::int64_t last = std::min(p_.columns, p_.in_columns + p_.left - 2) - lanes;
    last_ = first_;
    while (last_ <= last) last_ += lanes;
    // The last vector may begin within the one before it.
    for (std::int64_t x = last_; x < p_.columns; x += lanes) {
      AddEdge(std::min(x, p_.columns - lanes));
    }
  }

  void Run(const Plane& plane) const {
    std::int64_t y = p_.first_row;
    for (; y + kRowsAtOnce <= p_.last_row; y += kRowsAtOnce) RunRows<kRowsAtOnce>(plane, y);
    if (y + 2 <= p_.last_row) {
      RunRows<2>(plane, y);
    } else if (y < p_.last_row) {
      RunRows<1>(plane, y);
    }
  }

 private:
  // Rows of outputs computed at once: a row of the input is read once for all of them.
  static constexpr int kRowsAtOnce = 3;

  // A vector of columns, some of whose taps lie beside the input.
  struct Edge {
    std::int64_t x = 0;
    M masks[3];  // for each tap column, the lanes that lie within
  };

  void AddEdge(std::int64_t x) {
    Edge& edge = edges_[edge_count_++];
    edge.x = x;
    for (int j = 0; j < 3; ++j) {
      const std::int64_t column = x - p_.left + j;
      const std::int64_t first = std::clamp<std::int64_t>(-column, 0, Lanes());
      edge.masks[j] = LanesBetween(
          D(), first, std::clamp<std::int64_t>(p_.in_columns - column, first, Lanes()));
    }
  }

  template <int kRows>
  HWY_INLINE void RunRows(const Plane& plane, std::int64_t y) const {
    // Short rows are written in order, so that each one covers what the one before it spilt.
    const bool whole = p_.columns >= Lanes() || plane.spills ||
                       (y + kRows) * p_.columns + Lanes() - p_.columns <= p_.last_row * p_.columns;
    const bool inside = y >= p_.top && y - p_.top + kRows + 2 <= p_.in_rows;
    if (!inside) {
      RunColumns<kRows, false, Writing::kFirst>(plane, y, whole);
    } else if (plane.past_caches) {
      RunColumns<kRows, true, Writing::kPastCaches>(plane, y, whole);
    } else {
      RunColumns<kRows, true, Writing::kWhole>(plane, y, whole);
    }
  }

  // With kInside all rows that are met lie within the input.
  template <int kRows, bool kInside, Writing kWriting>
  HWY_INLINE void RunColumns(const Plane& plane, std::int64_t y, bool whole) const {
    const std::int64_t lanes = Lanes();
    for (std::size_t e = 0; e < edge_count_; ++e) {
      if (whole) {
        RunBlock<kRows, kInside, Reading::kSome, Writing::kWhole>(plane, y, edges_[e].x, e);
      } else {
        RunBlock<kRows, kInside, Reading::kSome, Writing::kFirst>(plane, y, edges_[e].x, e);
      }
    }
    constexpr Writing kInner = kWriting == Writing::kFirst ? Writing::kWhole : kWriting;
    for (std::int64_t x = first_; x < last_; x += lanes) {
      RunBlock<kRows, kInside, Reading::kWhole, kInner>(plane, y, x);
    }
  }

  // kRows rows of a vector of outputs each.
  template <int kRows, bool kInside, Reading kReading, Writing kWriting>
  HWY_INLINE void RunBlock(const Plane& plane, std::int64_t y, std::int64_t x,
                           std::size_t edge = 0) const {
    const D d;
    V sums[kRows];
    HWY_UNROLL(4) for (int r = 0; r < kRows; ++r) sums[r] = hn::Zero(d);
    const float* HWY_RESTRICT from = plane.in + (y - p_.top) * p_.in_columns + x - p_.left;
    // Input row i meets output row r with tap row i - r.
    HWY_UNROLL(8) for (int i = 0; i < kRows + 2; ++i, from += p_.in_columns) {
      if constexpr (!kInside) {
        if (y - p_.top + i < 0 || y - p_.top + i >= p_.in_rows) continue;
      }
      HWY_UNROLL(4) for (int j = 0; j < 3; ++j) {
        V input;
        if constexpr (kReading == Reading::kSome) {
          input = LoadSome(D(), from + j, edges_[edge].masks[j]);
        } else {
          input = hn::LoadU(d, from + j);
        }
        HWY_UNROLL(4) for (int r = 0; r < kRows; ++r) {
          if (i - r < 0 || i - r > 2) continue;
          sums[r] = MulAdd(d, plane.weights[3 * (i - r) + j], input, sums[r]);
        }
      }
    }
    const V bias = hn::Set(d, plane.bias);
    float* HWY_RESTRICT out = plane.out + y * p_.columns + x;
    HWY_UNROLL(4) for (int r = 0; r < kRows; ++r, out += p_.columns) {
      const V sum = hn::Add(sums[r], bias);
      if constexpr (kWriting == Writing::kPastCaches) {
        hn::Stream(sum, d, out);
      } else if constexpr (kWriting == Writing::kWhole) {
        hn::StoreU(sum, d, out);
      } else {
        StoreFirst(d, sum, p_.columns, out);
      }
    }
  }

  const DepthwisePlanes& p_;
  std::int64_t first_ = 0;  // columns [first_, last_) have all their taps within the input
  std::int64_t last_ = 0;
  std::array<Edge, 8> edges_;
  std::size_t edge_count_ = 0;
};

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
