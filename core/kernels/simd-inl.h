// What kernels for one instruction set share; included after hwy/highway.h, once for each of them.
#if defined(CONVSERVE_CORE_KERNELS_SIMD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CONVSERVE_CORE_KERNELS_SIMD_INL_H_
#undef CONVSERVE_CORE_KERNELS_SIMD_INL_H_
#else
#define CONVSERVE_CORE_KERNELS_SIMD_INL_H_
#endif

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/divide.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace convserve {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// The widest vectors of floats.
using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

// Of functions that emulated targets call: inlined everywhere, their loops over lanes would take
// compilers minutes.
#undef CONVSERVE_STEP
#if HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128
#define CONVSERVE_STEP HWY_NOINLINE
constexpr bool kEmulated = true;
#else
#define CONVSERVE_STEP HWY_INLINE
constexpr bool kEmulated = false;
#endif

// Registers of the instruction set, in vectors.
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
constexpr char kInstructionSet[] = "avx512";
constexpr int kRegisters = 32;
#elif HWY_TARGET == HWY_AVX2
constexpr char kInstructionSet[] = "avx2";
constexpr int kRegisters = 16;
#elif HWY_TARGET == HWY_NEON
constexpr char kInstructionSet[] = "neon";
constexpr int kRegisters = 32;
#else
constexpr char kInstructionSet[] = "portable";
constexpr int kRegisters = 16;
#endif

// Blocks of sums are so many vectors wide at most.
constexpr int kMaxVectors = 8;

// The most rows of a block of sums that is `vectors` wide: the sums, the shorter side of the outer
// product and one element of the longer fit the registers, with some to spare.
constexpr int MaxRows(int vectors, int spare = 0) {
  int rows = 1;
  while (rows < 14) {
    const int next = rows + 1;
    if (next * vectors + (next < vectors ? next : vectors) + 1 + spare > kRegisters) break;
    rows = next;
  }
  return rows;
}

// The widest blocks that take so many rows at once; two vectors where there are more than any does.
// Where blocks are so wide, spare(vectors) registers stay free.
template <typename Spare>
constexpr int VectorsFor(std::int64_t rows, Spare spare) {
  for (int vectors = kMaxVectors; vectors > 2; --vectors) {
    if (rows <= MaxRows(vectors, spare(vectors))) return vectors;
  }
  return 2;
}
constexpr int VectorsFor(std::int64_t rows) {
  return VectorsFor(rows, [](int /*vectors*/) { return 0; });
}

#if HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128
// a * b + sum. Highway's fallback rounds the product; the bits must be those of the other targets.
template <class D, class V = hn::VFromD<D>>
V MulAdd(D d, V a, V b, V sum) {
  using T = hn::TFromD<D>;
  T lanes[3][hn::MaxLanes(D())];
  hn::StoreU(a, d, lanes[0]);
  hn::StoreU(b, d, lanes[1]);
  hn::StoreU(sum, d, lanes[2]);
  for (std::size_t i = 0; i < hn::Lanes(d); ++i) {
    lanes[2][i] = std::fma(lanes[0][i], lanes[1][i], lanes[2][i]);
  }
  return hn::LoadU(d, lanes[2]);
}
#else
template <class D, class V = hn::VFromD<D>>
HWY_INLINE V MulAdd(D /*d*/, V a, V b, V sum) {
  return hn::MulAdd(a, b, sum);
}
#endif

// Calls body(first, size) for so many parts of `total`, of about equal size, the larger ones first.
template <typename Body>
HWY_INLINE void ForEachOfParts(std::int64_t total, std::int64_t parts, Body body) {
  std::int64_t first = 0;
  for (std::int64_t part = 0; part < parts; ++part) {
    const std::int64_t size = total / parts + (part < total % parts ? 1 : 0);
    body(first, size);
    first += size;
  }
}

// The same for as few parts as there are of at most `most` each.
template <typename Body>
HWY_INLINE void ForEachPart(std::int64_t total, std::int64_t most, Body body) {
  ForEachOfParts(total, CeilDivide(total, most), body);
}

// The parts of sums that are too long for one running sum (core/kernels/running_sum.h).
template <int kRows, int kVectors, typename T>
class LongSum {
 public:
  using D = hn::ScalableTag<T>;
  using V = hn::Vec<D>;

  // Starts the next part.
  static HWY_INLINE void Start(V (&sums)[kRows][kVectors]) {
    HWY_UNROLL(16) for (int i = 0; i < kRows; ++i) {
      HWY_UNROLL(8) for (int v = 0; v < kVectors; ++v) sums[i][v] = hn::Zero(D());
    }
  }

  // Ends a part that another one follows.
  HWY_INLINE void Keep(const V (&sums)[kRows][kVectors]) {
    const D d;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    HWY_UNROLL(16) for (int i = 0; i < kRows; ++i) {
      HWY_UNROLL(8) for (int v = 0; v < kVectors; ++v) {
        T* total = total_[i] + v * lanes;
        hn::Store(any_ ? hn::Add(hn::Load(d, total), sums[i][v]) : sums[i][v], d, total);
      }
    }
    any_ = true;
  }

  // Row i of the total, where the row of the last part is `sums`.
  HWY_INLINE void Add(int i, V (&sums)[kVectors]) const {
    if (!any_) return;
    const D d;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    HWY_UNROLL(8) for (int v = 0; v < kVectors; ++v) {
      sums[v] = hn::Add(hn::Load(d, total_[i] + v * lanes), sums[v]);
    }
  }

 private:
  bool any_ = false;
  HWY_ALIGN T total_[kRows][kVectors * hn::MaxLanes(D())];
};

#if HWY_TARGET != HWY_SCALAR
// Four vectors as rows: columns[i] is column i in each 16 bytes, so that lane 4*b + r is element
// 4*b + i of row r.
template <class V>
HWY_INLINE void Transpose4(V r0, V r1, V r2, V r3, V (&columns)[4]) {
  const hn::DFromV<V> d;
  const auto low02 = hn::InterleaveLower(d, r0, r2);
  const auto low13 = hn::InterleaveLower(d, r1, r3);
  const auto high02 = hn::InterleaveUpper(d, r0, r2);
  const auto high13 = hn::InterleaveUpper(d, r1, r3);
  columns[0] = hn::InterleaveLower(d, low02, low13);
  columns[1] = hn::InterleaveUpper(d, low02, low13);
  columns[2] = hn::InterleaveLower(d, high02, high13);
  columns[3] = hn::InterleaveUpper(d, high02, high13);
}

// As many elements of as many rows as a vector has lanes, eight at most: calls store(c, column) for
// each column in order, of which lane r is row(r)[c].
template <class D, class Row, class Store>
HWY_INLINE void TransposeSquare(D d, Row row, Store store) {
  const auto load = [&](int r) { return hn::LoadU(d, row(r)); };
  hn::VFromD<D> upper[4];
  Transpose4(load(0), load(1), load(2), load(3), upper);
  if constexpr (hn::MaxLanes(D()) == 4) {
    HWY_UNROLL(4) for (int i = 0; i < 4; ++i) store(i, upper[i]);
  } else {
    static_assert(hn::MaxLanes(D()) == 8);
    hn::VFromD<D> lower[4];
    Transpose4(load(4), load(5), load(6), load(7), lower);
    HWY_UNROLL(4) for (int i = 0; i < 4; ++i) {
      store(i, hn::ConcatLowerLower(d, lower[i], upper[i]));
    }
    HWY_UNROLL(4) for (int i = 0; i < 4; ++i) {
      store(4 + i, hn::ConcatUpperUpper(d, lower[i], upper[i]));
    }
  }
}
#endif

// Whether a block is made of whole cache lines: rows of `bytes` that begin at `to` and every
// `stride` elements after it. Only these may go past the caches.
template <typename T>
HWY_INLINE bool FillsLines(const T* to, std::int64_t stride, std::size_t bytes) {
  constexpr std::size_t kLine = 64;
  return ((reinterpret_cast<std::uintptr_t>(to) | static_cast<std::size_t>(stride) * sizeof(T) |
           bytes) &
          (kLine - 1)) == 0;
}

// Stores to where the vector is aligned if it goes past the caches.
template <class D, class V = hn::VFromD<D>>
HWY_INLINE void StoreWhole(V vector, D d, hn::TFromD<D>* to, bool past_caches) {
  if (past_caches) {
    hn::Stream(vector, d, to);
  } else {
    hn::StoreU(vector, d, to);
  }
}

// Copies `count` elements, up to a vector of them, and touches nothing past them.
template <std::size_t kLanes, typename T>
HWY_INLINE void CopyFew(const T* HWY_RESTRICT from, std::int64_t count, T* HWY_RESTRICT to) {
  if constexpr (kLanes > 1) {
    constexpr std::size_t kHalf = kLanes / 2;
    // Both ends, which may overlap.
    if (count >= static_cast<std::int64_t>(kHalf)) {
      std::memcpy(to, from, kHalf * sizeof(T));
      std::memcpy(to + count - kHalf, from + count - kHalf, kHalf * sizeof(T));
      return;
    }
    CopyFew<kHalf>(from, count, to);
  } else if (count > 0) {
    *to = *from;
  }
}

// Lanes [first, last).
template <class D>
HWY_INLINE hn::Mask<D> LanesBetween(D d, std::int64_t first, std::int64_t last) {
  return hn::AndNot(hn::FirstN(d, static_cast<std::size_t>(first)),
                    hn::FirstN(d, static_cast<std::size_t>(last)));
}

// The lanes of `mask` of what begins at `from`, zero elsewhere; nothing else is read.
template <class D>
CONVSERVE_STEP hn::VFromD<D> LoadSome(D d, const hn::TFromD<D>* from, hn::Mask<D> mask) {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
  return hn::MaskedLoad(mask, d, from);
#else
  using T = hn::TFromD<D>;
  HWY_ALIGN T lanes[hn::MaxLanes(D())];
  hn::Store(hn::IfThenElseZero(mask, hn::Set(d, T{1})), d, lanes);
  for (std::size_t i = 0; i < hn::Lanes(d); ++i) {
    if (lanes[i] != 0) lanes[i] = from[i];
  }
  return hn::Load(d, lanes);
#endif
}

// Whether SlideDown() is one instruction, and cheaper than a load that meets two cache lines.
constexpr bool kSlides = HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL;

// The lanes of `low` from kLanes on, and then the first kLanes of `high`.
template <int kLanes, class D, class V = hn::VFromD<D>>
HWY_INLINE V SlideDown([[maybe_unused]] D d, [[maybe_unused]] V low, V high) {
  [[maybe_unused]] constexpr int kBytes = kLanes * static_cast<int>(sizeof(hn::TFromD<D>));
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
  const hn::Repartition<std::int32_t, D> words;
  const auto from = hn::BitCast(words, low);
  const auto until = hn::BitCast(words, high);
  return hn::BitCast(d, decltype(from){_mm512_alignr_epi32(until.raw, from.raw, kBytes / 4)});
#elif HWY_TARGET == HWY_AVX2
  return hn::CombineShiftRightBytes<kBytes>(d, hn::ConcatLowerUpper(d, high, low), low);
#elif HWY_TARGET == HWY_SCALAR
  static_assert(kLanes == 1);
  return high;
#else
  return hn::CombineShiftRightBytes<kBytes>(d, high, low);
#endif
}

// Writes the first `count` lanes, and nothing past them. Not by a masked store: AMD's take tens of
// cycles.
template <class D, class V = hn::VFromD<D>>
HWY_INLINE void StoreFirst(D d, V vector, std::int64_t count, hn::TFromD<D>* to) {
  if (count >= static_cast<std::int64_t>(hn::Lanes(d))) {
    hn::StoreU(vector, d, to);
  } else {
    HWY_ALIGN hn::TFromD<D> lanes[hn::MaxLanes(D())];
    hn::Store(vector, d, lanes);
    CopyFew<hn::MaxLanes(D())>(lanes, count, to);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace convserve
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
