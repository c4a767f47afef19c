// The blocks of core/kernels/gemm_kernel.h, for kernels of elements that are multiplied in
// different ways. Included once for every target, after hwy/highway.h.
#if defined(CONVSERVE_CORE_KERNELS_GEMM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CONVSERVE_CORE_KERNELS_GEMM_INL_H_
#undef CONVSERVE_CORE_KERNELS_GEMM_INL_H_
#else
#define CONVSERVE_CORE_KERNELS_GEMM_INL_H_
#endif

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "core/divide.h"
#include "core/kernels/gemm_kernel.h"
#include "core/kernels/simd-inl.h"
#include "hwy/cache_control.h"

HWY_BEFORE_NAMESPACE();
namespace convserve {
namespace HWY_NAMESPACE {

// Rows of A, three to a pointer: a stride and twice a stride are addressing modes, so that many
// rows need few registers.
template <typename T, int kRows>
struct RowsOfA {
  RowsOfA(const GemmTile<T>& tile, std::int64_t first) : stride(tile.a_stride) {
    HWY_UNROLL(8) for (int i = 0; i < kPointers; ++i) {
      row[i] = tile.a + (first + std::int64_t{3} * i) * stride;
    }
  }
  HWY_INLINE T At(int i) const { return row[i / 3][i % 3 * stride]; }
  HWY_INLINE void Next() { HWY_UNROLL(8) for (int i = 0; i < kPointers; ++i)++ row[i]; }

