#include "core/kernels/winograd_kernel.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>

#include "core/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/winograd_kernel.cc"
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

// Calls body(d) with the narrowest vectors that hold a row of so many tiles, or the widest there
// are.
template <typename Body>
HWY_INLINE void WithVectorsOf(std::int64_t columns, Body body) {
  if (columns <= 4) return body(hn::CappedTag<float, 4>());
  if (columns <= 8) return body(hn::CappedTag<float, 8>());
  body(D());
}

// One row or column of B^T d.
template <class V>
HWY_INLINE void TransformInput(V d0, V d1, V d2, V d3, V (&out)[4]) {
  out[0] = hn::Sub(d0, d2);
  out[1] = hn::Add(d1, d2);
  out[2] = hn::Sub(d2, d1);
  out[3] = hn::Sub(d1, d3);
}

// As many tiles as a vector has lanes, of which the first begins at `from`; element e goes to
// out[e*element_stride].
template <class DTiles>
HWY_INLINE void TransformTiles(DTiles d, const float* HWY_RESTRICT from, std::int64_t pitch,
                               float* HWY_RESTRICT out, std::int64_t element_stride) {
  using V = hn::Vec<DTiles>;
  V rows[4][4];  // B^T along x
  HWY_UNROLL(4) for (int y = 0; y < 4; ++y, from += pitch) {
    V d0, d1, d2, d3;
    hn::LoadInterleaved2(d, from, d0, d1);
    hn::LoadInterleaved2(d, from + 2, d2, d3);
    TransformInput(d0, d1, d2, d3, rows[y]);
  }
  HWY_UNROLL(4) for (int x = 0; x < 4; ++x) {
    V column[4];
    TransformInput(rows[0][x], rows[1][x], rows[2][x], rows[3][x], column);
    HWY_UNROLL(4) for (int y = 0; y < 4; ++y) {
      hn::StoreU(column[y], d, out + (4 * y + x) * element_stride);
    }
  }
}

void Input(const WinogradInput& input) {
  const std::int64_t strip = Strip();
  WithVectorsOf(input.tiles.columns, [&](auto d) {
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    std::int64_t tile = input.first_tile;
    for (std::int64_t i = 0; i < input.tiles.rows; ++i) {
      const float* from = input.window + 2 * i * input.pitch;
      // A row of tiles, strip by strip. What a vector writes past them is written over: by the
      // tiles that follow, or those of the next channel.
      for (const std::int64_t end = tile + input.tiles.columns; tile < end;) {
        float* to = input.out + tile / strip * input.strip_stride + tile % strip;
        const std::int64_t count = std::min(end - tile, strip - tile % strip);
        for (std::int64_t j = 0; j < count; j += lanes) {
          TransformTiles(d, from + 2 * j, input.pitch, to + j, input.element_stride);
        }
        tile += count;
        from += 2 * count;
      }
    }
  });
}

// One row or column of G g.
HWY_INLINE void TransformWeights(V g0, V g1, V g2, V (&out)[4]) {
  const V half = hn::Set(D(), 0.5F);
  const V ends = hn::Add(g0, g2);
  out[0] = g0;
  out[1] = hn::Mul(half, hn::Add(ends, g1));
  out[2] = hn::Mul(half, hn::Sub(ends, g1));
  out[3] = g2;
}

// The taps of a few channels of a panel's filters, a filter in each lane.
class PanelTaps {
 public:
  static constexpr std::int64_t kChannels = 8;

