#include "core/kernels/packing_kernel.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include "core/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/packing_kernel.cc"
#include "hwy/cache_control.h"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
// clang-format off
#include "core/kernels/panels-inl.h"  // come last: compiled once for every target
#include "core/kernels/simd-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace convserve {
namespace HWY_NAMESPACE {
namespace {

#if HWY_TARGET != HWY_SCALAR
// A panel whose rows' elements lie side by side, in the order of the depth.
template <int kHeight>
void PackInOrder(const float* HWY_RESTRICT from, std::int64_t row_stride, std::int64_t count,
                 float* HWY_RESTRICT out) {
  // Longer vectors would be stored across lines of the cache, which takes longer.
  const hn::CappedTag<float, 8> d;
  constexpr int kLanes = static_cast<int>(hn::MaxLanes(d));
  // Of a few rows whole lines are read at once: the cache may have room for no more of them, where
  // rows are a power of two apart.
  constexpr std::int64_t kLine = 16;
  if (kHeight < 4 || count < kLine) {
    for (std::int64_t k = 0; k < count; ++k) {
      HWY_UNROLL(16) for (int i = 0; i < kHeight; ++i) {
        out[k * kHeight + i] = from[i * row_stride + k];
      }
    }
    return;
  }
  // The last squares may begin within those before them, along both sides.
  for (std::int64_t line = 0;; line = std::min(line + kLine, count - kLine)) {
    const bool last = line + kLine == count;
    HWY_UNROLL(4) for (int part = 0; part < kHeight; part += kLanes) {
      const int first = std::max(std::min(part, kHeight - kLanes), 0);
      for (std::int64_t k = line; k < line + kLine; k += kLanes) {
        const float* HWY_RESTRICT rows = from + first * row_stride + k;
        TransposeSquare(
            d, [&](int i) { return rows + std::min(i, kHeight - 1) * row_stride; },
            [&](int i, auto column) {
              float* HWY_RESTRICT to = out + (k + i) * kHeight + first;
              if (kHeight < kLanes && last) {
                StoreFirst(d, column, kHeight, to);
              } else {
                hn::StoreU(column, d, to);  // past the rows it is written over by what follows
              }
            });
      }
    }
    if (last) return;
  }
}

// Four taps that lie side by side, of some channels.
template <int kHeight>
void PackTaps4(const PanelWeights& w, const float* HWY_RESTRICT from, const PanelTap* taps,
               std::int64_t first, std::int64_t last, float* HWY_RESTRICT out) {
  const hn::FixedTag<float, 4> d;
  float* HWY_RESTRICT to[4];
  std::int64_t step[4];
  HWY_UNROLL(4) for (int t = 0; t < 4; ++t) {
    to[t] = out + (taps[t].to + first * taps[t].step) * kHeight;
    step[t] = taps[t].step * kHeight;
  }
  from += taps->from + first * w.channel_stride;
  for (std::int64_t c = first; c < last; ++c, from += w.channel_stride) {
    HWY_UNROLL(4) for (int i = 0; i < (kHeight + 3) / 4; ++i) {
      // The last four rows may be some of those before.
      const int row = 4 * i < kHeight - 4 ? 4 * i : kHeight - 4;
      const float* HWY_RESTRICT rows = from + row * w.row_stride;
      TransposeSquare(
          d, [&](int r) { return rows + r * w.row_stride; },
          [&](int t, auto column) { hn::StoreU(column, d, to[t] + row); });
    }
    HWY_UNROLL(4) for (int t = 0; t < 4; ++t) to[t] += step[t];
  }
}

HWY_INLINE bool SideBySide(const PanelTap* taps) {
  return taps[3].from == taps[0].from + 3 && taps[1].from == taps[0].from + 1 &&
         taps[2].from == taps[0].from + 2;
}
#endif

// Channels [first, last) of one panel.
template <int kHeight>
void PackPanel(const PanelWeights& w, const float* HWY_RESTRICT from, std::int64_t first,
               std::int64_t last, float* HWY_RESTRICT out) {
  const auto count = static_cast<std::int64_t>(w.taps.size());
#if HWY_TARGET != HWY_SCALAR
  if (w.in_order) {
    return PackInOrder<kHeight>(from + first * w.channel_stride, w.row_stride, count, out);
  }
#endif
  for (std::int64_t t = 0; t < count;) {
    const PanelTap* taps = w.taps.data() + t;
#if HWY_TARGET != HWY_SCALAR
    if constexpr (kHeight >= 4) {
      if (t + 4 <= count && SideBySide(taps)) {
        PackTaps4<kHeight>(w, from, taps, first, last, out);
        t += 4;
        continue;
      }
    }
#endif
    for (std::int64_t c = first; c < last; ++c) {
      const float* HWY_RESTRICT at = from + c * w.channel_stride + taps->from;
      float* HWY_RESTRICT to = out + (taps->to + c * taps->step) * kHeight;
      HWY_UNROLL(16) for (int i = 0; i < kHeight; ++i) to[i] = at[i * w.row_stride];
    }
    ++t;
  }
}

void PackWeights(const PanelWeights& w) {
  using Function = void (*)(const PanelWeights&, const float*, std::int64_t, std::int64_t, float*);
  static constexpr auto kFunctions = []<int... kRows>(std::integer_sequence<int, kRows...>) {
    return std::array<Function, kMostRows>{&PackPanel<kRows + 1>...};
  }
  (std::make_integer_sequence<int, kMostRows>());
  // Of few channels at a time, so that both what is read and what is written stays in the L1 cache.
  constexpr std::int64_t kChannels = 8;
  for (std::int64_t first = 0; first < w.channels; first += kChannels) {
    float* out = w.out;
    ForEachPanel(w.rows, w.panels, [&](std::int64_t row, std::int64_t height) {
      kFunctions[static_cast<std::size_t>(height - 1)](
          w, w.from + row * w.row_stride, first, std::min(first + kChannels, w.channels), out);
      out += height * w.panel_depth;
    });
  }
}

// A run of less than two vectors of `d`: in two of the widest that it fills, of which the second
// may begin within the first.
template <class DRun>
HWY_INLINE void PackRun(DRun d, const StripPatches& p, const StripRun& run) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  if constexpr (hn::MaxLanes(d) > 4) {
    if (run.count < lanes) return PackRun(hn::Half<DRun>(), p, run);
  }
  const std::int64_t strip = Strip();
  const float* from = p.from + run.from;
  float* HWY_RESTRICT out = p.out + run.to;
  const std::int64_t last = run.count - lanes;
  if (last >= 0) {
    for (const std::int32_t offset : p.offsets) {
      const float* HWY_RESTRICT at = from + offset;
      hn::StoreU(hn::LoadU(d, at), d, out);
      hn::StoreU(hn::LoadU(d, at + last), d, out + last);
      out += strip;
    }
  } else {
    for (const std::int32_t offset : p.offsets) {
      for (std::int64_t i = 0; i < run.count; ++i) out[i] = from[offset + i];
      out += strip;
    }
  }
}

void PackPatches(const StripPatches& p) {
  const D d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  for (const StripRun& run : p.runs) {
    if (run.count < 2 * lanes) {
      PackRun(d, p, run);
      continue;
    }
    float* HWY_RESTRICT out = p.out;
    for (const std::int32_t offset : p.offsets) {
      const float* HWY_RESTRICT at = p.from + run.from + offset;
      hn::Store(hn::LoadU(d, at), d, out);
      hn::Store(hn::LoadU(d, at + lanes), d, out + lanes);
      out += kVectors * lanes;
    }
  }
}

// From element x on, as many whole vectors as there are; returns where they end.
template <class DRow>
HWY_INLINE std::int64_t InterleaveVectors(DRow d, const Interleaved& row, std::int64_t x) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto parts = static_cast<std::int64_t>(row.from.size());
  const float* const* from = row.from.data();
  float* HWY_RESTRICT to = row.to;
  const auto load = [&](int part) { return hn::LoadU(d, from[part] + x); };
  const bool past_caches = row.past_caches && FillsLines(to, 0, 0) && hn::MaxLanes(d) >= 8;
  HWY_ALIGN float lines[4 * hn::MaxLanes(DRow())];
  for (; parts <= 4 && x + lanes <= row.count; x += lanes) {
    float* HWY_RESTRICT at = past_caches ? lines : to + parts * x;
    if (parts == 1) {
      hn::StoreU(load(0), d, at);
    } else if (parts == 2) {
      hn::StoreInterleaved2(load(0), load(1), d, at);
    } else if (parts == 3) {
      hn::StoreInterleaved3(load(0), load(1), load(2), d, at);
    } else {
      hn::StoreInterleaved4(load(0), load(1), load(2), load(3), d, at);
    }
    for (std::int64_t p = 0; past_caches && p < parts; ++p) {
      hn::Stream(hn::Load(d, lines + p * lanes), d, to + parts * x + p * lanes);
    }
  }
  return x;
}

