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
#include "core/kernels/simd-inl.h"  // comes last: compiled once for every target
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace convserve {
namespace HWY_NAMESPACE {
namespace {

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

// One row or column of B^T d.
HWY_INLINE void TransformInput(V d0, V d1, V d2, V d3, V (&out)[4]) {
  out[0] = hn::Sub(d0, d2);
  out[1] = hn::Add(d1, d2);
  out[2] = hn::Sub(d2, d1);
  out[3] = hn::Sub(d1, d3);
}

void Input(const WinogradInput& input) {
  const D d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  for (std::int64_t i = 0; i < input.tiles.rows; ++i) {
    for (std::int64_t j = 0; j < input.tiles.columns; j += lanes) {
      // rows[y][x]: B^T along x, for as many tiles as a vector has lanes.
      V rows[4][4];
      const float* from = input.window + 2 * i * input.pitch + 2 * j;
      HWY_UNROLL(4) for (int y = 0; y < 4; ++y, from += input.pitch) {
        V d0, d1, d2, d3;
        hn::LoadInterleaved2(d, from, d0, d1);
        hn::LoadInterleaved2(d, from + 2, d2, d3);
        TransformInput(d0, d1, d2, d3, rows[y]);
      }
      float* out = input.out + i * input.tiles.columns + j;
      HWY_UNROLL(4) for (int x = 0; x < 4; ++x) {
        V column[4];
        TransformInput(rows[0][x], rows[1][x], rows[2][x], rows[3][x], column);
        HWY_UNROLL(4) for (int y = 0; y < 4; ++y) {
          hn::StoreU(column[y], d, out + (4 * y + x) * input.stride);
        }
      }
    }
  }
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

// Channels whose taps are brought side by side at a time.
constexpr std::int64_t kChannelsAtOnce = 64;
struct WeightTaps {
  HWY_ALIGN float taps[9][kChannelsAtOnce];

  // Takes so many channels from `from` on, and zeros after them.
  void Fill(const float* HWY_RESTRICT from, std::int64_t count) {
    std::int64_t c = 0;
#if HWY_TARGET != HWY_SCALAR
    const hn::FixedTag<float, 4> d;
    for (; c + 4 <= count; c += 4) {
      for (const std::int64_t tap : {0, 4, 5}) {  // the last four overlap those before
        hn::Vec<decltype(d)> columns[4];
        Transpose4(
            d, [&](int i) { return from + 9 * (c + i) + tap; }, columns);
        HWY_UNROLL(4) for (int i = 0; i < 4; ++i) hn::StoreU(columns[i], d, taps[tap + i] + c);
      }
    }
#endif
    for (; c < count; ++c) {
      for (std::int64_t t = 0; t < 9; ++t) taps[t][c] = from[9 * c + t];
    }
    for (; c < kChannelsAtOnce; ++c) {
      for (auto& tap : taps) tap[c] = 0;
    }
  }
};

void Weights(const WinogradWeights& weights) {
  const D d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  WeightTaps some;
  // Added up in 16 parts, whatever the lanes there are, so that the bits are always the same.
  constexpr std::int64_t kParts = 16;
  HWY_ALIGN float sums[9][kParts] = {};
  HWY_ALIGN float squares[9][kParts] = {};
  for (std::int64_t k = 0; k < weights.count; k += lanes) {
    const std::int64_t at = k % kChannelsAtOnce;
    if (at == 0) {
      some.Fill(weights.weights + 9 * k, std::min(kChannelsAtOnce, weights.count - k));
    }
    HWY_UNROLL(9) for (std::size_t t = 0; t < 9; ++t) {
      const V g = hn::Load(d, some.taps[t] + at);
      float* sum = sums[t] + k % kParts;
      float* square = squares[t] + k % kParts;
      hn::Store(hn::Add(hn::Load(d, sum), hn::Abs(g)), d, sum);
      hn::Store(MulAdd(d, g, g, hn::Load(d, square)), d, square);
    }
    // columns[y][x]: G along y.
    V columns[4][3];
    HWY_UNROLL(3) for (std::size_t x = 0; x < 3; ++x) {
      const V g0 = hn::Load(d, some.taps[x] + at);
      const V g1 = hn::Load(d, some.taps[3 + x] + at);
      const V g2 = hn::Load(d, some.taps[6 + x] + at);
      V column[4];
      TransformWeights(g0, g1, g2, column);
      HWY_UNROLL(4) for (int y = 0; y < 4; ++y) columns[y][x] = column[y];
    }
    const std::int64_t count = std::min(lanes, weights.count - k);
    HWY_UNROLL(4) for (int y = 0; y < 4; ++y) {
      V row[4];
      TransformWeights(columns[y][0], columns[y][1], columns[y][2], row);
      HWY_UNROLL(4) for (int x = 0; x < 4; ++x) {
        StoreFirst(d, row[x], count, weights.out + (4 * y + x) * weights.stride + k);
      }
    }
  }
  for (std::size_t t = 0; t < 9; ++t) {
    weights.sums[t] = std::accumulate(sums[t], sums[t] + kParts, 0.0F);
    weights.squares[t] = std::accumulate(squares[t], squares[t] + kParts, 0.0F);
  }
}

// One row or column of A^T s.
HWY_INLINE void TransformOutput(V s0, V s1, V s2, V s3, V& y0, V& y1) {
  y0 = hn::Add(hn::Add(s0, s1), s2);
  y1 = hn::Sub(hn::Sub(s1, s2), s3);
}

void Output(const WinogradOutput& output) {
  const D d;
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
        float* out = output.out + (2 * i + y) * output.pitch + 2 * j;
        if (count == 2 * lanes) {
          hn::StoreInterleaved2(even, odd, d, out);
        } else {
          HWY_ALIGN float row[2 * hn::MaxLanes(D())];
          hn::StoreInterleaved2(even, odd, d, row);
          CopyFew<2 * hn::MaxLanes(D())>(row, count, out);
        }
      }
    }
  }
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