  // Takes channels [0, count) of `height` filters.
  void Fill(const float* HWY_RESTRICT from, std::int64_t filter_stride, std::int64_t height,
            std::int64_t count) {
    std::int64_t t = 0;
#if HWY_TARGET != HWY_SCALAR
    const hn::CappedTag<float, 8> d;
    constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(d));
    const float* rows[kPitch];  // the last one again past the height
    for (std::int64_t i = 0; i < kPitch; ++i) {
      rows[i] = from + std::min(i, height - 1) * filter_stride;
    }
    for (; t + kLanes <= 9 * count; t += kLanes) {
      for (std::int64_t row = 0; row < height; row += kLanes) {
        TransposeSquare(
            d, [&](int i) { return rows[row + i] + t; },
            [&](int i, auto column) { hn::Store(column, d, taps_[t + i] + row); });
      }
    }
#endif
    for (; t < 9 * count; ++t) {
      for (std::int64_t i = 0; i < height; ++i) taps_[t][i] = from[i * filter_stride + t];
    }
  }

  // Tap t of channel c, of the filters from `row` on.
  HWY_INLINE V Tap(std::int64_t c, int t, std::int64_t row) const {
    return hn::Load(D(), taps_[9 * c + t] + row);
  }

  // A row has room for every vector of a panel.
  static constexpr std::int64_t kPitch = 16;
  static_assert(kMostRows <= kPitch);

 private:
  HWY_ALIGN float taps_[9 * kChannels][kPitch] = {};
};

// Sums of the taps of a panel's filters.
struct PanelNorms {
  // Adds channels [0, count).
  void Add(const PanelTaps& taps, std::int64_t height, std::int64_t count) {
    const D d;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    for (std::int64_t row = 0; row < height; row += lanes) {
      for (int t = 0; t < 9; ++t) {
        V sum = hn::Load(d, sums[t] + row);
        V square = hn::Load(d, squares[t] + row);
        for (std::int64_t c = 0; c < count; ++c) {
          const V g = taps.Tap(c, t, row);
          sum = hn::Add(sum, hn::Abs(g));
          square = MulAdd(d, g, g, square);
        }
        hn::Store(sum, d, sums[t] + row);
        hn::Store(square, d, squares[t] + row);
      }
    }
  }

  HWY_ALIGN float sums[9][PanelTaps::kPitch] = {};
  HWY_ALIGN float squares[9][PanelTaps::kPitch] = {};
};

// Channels [0, count) of a panel; element e goes to out[e*element_stride].
HWY_INLINE void TransformPanel(const PanelTaps& taps, std::int64_t height, std::int64_t count,
                               float* HWY_RESTRICT out, std::int64_t element_stride) {
  const D d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  for (std::int64_t c = 0; c < count; ++c, out += height) {
    for (std::int64_t row = 0; row < height; row += lanes) {
      // columns[y][x]: G along y.
      V columns[4][3];
      HWY_UNROLL(3) for (int x = 0; x < 3; ++x) {
        V column[4];
        TransformWeights(taps.Tap(c, x, row), taps.Tap(c, 3 + x, row), taps.Tap(c, 6 + x, row),
                         column);
        HWY_UNROLL(4) for (int y = 0; y < 4; ++y) columns[y][x] = column[y];
      }
      float* HWY_RESTRICT to = out + row;
      HWY_UNROLL(4) for (int y = 0; y < 4; ++y) {
        V transformed[4];
        TransformWeights(columns[y][0], columns[y][1], columns[y][2], transformed);
        // Lanes past the height are written over by what follows.
        HWY_UNROLL(4) for (int x = 0; x < 4; ++x, to += element_stride) {
          hn::StoreU(transformed[x], d, to);
        }
      }
    }
  }
}

void Weights(const WinogradWeights& weights) {
  PanelTaps taps;
  float* panel = weights.out;
  ForEachPanel(weights.filters, 0, [&](std::int64_t first, std::int64_t height) {
    PanelNorms norms;
    for (std::int64_t k = 0; k < weights.count; k += PanelTaps::kChannels) {
      const std::int64_t count = std::min(PanelTaps::kChannels, weights.count - k);
      taps.Fill(weights.weights + first * weights.filter_stride + 9 * k, weights.filter_stride,
                height, count);
      norms.Add(taps, height, count);
      TransformPanel(taps, height, count, panel + k * height, weights.element_stride);
    }
    for (std::int64_t t = 0; t < 9; ++t) {
      for (std::int64_t i = 0; i < height; ++i) {
        weights.sums[t * weights.norm_stride + first + i] += norms.sums[t][i];
        weights.squares[t * weights.norm_stride + first + i] += norms.squares[t][i];
      }
    }
    panel += height * weights.count;
  });
}

