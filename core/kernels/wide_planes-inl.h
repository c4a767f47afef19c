// Planes of single channels whose outputs fill a vector, or nearly, for
// core/kernels/depthwise_kernel.cc. Included once for every target, after hwy/highway.h.
#if defined(CONVSERVE_CORE_KERNELS_WIDE_PLANES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CONVSERVE_CORE_KERNELS_WIDE_PLANES_INL_H_
#undef CONVSERVE_CORE_KERNELS_WIDE_PLANES_INL_H_
#else
#define CONVSERVE_CORE_KERNELS_WIDE_PLANES_INL_H_
#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "core/kernels/depthwise_kernel.h"
#include "core/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace convserve {
namespace HWY_NAMESPACE {

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

// How rows of outputs are cut into vectors. The taps of a vector lie within the vector of the input
// that the first of them meets, and the next one.
struct RowVectors {
  explicit RowVectors(const DepthwisePlanes& planes) : p(planes), first(InputLanes(0)) {
    const std::int64_t lanes = Lanes();
    while (whole_end + 2 * lanes <= p.left + p.in_columns && whole_end + lanes <= p.columns) {
      whole_end += lanes;
    }
    std::int64_t x = whole_end;
    if (x == 0 || x + lanes <= p.columns) {
      AddEdge(x, false);
      x += lanes;
    }
    if (x < p.columns) AddEdge(p.columns - lanes, true);
  }

  void AddEdge(std::int64_t x, bool begins) {
    Edge& edge = edges[edge_count++];
    edge.x = x;
    edge.begins = begins;
    edge.current = InputLanes(x);
    edge.next = InputLanes(x + Lanes());
  }

  // The lanes that lie within the input, of the vector that the first taps of outputs from x on
  // meet.
  HWY_INLINE M InputLanes(std::int64_t x) const {
    const std::int64_t lane = std::clamp<std::int64_t>(p.left - x, 0, Lanes());
    return LanesBetween(D(), lane,
                        std::clamp<std::int64_t>(p.left + p.in_columns - x, lane, Lanes()));
  }

  struct Edge {
    std::int64_t x = 0;
    bool begins = false;  // within the vector before it, not behind it
    M current, next;      // lanes within the input
  };

  const DepthwisePlanes& p;
  M first;                     // of the vector that the first output meets
  std::int64_t whole_end = 0;  // the next vectors of outputs before this lie within the input
  Edge edges[2];
  std::size_t edge_count = 0;
};

enum class Writing { kWhole, kPastCaches, kFirst };

// kRows rows of outputs of a plane, vector by vector. With kInside all rows that they meet lie
// within the input. Each row of the input is loaded once, and the taps beside each other are taken
// from two vectors of it: most loads that begin anywhere meet two cache lines, and three of them
// for every row took Zen 4 longer than the products.
template <int kRows, bool kInside>
class WideRows {
 public:
  // The rows from y on.
  template <Writing kWriting>
  static HWY_NOINLINE void Run(const RowVectors& vectors, const Plane& plane, std::int64_t y) {
    WideRows(vectors, plane, y).template RunVectors<kWriting>();
  }

 private:
  HWY_INLINE WideRows(const RowVectors& vectors, const Plane& plane, std::int64_t y)
      : vectors_(vectors),
        p_(vectors.p),
        plane_(plane),
        row_(y - p_.top),
        in_(plane.in + row_ * p_.in_columns - p_.left),
        out_(plane.out + y * p_.columns) {
    HWY_UNROLL(9) for (int t = 0; t < 9; ++t) weights_[t] = plane.weights[t];
  }

  template <Writing kWriting>
  HWY_INLINE void RunVectors() {
    Begin(0, vectors_.first);
    for (std::int64_t x = 0; x < vectors_.whole_end; x += Lanes()) {
      RunVector<kWriting, true>(x, vectors_.first);
    }
    for (std::size_t i = 0; i < vectors_.edge_count; ++i) {
      const RowVectors::Edge& edge = vectors_.edges[i];
      if (edge.begins) Begin(edge.x, edge.current);
      RunVector<kWriting, false>(edge.x, edge.next);
    }
  }