  static constexpr int kPointers = (kRows + 2) / 3;
  const T* row[kPointers];
  std::int64_t stride;
};

// Where a block begins.
struct Place {
  std::int64_t row = 0;
  std::int64_t column = 0;
  std::span<const GemmSegment> segments;  // from the one that holds `column` on
};

// The sums of a block, to be added to several segments or to parts of them.
template <typename T>
struct KeptSums {
  const T* sums = nullptr;
  std::int64_t pitch = 0;  // from one row to the next, with a vector to spare
  std::int64_t rows = 0;
  std::int64_t columns = 0;
};

// To elements side by side: `count` of each row, from column `from` on.
template <typename T>
HWY_INLINE void AddRows(const GemmTile<T>& tile, std::int64_t row, const KeptSums<T>& kept,
                        std::int64_t from, std::int64_t count, T* HWY_RESTRICT c) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  for (std::int64_t i = 0; i < kept.rows; ++i, c += tile.c_stride) {
    const T* HWY_RESTRICT sums = kept.sums + i * kept.pitch + from;
    const V bias = hn::Set(d, tile.bias != nullptr ? tile.bias[row + i] : T{0});
    std::int64_t j = 0;
    for (; j + lanes <= count; j += lanes) {
      V sum = hn::LoadU(d, sums + j);
      if (tile.accumulate) sum = hn::Add(hn::LoadU(d, c + j), sum);
      if (tile.bias != nullptr) sum = hn::Add(sum, bias);
      hn::StoreU(sum, d, c + j);
    }
    if (j == count) continue;
    V sum = hn::LoadU(d, sums + j);
    if (tile.accumulate) {
      const auto mask = hn::FirstN(d, static_cast<std::size_t>(count - j));
      sum = hn::Add(hn::MaskedLoad(mask, d, c + j), sum);
    }
    if (tile.bias != nullptr) sum = hn::Add(sum, bias);
    StoreFirst(d, sum, count - j, c + j);
  }
}

// Whether BlendedStore leaves alone what it does not write, which other threads may be writing.
constexpr bool kStoresParts =
    HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL;

#if HWY_TARGET != HWY_SCALAR
// To every second element, for targets that store parts.
template <typename T>
HWY_INLINE void AddToSecond(const GemmTile<T>& tile, std::int64_t row, const KeptSums<T>& kept,
                            std::int64_t from, std::int64_t count, T* HWY_RESTRICT c) {
  const hn::ScalableTag<T> d;
  const hn::RebindToSigned<decltype(d)> di;
  using V = hn::Vec<decltype(d)>;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto pairs = hn::IndicesFromVec(d, hn::ShiftRight<1>(hn::Iota(di, 0)));
  const auto odd = hn::RebindMask(d, hn::TestBit(hn::Iota(di, 0), hn::Set(di, 1)));
  for (std::int64_t i = 0; i < kept.rows; ++i, c += tile.c_stride) {
    const T* HWY_RESTRICT sums = kept.sums + i * kept.pitch + from;
    const V bias = hn::Set(d, tile.bias != nullptr ? tile.bias[row + i] : T{0});
    for (std::int64_t j = 0; j < count; j += lanes / 2) {
      const auto mask = hn::AndNot(odd, hn::FirstN(d, static_cast<std::size_t>(2 * (count - j))));
      V sum = hn::TableLookupLanes(hn::LoadU(d, sums + j), pairs);
      if (tile.accumulate) sum = hn::Add(hn::MaskedLoad(mask, d, c + 2 * j), sum);
      if (tile.bias != nullptr) sum = hn::Add(sum, bias);
      hn::BlendedStore(sum, mask, d, c + 2 * j);
    }
  }
}
#endif

// To elements that lie apart.
template <typename T>
HWY_INLINE void AddApart(const GemmTile<T>& tile, std::int64_t row, const KeptSums<T>& kept,
                         std::int64_t from, std::int64_t count, T* HWY_RESTRICT c) {
  for (std::int64_t i = 0; i < kept.rows; ++i, c += tile.c_stride) {
    for (std::int64_t j = 0; j < count; ++j) {
      T& to = c[j * tile.c_step];
      T sum = kept.sums[i * kept.pitch + from + j];
      if (tile.accumulate) sum = to + sum;
      to = tile.bias != nullptr ? sum + tile.bias[row + i] : sum;
    }
  }
}

#if HWY_TARGET != HWY_SCALAR
// To columns side by side, as where channels come last: square by square.
template <typename T>
HWY_INLINE void AddColumns(const GemmTile<T>& tile, std::int64_t row, const KeptSums<T>& kept,
                           std::int64_t from, std::int64_t count, T* HWY_RESTRICT c) {
  const hn::CappedTag<T, 8> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  for (std::int64_t i = 0; i < kept.rows; i += lanes) {
    const std::int64_t height = std::min(lanes, kept.rows - i);
    const auto mask = hn::FirstN(d, static_cast<std::size_t>(height));
    const auto bias =
        tile.bias != nullptr ? hn::MaskedLoad(mask, d, tile.bias + row + i) : hn::Zero(d);
    for (std::int64_t j = 0; j < count; j += lanes) {
      const T* sums = kept.sums + i * kept.pitch + from + j;
      const auto source = [&](int r) {
        return sums + std::min<std::int64_t>(r, height - 1) * kept.pitch;
      };
      TransposeSquare(d, source, [&](int column, hn::VFromD<decltype(d)> sum) {
        if (j + column >= count) return;
        T* to = c + i + (j + column) * tile.c_step;
        if (tile.accumulate) sum = hn::Add(hn::MaskedLoad(mask, d, to), sum);
        if (tile.bias != nullptr) sum = hn::Add(sum, bias);
        StoreFirst(d, sum, height, to);
      });
    }
  }
}
#endif

// Segment by segment. One function for all blocks: inlined, it would be most of each.
template <typename T>
HWY_NOINLINE void AddSegments(const GemmTile<T>& tile, const Place& place,
                              const KeptSums<T>& kept) {
  const std::int64_t end = place.column + kept.columns;
  for (const GemmSegment& segment : place.segments) {
    if (segment.first >= end) return;
    const std::int64_t first = std::max(segment.first, place.column);
    const std::int64_t count = std::min(segment.first + segment.count, end) - first;
    T* c =
        tile.c + place.row * tile.c_stride + segment.offset + (first - segment.first) * tile.c_step;
    const std::int64_t from = first - place.column;
    if (tile.c_step == 1) {
      AddRows(tile, place.row, kept, from, count, c);
      continue;
    }
#if HWY_TARGET != HWY_SCALAR
    if constexpr (sizeof(T) == 4) {
      if (tile.c_stride == 1) {
        AddColumns(tile, place.row, kept, from, count, c);
        continue;
      }
      if (kStoresParts && tile.c_step == 2) {
        AddToSecond(tile, place.row, kept, from, count, c);
        continue;
      }
    }
#endif
    AddApart(tile, place.row, kept, from, count, c);
  }
}

// One block: rows [row, row + kRows), kVectors vectors from `column` on.
template <typename T, class Product, int kRows, int kVectors>
class Block {
 public:
  static void Run(const GemmTile<T>& tile, const Place& place) {
    Block block;
    if (block.Multiply(tile, place)) return;
    AddSegments<T>(
        tile, place,
        {block.sums_[0], kPitch, kRows, kVectors * static_cast<std::int64_t>(hn::Lanes(D()))});
  }