// One row or column of A^T s.
template <class V>
HWY_INLINE void TransformOutput(V s0, V s1, V s2, V s3, V& y0, V& y1) {
  y0 = hn::Add(hn::Add(s0, s1), s2);
  y1 = hn::Sub(hn::Sub(s1, s2), s3);
}

// With kApart outputs of a row are output.step apart.
template <bool kApart, class DTiles>
void TransformSums(DTiles d, const WinogradOutput& output) {
  using V = hn::Vec<DTiles>;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const V bias = hn::Set(d, output.bias);
  for (std::int64_t i = 0; i < output.tiles.rows; ++i) {
    for (std::int64_t j = 0; j < output.tiles.columns; j += lanes) {
      const float* from = output.sums + i * output.tiles.columns + j;
      // columns[y][x]: A^T along y.
      V columns[2][4];
      HWY_UNROLL(4) for (int x = 0; x < 4; ++x) {
        const auto sum = [&](int y) { return hn::LoadU(d, from + (4 * y + x) * output.stride); };
        TransformOutput(sum(0), sum(1), sum(2), sum(3), columns[0][x], columns[1][x]);
      }
      const std::int64_t count = std::min(2 * lanes, output.columns - 2 * j);
      for (int y = 0; y < 2 && 2 * i + y < output.rows; ++y) {
        V even, odd;
        TransformOutput(columns[y][0], columns[y][1], columns[y][2], columns[y][3], even, odd);
        even = hn::Add(even, bias);
        odd = hn::Add(odd, bias);
        float* out = output.out + (2 * i + y) * output.pitch + 2 * j * (kApart ? output.step : 1);
        if (!kApart && count == 2 * lanes) {
          hn::StoreInterleaved2(even, odd, d, out);
        } else {
          HWY_ALIGN float row[2 * hn::MaxLanes(d)];
          hn::StoreInterleaved2(even, odd, d, row);
          if constexpr (kApart) {
            for (std::int64_t k = 0; k < count; ++k) out[k * output.step] = row[k];
          } else {
            CopyFew<2 * hn::MaxLanes(d)>(row, count, out);
          }
        }
      }
    }
  }
}

void Output(const WinogradOutput& output) {
  WithVectorsOf(output.tiles.columns, [&](auto d) {
    if (output.step == 1) {
      TransformSums<false>(d, output);
    } else {
      TransformSums<true>(d, output);
    }
  });
}

void Norms(const WinogradNorms& norms) {
  const D d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= norms.count; i += lanes) {
    const V x = hn::LoadU(d, norms.x + i);
    hn::StoreU(hn::Add(hn::LoadU(d, norms.sums + i), hn::Abs(x)), d, norms.sums + i);
    hn::StoreU(MulAdd(d, x, x, hn::LoadU(d, norms.squares + i)), d, norms.squares + i);
  }
  for (; i < norms.count; ++i) {
    norms.sums[i] += std::abs(norms.x[i]);
    norms.squares[i] = std::fma(norms.x[i], norms.x[i], norms.squares[i]);
  }
}

}  // namespace

const WinogradTable* Winograd();  // exported below

const WinogradTable* Winograd() {
  static constexpr WinogradTable kTable = {&Input, &Weights, &Output, &Norms};
  return &kTable;
}

}  // namespace HWY_NAMESPACE
}  // namespace convserve
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convserve {

HWY_EXPORT(Winograd);

const WinogradTable& WinogradKernels() { return *HWY_DYNAMIC_DISPATCH(Winograd)(); }

}  // namespace convserve
#endif  // HWY_ONCE