  HWY_INLINE bool Meets(int i) const { return kInside || (row_ + i >= 0 && row_ + i < p_.in_rows); }

  // What the first taps of outputs from x on meet.
  HWY_INLINE void Begin(std::int64_t x, M lanes) {
    if constexpr (kEmulated) return;
    HWY_UNROLL(8) for (int i = 0; i < kRows + 2; ++i) {
      if (Meets(i)) current_[i] = LoadSome(D(), in_ + i * p_.in_columns + x, lanes);
    }
  }

  // A vector of outputs of each row, at the first or following the one before. With kWhole the next
  // vector lies within the input as well, otherwise `next_lanes` of it.
  template <Writing kWriting, bool kWhole>
  HWY_INLINE void RunVector(std::int64_t x, M next_lanes) {
    const D d;
    const float* HWY_RESTRICT from = in_ + x;
    if constexpr (kWriting == Writing::kPastCaches) {  // what the next rows of outputs will read
      const float* ahead = from + (kRows + 2) * p_.in_columns + Lanes();
      for (int r = 0; r < kRows; ++r) __builtin_prefetch(ahead + r * p_.in_columns, 0, 2);
    }
    V sums[kRows];
    HWY_UNROLL(4) for (int r = 0; r < kRows; ++r) sums[r] = hn::Zero(d);
    // Input row i meets output row r with tap row i - r.
    HWY_UNROLL(8) for (int i = 0; i < kRows + 2; ++i, from += p_.in_columns) {
      if (!Meets(i)) continue;
      V inputs[3];
      if constexpr (kEmulated) {  // vectors of a single lane, too
        for (int j = 0; j < 3; ++j) inputs[j] = LoadSome(d, from + j, vectors_.InputLanes(x + j));
      } else {
        V next;
        if constexpr (kWhole) {
          next = hn::LoadU(d, from + Lanes());
        } else {
          next = LoadSome(d, from + Lanes(), next_lanes);
        }
        inputs[0] = current_[i];
        inputs[1] = SlideDown<1>(d, current_[i], next);
        inputs[2] = SlideDown<2>(d, current_[i], next);
        current_[i] = next;
      }
      HWY_UNROLL(4) for (int j = 0; j < 3; ++j) {
        HWY_UNROLL(4) for (int r = 0; r < kRows; ++r) {
          if (i - r < 0 || i - r > 2) continue;
          sums[r] = MulAdd(d, weights_[3 * (i - r) + j], inputs[j], sums[r]);
        }
      }
    }
    const V bias = hn::Set(d, plane_.bias);
    float* HWY_RESTRICT out = out_ + x;
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

  const RowVectors& vectors_;
  const DepthwisePlanes& p_;
  const Plane& plane_;
  const std::int64_t row_;  // of the input, may be negative
  const float* const in_;   // what the first tap of the first output meets
  float* const out_;
  V weights_[9];
  V current_[kRows + 2];
};

// Planes whose outputs fill a vector, or nearly.
class WidePlanes {
 public:
  explicit WidePlanes(const DepthwisePlanes& planes) : p_(planes), vectors_(planes) {}

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

  template <int kRows>
  HWY_INLINE void RunRows(const Plane& plane, std::int64_t y) const {
    // Short rows are written in order, so that each one covers what the one before it spilt.
    const bool whole = p_.columns >= Lanes() || plane.spills ||
                       (y + kRows) * p_.columns + Lanes() - p_.columns <= p_.last_row * p_.columns;
    const bool inside = y >= p_.top && y - p_.top + kRows + 2 <= p_.in_rows;
    if (!whole) {
      WideRows<kRows, false>::template Run<Writing::kFirst>(vectors_, plane, y);
    } else if (!inside) {
      WideRows<kRows, false>::template Run<Writing::kWhole>(vectors_, plane, y);
    } else if (plane.past_caches) {
      WideRows<kRows, true>::template Run<Writing::kPastCaches>(vectors_, plane, y);
    } else {
      WideRows<kRows, true>::template Run<Writing::kWhole>(vectors_, plane, y);
    }
  }

  const DepthwisePlanes& p_;
  const RowVectors vectors_;
};

}  // namespace HWY_NAMESPACE
}  // namespace convserve
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