 private:
  using D = hn::ScalableTag<T>;
  using V = hn::Vec<D>;
  // The last vector is read past its end when a segment begins within it.
  static constexpr std::int64_t kPitch = (kVectors + 1) * hn::MaxLanes(D());

  // Adds the sums to a single segment that has room for all of them and returns true, or else keeps
  // them in sums_.
  HWY_INLINE bool Multiply(const GemmTile<T>& tile, const Place& place) {
    const D d;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    const GemmSegment& segment = place.segments.front();
    const bool whole =
        tile.c_step == 1 && segment.first + segment.count >= place.column + kVectors * lanes;
    // Copied: a store could change what `tile` holds, for all the compiler knows.
    const std::int64_t c_stride = tile.c_stride;
    T* HWY_RESTRICT c =
        tile.c + place.row * c_stride + segment.offset + (place.column - segment.first);
    const bool past_caches = tile.past_caches && FillsLines(c, c_stride, kVectors * sizeof(V));
    if (whole && !past_caches) {
      HWY_UNROLL(16) for (int i = 0; i < kRows; ++i) hwy::Prefetch(c + i * c_stride);
    }
    V sums[kRows][kVectors];
    RowsOfA<T, kRows> a(tile, place.row);
    const T* HWY_RESTRICT columns = tile.b + place.column;
    LongSum<kRows, kVectors, T> earlier;
    std::int64_t k = 0;
    for (std::int64_t end = 0;;) {
      earlier.Start(sums);
      end = std::min(end + Product::kSum, tile.depth);
      // Unrolled, so that the end of a part is foreseen.
      HWY_UNROLL(8) for (; k < end; ++k) {
        const T* HWY_RESTRICT b = columns + tile.offsets[k];
        if constexpr (kVectors <= kRows) {
          V column[kVectors];
          HWY_UNROLL(8) for (int v = 0; v < kVectors; ++v) column[v] = hn::LoadU(d, b + v * lanes);
          HWY_UNROLL(16) for (int i = 0; i < kRows; ++i) {
            const V weight = hn::Set(d, a.At(i));
            HWY_UNROLL(8) for (int v = 0; v < kVectors; ++v) {
              sums[i][v] = Product::Add(d, weight, column[v], sums[i][v]);
            }
          }
        } else {
          V weight[kRows];
          HWY_UNROLL(16) for (int i = 0; i < kRows; ++i) weight[i] = hn::Set(d, a.At(i));
          HWY_UNROLL(8) for (int v = 0; v < kVectors; ++v) {
            const V column = hn::LoadU(d, b + v * lanes);
            HWY_UNROLL(16) for (int i = 0; i < kRows; ++i) {
              sums[i][v] = Product::Add(d, weight[i], column, sums[i][v]);
            }
          }
        }
        a.Next();
      }
      if (end == tile.depth) break;
      earlier.Keep(sums);
    }
    HWY_UNROLL(16) for (int i = 0; i < kRows; ++i) earlier.Add(i, sums[i]);
    if (!whole) {
      HWY_UNROLL(16) for (int i = 0; i < kRows; ++i) {
        HWY_UNROLL(8) for (int v = 0; v < kVectors; ++v) {
          hn::Store(sums[i][v], d, sums_[i] + v * lanes);
        }
      }
      return false;
    }
    const bool accumulate = tile.accumulate;
    const T* HWY_RESTRICT bias = tile.bias;
    HWY_UNROLL(16) for (int i = 0; i < kRows; ++i, c += c_stride) {
      if (accumulate) {
        HWY_UNROLL(8) for (int v = 0; v < kVectors; ++v) {
          sums[i][v] = hn::Add(hn::LoadU(d, c + v * lanes), sums[i][v]);
        }
      }
      if (bias != nullptr) {
        const V added = hn::Set(d, bias[place.row + i]);
        HWY_UNROLL(8) for (int v = 0; v < kVectors; ++v) sums[i][v] = hn::Add(sums[i][v], added);
      }
      HWY_UNROLL(8) for (int v = 0; v < kVectors; ++v) {
        StoreWhole(sums[i][v], d, c + v * lanes, past_caches);
      }
    }
    return true;
  }