void Interleave(const Interleaved& row) {
  std::int64_t x = InterleaveVectors(D(), row, 0);
  if constexpr (hn::MaxLanes(D()) > 8) x = InterleaveVectors(hn::CappedTag<float, 8>(), row, x);
  if constexpr (hn::MaxLanes(D()) > 4) x = InterleaveVectors(hn::CappedTag<float, 4>(), row, x);
  const auto parts = static_cast<std::int64_t>(row.from.size());
  for (; x < row.count; ++x) {
    for (std::int64_t p = 0; p < parts; ++p) {
      row.to[x * parts + p] = row.from[static_cast<std::size_t>(p)][x];
    }
  }
}

// A few rows of columns that lie side by side: as far as there are whole vectors. Returns how many
// columns are done.
std::int64_t Deinterleave([[maybe_unused]] const Transposed& t) {
#if HWY_TARGET != HWY_SCALAR
  const D d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto* HWY_RESTRICT from = static_cast<const float*>(t.from);
  auto* HWY_RESTRICT to = static_cast<float*>(t.to);
  std::int64_t j = 0;
  for (; j + lanes <= t.columns; j += lanes, from += t.rows * lanes) {
    V rows[4];
    if (t.rows == 2) {
      hn::LoadInterleaved2(d, from, rows[0], rows[1]);
    } else if (t.rows == 3) {
      hn::LoadInterleaved3(d, from, rows[0], rows[1], rows[2]);
    } else {
      hn::LoadInterleaved4(d, from, rows[0], rows[1], rows[2], rows[3]);
    }
    for (std::int64_t i = 0; i < t.rows; ++i) hn::StoreU(rows[i], d, to + i * t.to_pitch + j);
  }
  return j;
#else
  return 0;
#endif
}

