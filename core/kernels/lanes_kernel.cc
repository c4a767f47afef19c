#include "core/kernels/lanes_kernel.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "core/kernels/targets.h"
#include "hwy/cache_control.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/lanes_kernel.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
// clang-format off
#include "core/kernels/simd-inl.h"  // comes last: compiled once for every target
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace convserve {
namespace HWY_NAMESPACE {
namespace {

constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(D()));
// Channels of a block: a vector of them, eight at least.
constexpr std::int64_t kChannels = kLanes > 8 ? kLanes : 8;
static_assert(kChannels <= kMaxLaneChannels);

// Outputs of a row computed at once: their sums leave registers for a weight and what it meets.
constexpr int kMostColumns = 12;

// kColumns outputs of a row, at `from` in the window and `out`. kStride is their distance in the
// window where it is known beforehand, or 0; kShort says that one running sum takes all taps.
template <int kColumns, std::int64_t kStride, bool kShort>
HWY_INLINE void RunRow(const LaneRows& rows, const float* from, const float* HWY_RESTRICT weights,
                       V bias, float* HWY_RESTRICT out) {
  const D d;
  const std::int64_t stride = kStride > 0 ? kStride : rows.stride;
  if (rows.ahead != 0) {
    HWY_UNROLL(16) for (int x = 0; x < kColumns; ++x) {
      hwy::Prefetch(from + rows.ahead + x * stride);
    }
  }
  V sums[kColumns][1];
  LongSum<kColumns, 1, float> earlier;
  earlier.Start(sums);
  std::int64_t running = 0;
  for (std::int64_t i = 0; i < rows.tap_rows; ++i) {
    const float* HWY_RESTRICT at = from;
    const float* HWY_RESTRICT weights_at = weights;
    std::int64_t first = 0;
    do {
      const std::int64_t taps =
          kShort ? rows.tap_columns : std::min(kLaneSum, rows.tap_columns - first);
      if (!kShort && running + taps > kLaneSum) {
        earlier.Keep(sums);
        earlier.Start(sums);
        running = 0;
      }
      running += taps;
      for (std::int64_t j = 0; j < taps; ++j) {
        const V weight = hn::LoadU(d, weights_at);
        HWY_UNROLL(16) for (int x = 0; x < kColumns; ++x) {
          sums[x][0] = MulAdd(d, hn::LoadU(d, at + x * stride), weight, sums[x][0]);
        }
        at += rows.tap_column;
        weights_at += rows.weight_column;
      }
      first += kLaneSum;
    } while (!kShort && first < rows.tap_columns);
    from += rows.tap_row;
    weights += rows.weight_row;
  }
  HWY_UNROLL(16) for (int x = 0; x < kColumns; ++x) {
    if constexpr (!kShort) earlier.Add(x, sums[x]);
    hn::StoreU(hn::Add(sums[x][0], bias), d, out + x * rows.out_column);
  }
}

// kColumns outputs of every row from `column` on, for the channels from `lane` on.
template <int kColumns, std::int64_t kStride, bool kShort>
void RunColumns(const LaneRows& rows, std::int64_t column, std::int64_t lane) {
  const float* from = rows.window + column * rows.stride + lane;
  float* out = rows.out + column * rows.out_column + lane;
  const V bias = hn::LoadU(D(), rows.bias + lane);
  for (std::int64_t row = 0; row < rows.rows; ++row) {
    RunRow<kColumns, kStride, kShort>(rows, from, rows.weights + lane, bias, out);
    from += rows.row_stride;
    out += rows.out_row;
  }
}

template <std::int64_t kStride, bool kShort>
void RunRows(const LaneRows& rows) {
  static constexpr auto kBlocks = []<int... kColumns>(std::integer_sequence<int, kColumns...>) {
    return std::array{&RunColumns<kColumns + 1, kStride, kShort>...};
  }
  (std::make_integer_sequence<int, kMostColumns>());
  ForEachPart(rows.columns, kMostColumns, [&](std::int64_t column, std::int64_t width) {
    // The last lanes may begin within those before them.
    for (std::int64_t lane = 0; lane < rows.channels; lane += kLanes) {
      kBlocks[static_cast<std::size_t>(width - 1)](rows, column,
                                                   std::min(lane, rows.channels - kLanes));
    }
  });
}

template <bool kShort>
void RunRows(const LaneRows& rows) {
  if (rows.stride == kChannels) return RunRows<kChannels, kShort>(rows);
  if (rows.stride == 2 * kChannels) return RunRows<2 * kChannels, kShort>(rows);
  RunRows<0, kShort>(rows);
}

void Compute(const LaneRows& rows) {
  if (rows.tap_rows * rows.tap_columns > kLaneSum) return RunRows<false>(rows);
  RunRows<true>(rows);
}

// Eight rows of eight elements, `from(r)`: their columns to `to(c)`.
template <class From, class To>
HWY_INLINE void Transpose8(From from, To to) {
#if HWY_MAX_BYTES >= 32
  const hn::FixedTag<float, 8> d;
  TransposeSquare(d, from, [&](int c, auto column) { hn::StoreU(column, d, to(c)); });
#else
  for (int r = 0; r < 8; ++r) {
    for (int c = 0; c < 8; ++c) to(c)[r] = from(r)[c];
  }
#endif
}

// How a block's elements get from or to a tensor: as whole vectors where channels lie side by side,
// as squares of eight channels and positions where positions do, one by one what is left.
// vector(c, p), square(c, p) and element(c, p) move those that begin with channel c of position p.
template <typename Vector, typename Square, typename Element>
HWY_INLINE void Move(const LanePlanes& planes, Vector vector, Square square, Element element) {
  if (planes.channel_stride == 1 && planes.channels == kChannels) {
    for (std::int64_t p = 0; p < planes.positions; ++p) {
      for (std::int64_t c = 0; c < kChannels; c += kLanes) vector(c, p);
    }
    return;
  }
  std::int64_t c = 0;
  if (planes.position_stride == 1 && planes.positions >= 8) {
    for (; c + 8 <= planes.channels; c += 8) {
      // The last square may begin within the one before it.
      for (std::int64_t p = 0; p < planes.positions; p += 8) {
        square(c, std::min(p, planes.positions - 8));
      }
    }
  }
  for (; c < planes.channels; ++c) {
    for (std::int64_t p = 0; p < planes.positions; ++p) element(c, p);
  }
}

void Interleave(const float* HWY_RESTRICT from, const LanePlanes& planes,
                const std::int32_t* HWY_RESTRICT offsets, float* HWY_RESTRICT to) {
  const D d;
  const auto at = [&](std::int64_t c, std::int64_t p) {
    return from + c * planes.channel_stride + p * planes.position_stride;
  };
  Move(
      planes,
      [&](std::int64_t c, std::int64_t p) {
        hn::StoreU(hn::LoadU(d, at(c, p)), d, to + offsets[p] + c);
      },
      [&](std::int64_t c, std::int64_t p) {
        Transpose8([&](int i) { return at(c + i, p); },
                   [&](int i) { return to + offsets[p + i] + c; });
      },
      [&](std::int64_t c, std::int64_t p) { to[offsets[p] + c] = *at(c, p); });
}

void Separate(const float* HWY_RESTRICT from, const LanePlanes& planes, float* HWY_RESTRICT to) {
  const D d;
  const auto at = [&](std::int64_t c, std::int64_t p) {
    return to + c * planes.channel_stride + p * planes.position_stride;
  };
  Move(
      planes,
      [&](std::int64_t c, std::int64_t p) {
        hn::StoreU(hn::LoadU(d, from + p * kChannels + c), d, at(c, p));
      },
      [&](std::int64_t c, std::int64_t p) {
        Transpose8([&](int i) { return from + (p + i) * kChannels + c; },
                   [&](int i) { return at(c + i, p); });
      },
      [&](std::int64_t c, std::int64_t p) { *at(c, p) = from[p * kChannels + c]; });
}

}  // namespace

const LanesTable* Lanes();  // exported below

const LanesTable* Lanes() {
  static constexpr LanesTable kTable = {kChannels, &Compute, &Interleave, &Separate};
  return &kTable;
}

}  // namespace HWY_NAMESPACE
}  // namespace convserve
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convserve {

HWY_EXPORT(Lanes);

const LanesTable& LanesKernels() { return *HWY_DYNAMIC_DISPATCH(Lanes)(); }

}  // namespace convserve
#endif  // HWY_ONCE
