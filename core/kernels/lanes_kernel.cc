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

// Outputs of a row computed at once: their sums leave registers for a weight and what it meets, or
// for the weights of a row of taps that share what they meet.
constexpr int MostColumns(int taps) { return std::min(12, kRegisters - taps - 2); }

// Elements [first, last) of the inputs that a block of outputs meets; the others are padding.
struct SharedInputs {
  std::int64_t first, last;
};

// What a row of taps, kTaps of them, adds to kColumns sums that share inputs, of which the next one
// begins kStep taps further on: each input is loaded once for all that meet it. `from` is the first
// that is there.
template <int kColumns, int kTaps, int kStep>
HWY_INLINE void AddSharedTaps(const LaneRows& rows, const SharedInputs& inputs,
                              const float* HWY_RESTRICT from, const float* HWY_RESTRICT weights,
                              V (&sums)[kColumns][1]) {
  const D d;
  V row[kTaps];
  HWY_UNROLL(8) for (int j = 0; j < kTaps; ++j) {
    row[j] = hn::LoadU(d, weights + j * rows.weight_column);
  }
  constexpr int kLastBegins = kStep * (kColumns - 1);
  HWY_UNROLL(32) for (int t = 0; t < kLastBegins + kTaps; ++t) {
    // Padding does not reach further than the first or last output meets.
    if ((t < kTaps - 1 && t < inputs.first) || (t > kLastBegins && t >= inputs.last)) continue;
    const V input = hn::LoadU(d, from);
    from += rows.tap_column;
    HWY_UNROLL(16) for (int x = 0; x < kColumns; ++x) {
      const int j = t - kStep * x;
      if (j >= 0 && j < kTaps) sums[x][0] = MulAdd(d, input, row[j], sums[x][0]);
    }
  }
}

// Any number of taps, `taps` of them.
template <int kColumns, std::int64_t kStride>
HWY_INLINE void AddTaps(const LaneRows& rows, std::int64_t taps, const float* HWY_RESTRICT from,
                        const float* HWY_RESTRICT weights, V (&sums)[kColumns][1]) {
  const D d;
  const std::int64_t stride = kStride > 0 ? kStride : rows.stride;
  for (std::int64_t j = 0; j < taps; ++j) {
    const V weight = hn::LoadU(d, weights);
    HWY_UNROLL(16) for (int x = 0; x < kColumns; ++x) {
      sums[x][0] = MulAdd(d, hn::LoadU(d, from + x * stride), weight, sums[x][0]);
    }
    from += rows.tap_column;
    weights += rows.weight_column;
  }
}

// How sums are added up: what is known when this is compiled.
template <bool kOneSum, std::int64_t kOutputStride, int kSharedTaps = 0, int kSharedStep = 0>
struct Form {
  static constexpr bool kShort = kOneSum;                 // one running sum takes all taps
  static constexpr std::int64_t kStride = kOutputStride;  // from one output to the next, or 0
  static constexpr int kTaps = kSharedTaps;               // of a row whose inputs are shared, or 0
  static constexpr int kStep = kSharedStep;               // from one output to the next, in taps
};

// kColumns outputs of a row, at `from` in the window and `out`.
template <int kColumns, class Form>
HWY_INLINE void RunRow(const LaneRows& rows, const SharedInputs& inputs, const float* from,
                       const float* HWY_RESTRICT weights, V bias, float* HWY_RESTRICT out) {
  const D d;
  const std::int64_t stride = Form::kStride > 0 ? Form::kStride : rows.stride;
  if (rows.ahead != 0) {
    HWY_UNROLL(16) for (int x = 0; x < kColumns; ++x) {
      hwy::Prefetch(from + rows.ahead + x * stride);
    }
  }
  V sums[kColumns][1];
  LongSum<kColumns, 1, float> earlier;
  earlier.Start(sums);
  std::int64_t running = 0;
  // The next running sum, where this one cannot take as many taps.
  const auto make_room = [&](std::int64_t taps) {
    if (!Form::kShort && running + taps > kLaneSum) {
      earlier.Keep(sums);
      earlier.Start(sums);
      running = 0;
    }
    running += taps;
  };
  for (std::int64_t i = 0; i < rows.tap_rows; ++i) {
    if constexpr (Form::kTaps > 0) {
      make_room(Form::kTaps);
      AddSharedTaps<kColumns, Form::kTaps, Form::kStep>(rows, inputs, from, weights, sums);
    } else {
      std::int64_t first = 0;
      do {
        const std::int64_t taps =
            Form::kShort ? rows.tap_columns : std::min(kLaneSum, rows.tap_columns - first);
        make_room(taps);
        AddTaps<kColumns, Form::kStride>(rows, taps, from + first * rows.tap_column,
                                         weights + first * rows.weight_column, sums);
        first += kLaneSum;
      } while (!Form::kShort && first < rows.tap_columns);
    }
    from += rows.tap_row;
    weights += rows.weight_row;
  }
  HWY_UNROLL(16) for (int x = 0; x < kColumns; ++x) {
    if constexpr (!Form::kShort) earlier.Add(x, sums[x]);
    hn::StoreU(hn::Add(sums[x][0], bias), d, out + x * rows.out_column);
  }
}

