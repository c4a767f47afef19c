#include "core/kernels/gemm_kernel.h"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "core/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/gemm_kernel.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace convserve {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Accumulators fill the register file but for two vectors of B and one broadcast element of A.
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
constexpr char kInstructionSet[] = "avx512";
constexpr int kRows = 14;
constexpr int kVectors = 2;
#elif HWY_TARGET == HWY_AVX2
constexpr char kInstructionSet[] = "avx2";
constexpr int kRows = 6;
constexpr int kVectors = 2;
#elif HWY_TARGET == HWY_NEON
constexpr char kInstructionSet[] = "neon";
constexpr int kRows = 6;
constexpr int kVectors = 4;
#else
constexpr char kInstructionSet[] = "portable";
constexpr int kRows = 4;
constexpr int kVectors = 2;
#endif

// Registers of the instruction set, in vectors.
constexpr int kRegisters = kRows > 8 ? 32 : 16;

// Vectors of a tile with this many rows: sums, one row of B and one element of A in registers, at
// least eight sums to hide the latency of a multiply-add. A single row reads B from memory as it
// multiplies.
constexpr int TileVectors(int rows) {
  if (rows == 1) return 8;
  const int most = (kRegisters - 1) / (rows + 1);
  return most > 8 ? 8 : most < kVectors ? kVectors : most;
}

#if HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128
// Highway's fallback rounds the product; the bits must be those of the other targets.
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

// Row i of A, three rows to a pointer: a stride and twice a stride are addressing modes, so that
// many rows need few registers.
template <typename T, int kTileRows>
struct SideBySide {
  explicit SideBySide(const GemmTile<T>& tile) : stride(tile.a_stride) {
    HWY_UNROLL(32) for (int i = 0; i < kPointers; ++i) row[i] = tile.a + 3 * i * stride;
  }
  HWY_INLINE T At(int i) const { return row[i / 3][i % 3 * stride]; }
  HWY_INLINE void Next() { HWY_UNROLL(32) for (int i = 0; i < kPointers; ++i)++ row[i]; }

  static constexpr int kPointers = (kTileRows + 2) / 3;
  const T* row[kPointers];
  std::int64_t stride;
};

template <typename T, int kTileRows>
struct Packed {
  explicit Packed(const GemmTile<T>& tile) : column(tile.a) {}
  HWY_INLINE T At(int i) const { return column[i]; }
  HWY_INLINE void Next() { column += kTileRows; }

  const T* column;
};

// Columns [first, first + kTileVectors * lanes) of the tile.
template <typename T, int kTileRows, int kTileVectors, class A>
void Columns(const GemmTile<T>& tile, std::int64_t first) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));

  V sums[kTileRows][kTileVectors];
  HWY_UNROLL(32) for (int i = 0; i < kTileRows; ++i) {
    HWY_UNROLL(32) for (int v = 0; v < kTileVectors; ++v) sums[i][v] = hn::Zero(d);
  }
  A a(tile);
  const T* HWY_RESTRICT panel = tile.b + first;
  for (std::int64_t k = 0; k < tile.depth; ++k) {
    const T* HWY_RESTRICT b = panel + tile.offsets[k];
    V column[kTileVectors];
    HWY_UNROLL(32) for (int v = 0; v < kTileVectors; ++v) column[v] = hn::LoadU(d, b + v * lanes);
    HWY_UNROLL(32) for (int i = 0; i < kTileRows; ++i) {
      const V weight = hn::Set(d, a.At(i));
      HWY_UNROLL(32) for (int v = 0; v < kTileVectors; ++v) {
        sums[i][v] = MulAdd(d, weight, column[v], sums[i][v]);
      }
    }
    a.Next();
  }

  const std::int64_t columns = tile.columns - first;
  HWY_UNROLL(32) for (int v = 0; v < kTileVectors; ++v) {
    const std::int64_t left = columns - v * lanes;
    if (left <= 0) return;
    T* HWY_RESTRICT c = tile.c + first + v * lanes;
    if (left >= lanes) {
      HWY_UNROLL(32) for (int i = 0; i < kTileRows; ++i, c += tile.c_stride) {
        V sum = sums[i][v];
        if (tile.accumulate) sum = hn::Add(hn::LoadU(d, c), sum);
        if (tile.bias != nullptr) sum = hn::Add(sum, hn::Set(d, tile.bias[i]));
        hn::StoreU(sum, d, c);
      }
      continue;
    }
    HWY_ALIGN T edge[kTileRows][hn::MaxLanes(d)];
    HWY_UNROLL(32) for (int i = 0; i < kTileRows; ++i) hn::StoreU(sums[i][v], d, edge[i]);
    for (int i = 0; i < kTileRows; ++i, c += tile.c_stride) {
      for (std::int64_t j = 0; j < left; ++j) {
        const T sum = tile.accumulate ? c[j] + edge[i][j] : edge[i][j];
        c[j] = tile.bias != nullptr ? sum + tile.bias[i] : sum;
      }
    }
  }
}

template <typename T, int kTileRows, class A>
void Rows(const GemmTile<T>& tile) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(hn::ScalableTag<T>()));
  constexpr int kWide = TileVectors(kTileRows);
  std::int64_t first = 0;
  // A last tile that is not full is worth its width when more than half of it counts.
  for (; tile.columns - first > kWide * lanes / 2 && kWide > kVectors &&
         tile.columns - first >= kVectors * lanes;
       first += kWide * lanes) {
    Columns<T, kTileRows, kWide, A>(tile, first);
  }
  for (; first < tile.columns; first += kVectors * lanes) {
    Columns<T, kTileRows, kVectors, A>(tile, first);
  }
}

template <typename T, std::size_t... kIndices>
void Dispatch(const GemmTile<T>& tile, std::index_sequence<kIndices...>) {
  using Function = void (*)(const GemmTile<T>&);
  static constexpr Function kSideBySide[] = {
      &Rows<T, static_cast<int>(kIndices) + 1, SideBySide<T, static_cast<int>(kIndices) + 1>>...};
  static constexpr Function kPacked[] = {
      &Rows<T, static_cast<int>(kIndices) + 1, Packed<T, static_cast<int>(kIndices) + 1>>...};
  (tile.a_stride > 0 ? kSideBySide : kPacked)[tile.rows - 1](tile);
}

template <typename T>
void RunTile(const GemmTile<T>& tile) {
  Dispatch(tile, std::make_index_sequence<kRows>());
}

template <typename T>
GemmKernel<T> MakeGemmKernel() {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(hn::ScalableTag<T>()));
  GemmKernel<T> kernel{kRows, kVectors * lanes, {}, &RunTile<T>};
  for (int rows = 1; rows <= kRows; ++rows) {
    kernel.tile_columns[static_cast<std::size_t>(rows)] = TileVectors(rows) * lanes;
  }
  return kernel;
}

const KernelTable* Table();  // exported below

const KernelTable* Table() {
  static const KernelTable table = {kInstructionSet, MakeGemmKernel<float>(),
                                    MakeGemmKernel<double>()};
  return &table;
}

}  // namespace HWY_NAMESPACE
}  // namespace convserve
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convserve {

HWY_EXPORT(Table);

const KernelTable& Kernels() { return *HWY_DYNAMIC_DISPATCH(Table)(); }

}  // namespace convserve
#endif  // HWY_ONCE