  HWY_ALIGN T sums_[kRows][kPitch];
};

template <typename T>
using BlockFunction = void (*)(const GemmTile<T>& tile, const Place& place);

// All rows of kVectors vectors of columns, in blocks of about equal height.
template <typename T, class Product, int kVectors>
void Columns(const GemmTile<T>& tile, Place place) {
  constexpr int kMost = MaxRows(kVectors, Product::Spare(kVectors));
  static constexpr auto kBlocks = []<int... kRows>(std::integer_sequence<int, kRows...>) {
    return std::array<BlockFunction<T>, kMost>{&Block<T, Product, kRows + 1, kVectors>::Run...};
  }
  (std::make_integer_sequence<int, kMost>());
  ForEachPart(tile.rows, kMost, [&](std::int64_t row, std::int64_t height) {
    place.row = row;
    kBlocks[static_cast<std::size_t>(height - 1)](tile, place);
  });
}

// Product adds an element of A times a vector of B to one of sums: Add(d, a, b, sum). Blocks are
// kVectors vectors wide at most, with Spare(vectors) registers left to it, and sums start anew
// after kSum elements.
template <typename T, class Product>
void RunTile(const GemmTile<T>& tile) {
  static constexpr auto kColumns = []<int... kVectors>(std::integer_sequence<int, kVectors...>) {
    return std::array<void (*)(const GemmTile<T>&, Place), Product::kVectors>{
        &Columns<T, Product, kVectors + 1>...};
  }
  (std::make_integer_sequence<int, Product::kVectors>());
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(hn::ScalableTag<T>()));
  const std::int64_t most =
      std::min<std::int64_t>(VectorsFor(tile.rows, Product::Spare), Product::kVectors);
  const std::int64_t end = tile.segments.back().first + tile.segments.back().count;
  Place place{0, 0, tile.segments};
  while (true) {
    const auto& segments = place.segments;
    while (segments.front().first + segments.front().count <= place.column) {
      place.segments = segments.subspan(1);
    }
    place.column = std::max(place.column, segments.front().first);
    const std::int64_t vectors = std::min(most, CeilDivide(end - place.column, lanes));
    kColumns[static_cast<std::size_t>(vectors - 1)](tile, place);
    place.column += vectors * lanes;
    if (place.column >= end) break;
  }
  if (tile.past_caches) hwy::FlushStream();
}

}  // namespace HWY_NAMESPACE
}  // namespace convserve
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
