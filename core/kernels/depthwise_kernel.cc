#include "core/kernels/depthwise_kernel.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

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

// Rows of outputs computed at once: a row of the input is read once for all of them.
constexpr int kRowsAtOnce = 3;

// How the taps of a vector of outputs are read: all of them lie within the input; each row is
// shorter than the vector and read once; some lie beside the input.
enum class Reading { kWhole, kRow, kSome };
enum class Writing { kWhole, kPastCaches, kFirst };

// The lanes of `mask` of what begins at `from`, zero elsewhere; nothing else is read.
template <class D>
HWY_INLINE hn::Vec<D> LoadSome(D d, const float* from, hn::Mask<D> mask) {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
  return hn::MaskedLoad(mask, d, from);
#else
  HWY_ALIGN float lanes[hn::MaxLanes(D())];
  hn::Store(hn::IfThenElseZero(mask, hn::Set(d, 1.0F)), d, lanes);
  for (std::size_t i = 0; i < hn::Lanes(d); ++i) {
    if (lanes[i] != 0) lanes[i] = from[i];
  }
  return hn::Load(d, lanes);
#endif
}

template <class D>
class Planes {
 public:
  explicit Planes(const DepthwisePlanes& planes) : p_(planes) {
    const std::int64_t lanes = Lanes();
    if (std::max(p_.columns, p_.in_columns) < lanes) {
      SetRow();
      return;
    }
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

  void Run() const {
    for (std::int64_t plane = 0; plane < p_.planes; ++plane) RunPlane(plane);
  }

 private:
  static std::int64_t Lanes() { return static_cast<std::int64_t>(hn::Lanes(D())); }

  using V = hn::Vec<D>;
  using M = hn::Mask<D>;
  using Shift = decltype(hn::SetTableIndices(D(), static_cast<const std::int32_t*>(nullptr)));

  // A vector of columns, some of whose taps lie beside the input.
  struct Edge {
    std::int64_t x = 0;
    M masks[3];  // for each tap column, the lanes that lie within
  };

  void AddEdge(std::int64_t x) {
    const D d;
    Edge& edge = edges_[edge_count_++];
    edge.x = x;
    for (int j = 0; j < 3; ++j) {
      const std::int64_t column = x - p_.left + j;
      const std::int64_t first = std::clamp<std::int64_t>(-column, 0, Lanes());
      const std::int64_t last = std::clamp<std::int64_t>(p_.in_columns - column, first, Lanes());
      edge.masks[j] = hn::AndNot(hn::FirstN(d, static_cast<std::size_t>(first)),
                                 hn::FirstN(d, static_cast<std::size_t>(last)));
    }
  }

  void SetRow() {
    const D d;
    in_rows_ = true;
    row_ = hn::FirstN(d, static_cast<std::size_t>(p_.in_columns));
    for (int j = 0; j < 3; ++j) {
      std::int32_t lanes[hn::MaxLanes(D())];
      for (std::int64_t x = 0; x < Lanes(); ++x) {
        const std::int64_t column = x - p_.left + j;
        const bool inside = column >= 0 && column < p_.in_columns;
        lanes[x] = static_cast<std::int32_t>(inside ? column : Lanes() - 1);  // which holds zero
      }
      shifts_[j] = hn::SetTableIndices(d, lanes);
    }
  }

  struct Plane {
    const float* in;
    float* out;
    bool spills;  // what is written past its last output is written again
    bool past_caches;
    float bias;
    V weights[9];
  };

  void RunPlane(std::int64_t index) const {
    const std::int64_t size = p_.rows * p_.columns;
    Plane plane;
    plane.in = p_.in + index * p_.in_rows * p_.in_columns;
    plane.out = p_.out + index * size;
    plane.spills = index + 1 < p_.planes && size >= Lanes();
    plane.past_caches = p_.past_caches && p_.columns % Lanes() == 0 &&
                        reinterpret_cast<std::uintptr_t>(plane.out) % sizeof(V) == 0;
    plane.bias = p_.bias[index];
    HWY_UNROLL(9) for (int t = 0; t < 9; ++t) {
      plane.weights[t] = hn::Set(D(), p_.weights[9 * index + t]);
    }
    std::int64_t y = p_.first_row;
    for (; y + kRowsAtOnce <= p_.last_row; y += kRowsAtOnce) RunRows<kRowsAtOnce>(plane, y);
    if (y + 2 <= p_.last_row) {
      RunRows<2>(plane, y);
    } else if (y < p_.last_row) {
      RunRows<1>(plane, y);
    }
  }

  template <int kRows>
  HWY_INLINE void RunRows(const Plane& plane, std::int64_t y) const {
    // Narrow rows are written in order, so that each one covers what the one before it spilt.
    const bool whole = p_.columns >= Lanes() || plane.spills ||
                       (y + kRows) * p_.columns + Lanes() - p_.columns <= p_.last_row * p_.columns;
    const bool inside = y >= p_.top && y - p_.top + kRows + 2 <= p_.in_rows;
    if (in_rows_) {
      if (inside && whole) {
        RunBlock<kRows, true, Reading::kRow, Writing::kWhole>(plane, y, 0);
      } else if (whole) {
        RunBlock<kRows, false, Reading::kRow, Writing::kWhole>(plane, y, 0);
      } else {
        RunBlock<kRows, false, Reading::kRow, Writing::kFirst>(plane, y, 0);
      }
    } else if (!inside) {
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
      V row;
      if constexpr (kReading == Reading::kRow) row = LoadSome(d, from + p_.left, row_);
      HWY_UNROLL(4) for (int j = 0; j < 3; ++j) {
        V input;
        if constexpr (kReading == Reading::kRow) {
          input = hn::TableLookupLanes(row, shifts_[j]);
        } else if constexpr (kReading == Reading::kSome) {
          input = LoadSome(d, from + j, edges_[edge].masks[j]);
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
  bool in_rows_ = false;  // rows are shorter than a vector; then:
  M row_;                 // the lanes of a row of the input
  Shift shifts_[3];       // the lanes that a tap column meets
};

void RunPlanes(const DepthwisePlanes& planes) {
  // Narrow rows fill half a long vector at most.
  using Short = hn::CappedTag<float, 8>;
  if (std::max(planes.columns, planes.in_columns) < 8 && hn::MaxLanes(D()) > 8) {
    Planes<Short>(planes).Run();
  } else {
    Planes<D>(planes).Run();
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
