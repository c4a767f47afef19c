#include "core/kernels/tiny_kernel.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

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

HWY_INLINE float MulAddOne(float a, float b, float sum) {
  const hn::CappedTag<float, 1> d;
  return hn::GetLane(MulAdd(d, hn::Set(d, a), hn::Set(d, b), hn::Set(d, sum)));
}

// Outputs of an axis that meet the input with tap t: [first, last).
struct Range {
  Range() = default;
  HWY_INLINE Range(const Axis& axis, std::int64_t t)
      : start(t * axis.dilation - axis.padding_begin) {
    first = start >= 0 ? 0 : (-start + axis.stride - 1) / axis.stride;
    last =
        start >= axis.input ? 0 : std::min(axis.output, (axis.input - 1 - start) / axis.stride + 1);
  }
  std::int64_t start = 0;  // the coordinate that output 0 meets
  std::int64_t first = 0;
  std::int64_t last = 0;
};

using Ranges = std::array<Range, kMaxTinyTaps>;

// One row of outputs.
void Row(const TinyRun& run, const Ranges& ranges, const float* input, const float* weight,
         std::int64_t z, std::int64_t y, float* sums) {
  const Geometry& g = run.g;
  std::fill_n(sums, g.axes[2].output, 0.0F);
  for (std::int64_t c = 0; c < g.channels; ++c) {
    for (std::int64_t tz = 0; tz < g.axes[0].kernel; ++tz) {
      const std::int64_t iz =
          z * g.axes[0].stride + tz * g.axes[0].dilation - g.axes[0].padding_begin;
      if (iz < 0 || iz >= g.axes[0].input) continue;
      for (std::int64_t ty = 0; ty < g.axes[1].kernel; ++ty) {
        const std::int64_t iy =
            y * g.axes[1].stride + ty * g.axes[1].dilation - g.axes[1].padding_begin;
        if (iy < 0 || iy >= g.axes[1].input) continue;
        const float* row =
            input + c * g.input.channel + iz * g.input.spatial[0] + iy * g.input.spatial[1];
        const float* taps =
            weight + c * g.weight.channel + tz * g.weight.kernel[0] + ty * g.weight.kernel[1];
        for (std::int64_t tx = 0; tx < g.axes[2].kernel; ++tx) {
          const Range& range = ranges[static_cast<std::size_t>(tx)];
          const float tap = taps[tx * g.weight.kernel[2]];
          for (std::int64_t x = range.first; x < range.last; ++x) {
            sums[x] = MulAddOne(row[(range.start + x * g.axes[2].stride) * g.input.spatial[2]], tap,
                                sums[x]);
          }
        }
      }
    }
  }
}

void Tiny(const TinyRun& run) {
  const Geometry& g = run.g;
  std::array<float, kMaxTinyRow> sums;
  Ranges ranges;
  for (std::int64_t t = 0; t < g.axes[2].kernel; ++t) {
    ranges[static_cast<std::size_t>(t)] = Range(g.axes[2], t);
  }
  for (std::int64_t n = run.first; n < run.last; ++n) {
    for (std::int64_t m = 0; m < g.groups * g.filters; ++m) {
      const std::int64_t group = m / g.filters;
      const float* input = run.input + n * g.input.batch + group * g.input.group;
      const float* weight =
          run.weight + g.weight.offset + group * g.weight.group + m % g.filters * g.weight.filter;
      const float bias = run.bias != nullptr ? run.bias[m] : 0.0F;
      for (std::int64_t z = 0; z < g.axes[0].output; ++z) {
        for (std::int64_t y = 0; y < g.axes[1].output; ++y) {
          Row(run, ranges, input, weight, z, y, sums.data());
          float* out = run.output + n * g.output.batch + m * g.output.channel +
                       z * g.output.spatial[0] + y * g.output.spatial[1];
          for (std::int64_t x = 0; x < g.axes[2].output; ++x) {
            out[x * g.output.spatial[2]] = sums[static_cast<std::size_t>(x)] + bias;
          }
        }
      }
    }
  }
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
