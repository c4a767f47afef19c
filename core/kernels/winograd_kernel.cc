#include "core/kernels/winograd_kernel.h"

#include <algorithm>
#include <cstdint>

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

// The points of F(4, 3), and what its matrices have of them.
constexpr float kA = 0.6875F;
constexpr float kB = 1.5F;
constexpr float kA2 = kA * kA;
constexpr float kB2 = kB * kB;
constexpr float kC = 1 / (2 * kA2 * (kA2 - kB2));
constexpr float kD = 1 / (2 * kB2 * (kB2 - kA2));

// One row or column of B^T d.
template <class DTiles, class V>
HWY_INLINE void TransformInput(DTiles /*d*/, const V (&x)[4], V (&out)[4]) {
  out[0] = hn::Sub(x[0], x[2]);
  out[1] = hn::Add(x[1], x[2]);
  out[2] = hn::Sub(x[2], x[1]);
  out[3] = hn::Sub(x[1], x[3]);
}

template <class DTiles, class V>
HWY_INLINE void TransformInput(DTiles d, const V (&x)[6], V (&out)[6]) {
  const auto add = [d](float factor, V v, V sum) { return MulAdd(d, hn::Set(d, factor), v, sum); };
  out[0] = add(-(kA2 + kB2), x[2], add(kA2 * kB2, x[0], x[4]));
  out[5] = add(-(kA2 + kB2), x[3], add(kA2 * kB2, x[1], x[5]));
  const V even_a = add(-kB2, x[2], x[4]);
  const V odd_a = add(-kB2, x[1], x[3]);
  out[1] = add(kA, odd_a, even_a);
  out[2] = add(-kA, odd_a, even_a);
  const V even_b = add(-kA2, x[2], x[4]);
  const V odd_b = add(-kA2, x[1], x[3]);
  out[3] = add(kB, odd_b, even_b);
  out[4] = add(-kB, odd_b, even_b);
}

// A row of as many tiles as a vector has lanes: x[i] has element i of each.
template <class DTiles, class V>
HWY_INLINE void LoadTiles(DTiles d, const float* HWY_RESTRICT from, V (&x)[4]) {
  hn::LoadInterleaved2(d, from, x[0], x[1]);
  hn::LoadInterleaved2(d, from + 2, x[2], x[3]);
}

template <class DTiles, class V>
HWY_INLINE void LoadTiles(DTiles d, const float* HWY_RESTRICT from, V (&x)[6]) {
  V unused[2];
  hn::LoadInterleaved4(d, from, x[0], x[1], x[2], x[3]);
  hn::LoadInterleaved4(d, from + 4, x[4], x[5], unused[0], unused[1]);
}

// As many tiles as a vector has lanes, of which the first begins at `from`; element e goes to
// out[e*element_stride].
template <int kWidth, class DTiles>
HWY_INLINE void TransformTiles(DTiles d, const float* HWY_RESTRICT from, std::int64_t pitch,
                               float* HWY_RESTRICT out, std::int64_t element_stride) {
  using V = hn::Vec<DTiles>;
  constexpr int kColumns = kWidth + 2;
  V rows[4][kColumns];  // B^T along x
  HWY_UNROLL(4) for (int y = 0; y < 4; ++y, from += pitch) {
    V row[kColumns];
    LoadTiles(d, from, row);
    TransformInput(d, row, rows[y]);
  }
  HWY_UNROLL(6) for (int x = 0; x < kColumns; ++x) {
    const V column[4] = {rows[0][x], rows[1][x], rows[2][x], rows[3][x]};
    V transformed[4];
    TransformInput(d, column, transformed);
    HWY_UNROLL(4) for (int y = 0; y < 4; ++y) {
      hn::StoreU(transformed[y], d, out + (kColumns * y + x) * element_stride);
    }
  }
}