#if HWY_TARGET != HWY_SCALAR
constexpr hn::CappedTag<float, 8> kSquare;
constexpr std::int64_t kLine = 16;

// The last squares may begin within those before them, along both sides; of fewer columns than that
// the last one is read again.
void TransposeSquares(const Transposed& t) {
  constexpr auto d = kSquare;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto* HWY_RESTRICT from = static_cast<const float*>(t.from);
  auto* HWY_RESTRICT to = static_cast<float*>(t.to);
  const std::int64_t stored = std::min(lanes, t.columns);
  for (std::int64_t i = 0; i < t.rows; i += lanes) {
    i = std::min(i, t.rows - lanes);
    for (std::int64_t j = 0; j < t.columns; j += lanes) {
      j = std::max<std::int64_t>(std::min(j, t.columns - lanes), 0);
      TransposeSquare(
          d, [&](int r) { return from + std::min(j + r, t.columns - 1) * t.from_pitch + i; },
          [&](int c, auto column) {
            StoreFirst(d, column, stored, to + (i + c) * t.to_pitch + j);
          });
    }
  }
}

// Whether rows become whole lines that are to be written past the caches.
bool MakesLines(const Transposed& t) {
  return t.past_caches && hn::MaxLanes(kSquare) == 8 && t.columns % kLine == 0 &&
         FillsLines(static_cast<float*>(t.to), t.to_pitch, 0);
}

// Line by line: halves of lines, each written when its square is done, might go out one by one.
void TransposeLines(const Transposed& t) {
  const D d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto side = static_cast<std::int64_t>(hn::Lanes(kSquare));
  HWY_ALIGN float lines[hn::MaxLanes(kSquare) * kLine];
  const auto* HWY_RESTRICT from = static_cast<const float*>(t.from);
  auto* HWY_RESTRICT to = static_cast<float*>(t.to);
  for (std::int64_t i = 0; i < t.rows; i += side) {
    i = std::min(i, t.rows - side);
    for (std::int64_t j = 0; j < t.columns; j += kLine) {
      for (std::int64_t k = 0; k < kLine; k += side) {
        TransposeSquare(
            kSquare, [&](int r) { return from + (j + k + r) * t.from_pitch + i; },
            [&](int c, auto column) { hn::Store(column, kSquare, lines + c * kLine + k); });
      }
      for (std::int64_t c = 0; c < side; ++c) {
        for (std::int64_t k = 0; k < kLine; k += lanes) {
          hn::Stream(hn::Load(d, lines + c * kLine + k), d, to + (i + c) * t.to_pitch + j + k);
        }
      }
    }
  }
}
#endif

// Copies of 32 bits, as types and alignment of the elements are not known.
void Transpose(const Transposed& t) {
  constexpr std::int64_t kFew = 4;
  if (t.columns > 1 && t.columns <= kFew && t.to_pitch == t.columns) {
    std::array<const float*, kFew> rows;
    for (std::int64_t j = 0; j < t.columns; ++j) {
      rows[static_cast<std::size_t>(j)] = static_cast<const float*>(t.from) + j * t.from_pitch;
    }
    return Interleave({std::span(rows).first(static_cast<std::size_t>(t.columns)), t.rows,
                       static_cast<float*>(t.to), t.past_caches});
  }
  std::int64_t columns = 0;  // those done
  if (t.rows > 1 && t.rows <= kFew && t.from_pitch == t.rows) columns = Deinterleave(t);
#if HWY_TARGET != HWY_SCALAR
  if (t.rows >= static_cast<std::int64_t>(hn::Lanes(kSquare))) {
    return MakesLines(t) ? TransposeLines(t) : TransposeSquares(t);
  }
#endif
  const auto* from = static_cast<const std::byte*>(t.from);
  auto* to = static_cast<std::byte*>(t.to);
  constexpr std::int64_t kSize = sizeof(float);
  for (std::int64_t i = 0; i < t.rows; ++i) {
    for (std::int64_t j = columns; j < t.columns; ++j) {
      std::memcpy(to + (i * t.to_pitch + j) * kSize, from + (j * t.from_pitch + i) * kSize, kSize);
    }
  }
}

}  // namespace

const PackingTable* Packing();  // exported below

const PackingTable* Packing() {
  static const PackingTable table = {&PackWeights, &PackPatches, &Interleave, &Transpose};
  return &table;
}

}  // namespace HWY_NAMESPACE
}  // namespace convserve
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convserve {

HWY_EXPORT(Packing);

const PackingTable& PackingKernels() { return *HWY_DYNAMIC_DISPATCH(Packing)(); }

}  // namespace convserve
#endif  // HWY_ONCE
