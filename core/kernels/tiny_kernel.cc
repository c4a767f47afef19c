#include "core/kernels/tiny_kernel.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "core/divide.h"
#include "core/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/tiny_kernel.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
// clang-format off
#include "core/kernels/simd-inl.h"  // comes last: compiled once for every target
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace convserve {
namespace HWY_NAMESPACE {
namespace {

using M = hn::Mask<D>;

HWY_INLINE std::int64_t Lanes() { return static_cast<std::int64_t>(hn::Lanes(D())); }

HWY_INLINE float MulAddOne(float a, float b, float sum) {
  const hn::CappedTag<float, 1> d;
  return hn::GetLane(MulAdd(d, hn::Set(d, a), hn::Set(d, b), hn::Set(d, sum)));
}

// Outputs of an axis that meet the input with a tap: [first, last).
struct Range {
  Range() = default;
  HWY_INLINE Range(const Axis& axis, std::int64_t tap)
      : start(tap * axis.dilation - axis.padding_begin) {
    first = start >= 0 ? 0 : CeilDivide(-start, axis.stride);
    last =
        start >= axis.input ? 0 : std::min(axis.output, (axis.input - 1 - start) / axis.stride + 1);
  }
  std::int64_t start = 0;  // the coordinate that output 0 meets
  std::int64_t first = 0;
  std::int64_t last = 0;
};

// A row of outputs: the image and the filter that it comes from, where it is and where it goes.
struct TinyRow {
  const float* input;
  const float* weight;
  float bias;
  std::int64_t z, y;
  float* output;
};

// Calls body(TinyRow) for every row of outputs.
template <typename Body>
HWY_INLINE void ForEachRow(const TinyRun& run, Body body) {
  const Geometry& g = run.g;
  for (std::int64_t n = run.first; n < run.last; ++n) {
    for (std::int64_t group = 0; group < g.groups; ++group) {
      for (std::int64_t filter = 0; filter < g.filters; ++filter) {
        const std::int64_t m = group * g.filters + filter;
        for (std::int64_t z = 0; z < g.axes[0].output; ++z) {
          for (std::int64_t y = 0; y < g.axes[1].output; ++y) {
            body(TinyRow{.input = run.input + n * g.input.batch + group * g.input.group,
                         .weight = run.weight + g.weight.offset + group * g.weight.group +
                                   filter * g.weight.filter,
                         .bias = run.bias != nullptr ? run.bias[m] : 0.0F,
                         .z = z,
                         .y = y,
                         .output = run.output + n * g.output.batch + m * g.output.channel +
                                   z * g.output.spatial[0] + y * g.output.spatial[1]});
          }
        }
      }
    }
  }
}

// Calls body(elements, weights) for every row of taps that meets a row of the input, in order.
template <typename Body>
HWY_INLINE void ForEachTapRow(const Geometry& g, const TinyRow& row, Body body) {
  for (std::int64_t c = 0; c < g.channels; ++c) {
    for (std::int64_t tz = 0; tz < g.axes[0].kernel; ++tz) {
      const std::int64_t iz =
          row.z * g.axes[0].stride + tz * g.axes[0].dilation - g.axes[0].padding_begin;
      if (iz < 0 || iz >= g.axes[0].input) continue;
      for (std::int64_t ty = 0; ty < g.axes[1].kernel; ++ty) {
        const std::int64_t iy =
            row.y * g.axes[1].stride + ty * g.axes[1].dilation - g.axes[1].padding_begin;
        if (iy < 0 || iy >= g.axes[1].input) continue;
        body(row.input + c * g.input.channel + iz * g.input.spatial[0] + iy * g.input.spatial[1],
             row.weight + c * g.weight.channel + tz * g.weight.kernel[0] + ty * g.weight.kernel[1]);
      }
    }
  }
}

// Outputs one by one.
void TinyOnes(const TinyRun& run) {
  const Geometry& g = run.g;
  const Axis& axis = g.axes[2];
  std::array<Range, kMaxTinyTaps> ranges;
  for (std::int64_t t = 0; t < axis.kernel; ++t) {
    ranges[static_cast<std::size_t>(t)] = Range(axis, t);
  }
  std::array<float, kMaxTinyRow> sums;
  ForEachRow(run, [&](const TinyRow& row) {
    std::fill_n(sums.data(), axis.output, 0.0F);
    ForEachTapRow(g, row, [&](const float* from, const float* weights) {
      for (std::int64_t t = 0; t < axis.kernel; ++t) {
        const Range& range = ranges[static_cast<std::size_t>(t)];
        const float weight = weights[t * g.weight.kernel[2]];
        for (std::int64_t x = range.first; x < range.last; ++x) {
          float& sum = sums[static_cast<std::size_t>(x)];
          sum = MulAddOne(from[(range.start + x * axis.stride) * g.input.spatial[2]], weight, sum);
        }
      }
    });
    for (std::int64_t x = 0; x < axis.output; ++x) {
      row.output[x * g.output.spatial[2]] = sums[static_cast<std::size_t>(x)] + row.bias;
    }
  });
}

// Outputs [first, first + a vector of them) of every row. Rows lie side by side in both tensors,
// and the stride is 1.
void TinyColumns(const TinyRun& run, std::int64_t first) {
  const D d;
  const Geometry& g = run.g;
  const Axis& axis = g.axes[2];
  const auto lane = [&](std::int64_t x) {
    return std::clamp<std::int64_t>(x - first, 0, std::min(Lanes(), axis.output - first));
  };
  // The outputs that meet the input with a tap, and where in its row the first of all would.
  std::array<M, kMaxTinyTaps> meets;
  std::array<std::int64_t, kMaxTinyTaps> starts;
  for (std::int64_t t = 0; t < axis.kernel; ++t) {
    const std::int64_t start = t * axis.dilation - axis.padding_begin;
    const std::int64_t begin = lane(-start);
    const std::int64_t end = lane(axis.input - start);
    meets[static_cast<std::size_t>(t)] = LanesBetween(d, begin, end);
    starts[static_cast<std::size_t>(t)] = begin < end ? first + start : 0;
  }
  ForEachRow(run, [&](const TinyRow& row) {
    V sum = hn::Zero(d);
    ForEachTapRow(g, row, [&](const float* from, const float* weights) {
      for (std::int64_t t = 0; t < axis.kernel; ++t) {
        const M mask = meets[static_cast<std::size_t>(t)];
        const V weight = hn::Set(d, weights[t * g.weight.kernel[2]]);
        const V input = LoadSome(d, from + starts[static_cast<std::size_t>(t)], mask);
        sum = hn::IfThenElse(mask, MulAdd(d, input, weight, sum), sum);
      }
    });
    StoreFirst(d, hn::Add(sum, hn::Set(d, row.bias)), axis.output - first, row.output + first);
  });
}

void Tiny(const TinyRun& run) {
  const Geometry& g = run.g;
  // Emulated vectors are slower than no vectors.
  if (kEmulated || g.axes[2].stride != 1 || g.input.spatial[2] != 1 || g.output.spatial[2] != 1) {
    return TinyOnes(run);
  }
  for (std::int64_t x = 0; x < g.axes[2].output; x += Lanes()) TinyColumns(run, x);
}

}  // namespace

TinyKernel TinyTable();  // exported below

TinyKernel TinyTable() { return &Tiny; }

}  // namespace HWY_NAMESPACE
}  // namespace convserve
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convserve {

HWY_EXPORT(TinyTable);

TinyKernel GetTinyKernel() { return HWY_DYNAMIC_DISPATCH(TinyTable)(); }

}  // namespace convserve
#endif  // HWY_ONCE