template <int kWidth>
void Input(const WinogradInput& input) {
  const std::int64_t strip = Strip();
  WithVectorsOf(input.tiles.columns, [&](auto d) {
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    std::int64_t tile = input.first_tile;
    for (std::int64_t i = 0; i < input.tiles.rows; ++i) {
      const float* from = input.window + kWinogradHeight * i * input.pitch;
      // A row of tiles, strip by strip. What a vector writes past them is written over: by the
      // tiles that follow, or those of the next channel.
      for (const std::int64_t end = tile + input.tiles.columns; tile < end;) {
        float* to = input.out + tile / strip * input.strip_stride + tile % strip;
        const std::int64_t count = std::min(end - tile, strip - tile % strip);
        for (std::int64_t j = 0; j < count; j += lanes) {
          TransformTiles<kWidth>(d, from + kWidth * j, input.pitch, to + j, input.element_stride);
        }
        tile += count;
        from += kWidth * count;
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

HWY_INLINE void TransformWeights(V g0, V g1, V g2, V (&out)[6]) {
  const D d;
  const auto times = [d](float factor, V v) { return hn::Mul(hn::Set(d, factor), v); };
  const auto add = [d](float factor, V v, V sum) { return MulAdd(d, hn::Set(d, factor), v, sum); };
  const V ends_a = add(kC * kA2, g2, times(kC, g0));
  const V ends_b = add(kD * kB2, g2, times(kD, g0));
  out[0] = times(1 / (kA2 * kB2), g0);
  out[1] = add(kC * kA, g1, ends_a);
  out[2] = add(-kC * kA, g1, ends_a);
  out[3] = add(kD * kB, g1, ends_b);
  out[4] = add(-kD * kB, g1, ends_b);
  out[5] = g2;
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
template <int kWidth>
HWY_INLINE void TransformPanel(const PanelTaps& taps, std::int64_t height, std::int64_t count,
                               float* HWY_RESTRICT out, std::int64_t element_stride) {
  const D d;
  constexpr int kColumns = kWidth + 2;
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
        V transformed[kColumns];
        TransformWeights(columns[y][0], columns[y][1], columns[y][2], transformed);
        // Lanes past the height are written over by what follows.
        HWY_UNROLL(6) for (int x = 0; x < kColumns; ++x, to += element_stride) {
          hn::StoreU(transformed[x], d, to);
        }
      }
    }
  }
}

template <int kWidth>
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
      TransformPanel<kWidth>(taps, height, count, panel + k * height, weights.element_stride);
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
template <class DTiles, class V>
HWY_INLINE void TransformOutput(DTiles /*d*/, const V (&s)[4], V (&y)[2]) {
  y[0] = hn::Add(hn::Add(s[0], s[1]), s[2]);
  y[1] = hn::Sub(hn::Sub(s[1], s[2]), s[3]);
}

template <class DTiles, class V>
HWY_INLINE void TransformOutput(DTiles d, const V (&s)[6], V (&y)[4]) {
  const auto times = [d](float factor, V v) { return hn::Mul(hn::Set(d, factor), v); };
  const auto add = [d](float factor, V v, V sum) { return MulAdd(d, hn::Set(d, factor), v, sum); };
  const V even_a = hn::Add(s[1], s[2]);
  const V even_b = hn::Add(s[3], s[4]);
  const V odd_a = hn::Sub(s[1], s[2]);
  const V odd_b = hn::Sub(s[3], s[4]);
  y[0] = hn::Add(s[0], hn::Add(even_a, even_b));
  y[1] = add(kB, odd_b, times(kA, odd_a));
  y[2] = add(kB2, even_b, times(kA2, even_a));
  y[3] = add(kB2 * kB, odd_b, add(kA2 * kA, odd_a, s[5]));
}

template <class DTiles, class V>
HWY_INLINE void StoreTiles(DTiles d, const V (&y)[2], float* HWY_RESTRICT to) {
  hn::StoreInterleaved2(y[0], y[1], d, to);
}

template <class DTiles, class V>
HWY_INLINE void StoreTiles(DTiles d, const V (&y)[4], float* HWY_RESTRICT to) {
  hn::StoreInterleaved4(y[0], y[1], y[2], y[3], d, to);
}

// With kApart outputs of a row are output.step apart.
template <int kWidth, bool kApart, class DTiles>
void TransformSums(DTiles d, const WinogradOutput& output) {
  using V = hn::Vec<DTiles>;
  constexpr int kColumns = kWidth + 2;
  constexpr auto kMost = kWidth * hn::MaxLanes(d);
  const auto most = kWidth * static_cast<std::int64_t>(hn::Lanes(d));
  const V bias = hn::Set(d, output.bias);
  for (std::int64_t i = 0; i < output.tiles.rows; ++i) {
    const float* from = output.sums + i * output.tiles.columns;
    for (std::int64_t x = 0; x < output.columns; x += most, from += most / kWidth) {
      V rows[kWinogradHeight][kColumns];  // A^T along y
      HWY_UNROLL(6) for (int e = 0; e < kColumns; ++e) {
        const auto sum = [&](int y) {
          return hn::LoadU(d, from + (kColumns * y + e) * output.stride);
        };
        const V column[4] = {sum(0), sum(1), sum(2), sum(3)};
        V transformed[kWinogradHeight];
        TransformOutput(d, column, transformed);
        rows[0][e] = transformed[0];
        rows[1][e] = transformed[1];
      }
      const std::int64_t count = std::min(most, output.columns - x);
      for (int y = 0; y < kWinogradHeight && kWinogradHeight * i + y < output.rows; ++y) {
        V outputs[kWidth];
        TransformOutput(d, rows[y], outputs);
        HWY_UNROLL(4) for (int e = 0; e < kWidth; ++e) { outputs[e] = hn::Add(outputs[e], bias); }
        float* out =
            output.out + (kWinogradHeight * i + y) * output.pitch + x * (kApart ? output.step : 1);
        if (!kApart && count == most) {
          StoreTiles(d, outputs, out);
        } else {
          HWY_ALIGN float row[kMost];
          StoreTiles(d, outputs, row);
          if constexpr (kApart) {
            for (std::int64_t k = 0; k < count; ++k) out[k * output.step] = row[k];
          } else {
            CopyFew<kMost>(row, count, out);
          }
        }
      }
    }
  }
}

template <int kWidth>
void Output(const WinogradOutput& output) {
  WithVectorsOf(output.tiles.columns, [&](auto d) {
    if (output.step == 1) {
      TransformSums<kWidth, false>(d, output);
    } else {
      TransformSums<kWidth, true>(d, output);
    }
  });
}

}  // namespace

const WinogradTable* Winograd();  // exported below

const WinogradTable* Winograd() {
  static constexpr WinogradTable kTable = {.narrow = {&Input<2>, &Weights<2>, &Output<2>},
                                           .wide = {&Input<4>, &Weights<4>, &Output<4>}};
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