// kColumns outputs of every row from `column` on, for the channels from `lane` on.
template <int kColumns, class Form>
void RunColumns(const LaneRows& rows, std::int64_t column, std::int64_t lane) {
  SharedInputs inputs = {};
  const float* from = rows.window + column * rows.stride + lane;
  if constexpr (Form::kTaps > 0) {
    const std::int64_t begin = Form::kStep * column;
    inputs.first = std::max<std::int64_t>(rows.before - begin, 0);
    inputs.last = Form::kStep * (rows.columns - 1) + Form::kTaps - rows.after - begin;
    from += (inputs.first - rows.before) * rows.tap_column;
  }
  float* out = rows.out + column * rows.out_column + lane;
  const V bias = hn::LoadU(D(), rows.bias + lane);
  for (std::int64_t row = 0; row < rows.rows; ++row) {
    RunRow<kColumns, Form>(rows, inputs, from, rows.weights + lane, bias, out);
    from += rows.row_stride;
    out += rows.out_row;
  }
}

template <class Form>
void RunRows(const LaneRows& rows) {
  static constexpr int kMostColumns = MostColumns(Form::kTaps);
  static constexpr auto kBlocks = []<int... kColumns>(std::integer_sequence<int, kColumns...>) {
    return std::array{&RunColumns<kColumns + 1, Form>...};
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
void RunAnyRows(const LaneRows& rows) {
  if (rows.stride == kChannels) return RunRows<Form<kShort, kChannels>>(rows);
  if (rows.stride == 2 * kChannels) return RunRows<Form<kShort, 2 * kChannels>>(rows);
  RunRows<Form<kShort, 0>>(rows);
}

template <int kStep>
void RunSharedRows(const LaneRows& rows) {
  if (rows.tap_columns == 3) return RunRows<Form<true, 0, 3, kStep>>(rows);
  if (rows.tap_columns == 5) return RunRows<Form<true, 0, 5, kStep>>(rows);
  RunRows<Form<false, 0, 7, kStep>>(rows);
}

void Compute(const LaneRows& rows) {
  const std::int64_t step =
      SharedStep(rows.tap_rows, rows.tap_columns, rows.stride, rows.tap_column);
  if (step == 1) return RunSharedRows<1>(rows);
  if (step == 2) return RunSharedRows<2>(rows);
  if (rows.tap_rows * rows.tap_columns <= kLaneSum) return RunAnyRows<true>(rows);
  RunAnyRows<false>(rows);
}

// A square: four positions of as many channels as a vector has lanes, a block of four channels in
// each 16 bytes of it.
constexpr std::int64_t kSquare = 4;

#if HWY_TARGET != HWY_SCALAR
// Four elements from each of `from`, from + step, ...
template <class D>
HWY_INLINE hn::Vec<D> LoadBlocks(D d, const float* HWY_RESTRICT from, std::int64_t step) {
  constexpr std::size_t kBlocks = hn::MaxLanes(D()) / 4;
  if constexpr (kBlocks == 1) {
    return hn::LoadU(d, from);
  } else {
    const hn::Half<D> half;
    return hn::Combine(d, LoadBlocks(half, from + kBlocks / 2 * step, step),
                       LoadBlocks(half, from, step));
  }
}

template <class D>
HWY_INLINE void StoreBlocks(D d, hn::Vec<D> blocks, float* HWY_RESTRICT to, std::int64_t step) {
  constexpr std::size_t kBlocks = hn::MaxLanes(D()) / 4;
  if constexpr (kBlocks == 1) {
    hn::StoreU(blocks, d, to);
  } else {
    const hn::Half<D> half;
    StoreBlocks(half, hn::LowerHalf(half, blocks), to, step);
    StoreBlocks(half, hn::UpperHalf(half, blocks), to + kBlocks / 2 * step, step);
  }
}

// Channels of a square from rows `stride` apart to one vector for each position, at to(position).
template <class D, class To>
HWY_INLINE void InterleaveSquare(D d, const float* from, std::int64_t stride, To to) {
  hn::Vec<D> positions[kSquare];
  Transpose4(LoadBlocks(d, from, 4 * stride), LoadBlocks(d, from + stride, 4 * stride),
             LoadBlocks(d, from + 2 * stride, 4 * stride),
             LoadBlocks(d, from + 3 * stride, 4 * stride), positions);
  HWY_UNROLL(4) for (int i = 0; i < kSquare; ++i) hn::StoreU(positions[i], d, to(i));
}

// And back.
template <class D>
HWY_INLINE void SeparateSquare(D d, const float* from, float* to, std::int64_t stride) {
  const auto at = [&](int i) { return hn::LoadU(d, from + i * kChannels); };
  hn::Vec<D> channels[4];
  Transpose4(at(0), at(1), at(2), at(3), channels);
  HWY_UNROLL(4) for (int i = 0; i < 4; ++i) {
    StoreBlocks(d, channels[i], to + i * stride, 4 * stride);
  }
}
#endif

// Moves the squares of channels [c, channels), as many as there are, and returns where they end.
template <class D, typename Square>
HWY_INLINE std::int64_t MoveSquares(D d, const LanePlanes& planes, std::int64_t c, Square square) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  for (; c + lanes <= planes.channels; c += lanes) {
    // The last square may begin within the one before it.
    for (std::int64_t p = 0; p < planes.positions; p += kSquare) {
      square(d, c, std::min(p, planes.positions - kSquare));
    }
  }
  return c;
}

// How a block's elements get from or to a tensor: as whole vectors where channels lie side by side,
// as squares where positions do, one by one what is left. vector(c, p), square(d, c, p) and
// element(c, p) move those that begin with channel c of position p.
template <typename Vector, typename Square, typename Element>
HWY_INLINE void Move(const LanePlanes& planes, Vector vector, [[maybe_unused]] Square square,
                     Element element) {
  if (planes.channel_stride == 1 && planes.channels == kChannels) {
    for (std::int64_t p = 0; p < planes.positions; ++p) {
      for (std::int64_t c = 0; c < kChannels; c += kLanes) vector(c, p);
    }
    return;
  }
  std::int64_t c = 0;
#if HWY_TARGET != HWY_SCALAR
  if (planes.position_stride == 1 && planes.positions >= kSquare) {
    c = MoveSquares(D(), planes, c, square);
    if constexpr (kLanes > 8) c = MoveSquares(hn::CappedTag<float, 8>(), planes, c, square);
  }
#endif
  for (; c < planes.channels; ++c) {
    for (std::int64_t p = 0; p < planes.positions; ++p) element(c, p);
  }
}

void Interleave(const float* HWY_RESTRICT from, const LanePlanes& planes,
                const std::int32_t* HWY_RESTRICT offsets, float* HWY_RESTRICT to) {
  const auto at = [&](std::int64_t c, std::int64_t p) {
    return from + c * planes.channel_stride + p * planes.position_stride;
  };
  Move(
      planes,
      [&](std::int64_t c, std::int64_t p) {
        hn::StoreU(hn::LoadU(D(), at(c, p)), D(), to + offsets[p] + c);
      },
      [&](auto d, std::int64_t c, std::int64_t p) {
        InterleaveSquare(d, at(c, p), planes.channel_stride,
                         [&](int i) { return to + offsets[p + i] + c; });
      },
      [&](std::int64_t c, std::int64_t p) { to[offsets[p] + c] = *at(c, p); });
}

void Separate(const float* HWY_RESTRICT from, const LanePlanes& planes, float* HWY_RESTRICT to) {
  const auto at = [&](std::int64_t c, std::int64_t p) {
    return to + c * planes.channel_stride + p * planes.position_stride;
  };
  Move(
      planes,
      [&](std::int64_t c, std::int64_t p) {
        hn::StoreU(hn::LoadU(D(), from + p * kChannels + c), D(), at(c, p));
      },
      [&](auto d, std::int64_t c, std::int64_t p) {
        SeparateSquare(d, from + p * kChannels + c, at(c, p), planes.channel_stride);
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
