#include "core/kernels/even_kernel.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "core/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/even_kernel.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
// clang-format off
#include "core/kernels/simd-inl.h"  // comes last: compiled once for every target
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace convserve {
namespace HWY_NAMESPACE {
namespace {

// kChannels channels from `x` on, whose sums are loaded and stored once.
template <int kChannels>
void AddChannels(const ChannelNorms& norms, const float* x) {
  const D d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= norms.count; i += lanes) {
    V sum = hn::LoadU(d, norms.sums + i);
    V square = hn::LoadU(d, norms.squares + i);
    HWY_UNROLL(4) for (int c = 0; c < kChannels; ++c) {
      const V element = hn::LoadU(d, x + c * norms.stride + i);
      sum = hn::Add(sum, hn::Abs(element));
      square = MulAdd(d, element, element, square);
    }
    hn::StoreU(sum, d, norms.sums + i);
    hn::StoreU(square, d, norms.squares + i);
  }
  for (; i < norms.count; ++i) {
    for (int c = 0; c < kChannels; ++c) {
      const float element = x[c * norms.stride + i];
      norms.sums[i] += std::abs(element);
      norms.squares[i] = std::fma(element, element, norms.squares[i]);
    }
  }
}

void Norms(const ChannelNorms& norms) {
  constexpr int kAtOnce = 4;
  const float* x = norms.x;
  std::int64_t left = norms.channels;
  for (; left >= kAtOnce; left -= kAtOnce, x += kAtOnce * norms.stride) {
    AddChannels<kAtOnce>(norms, x);
  }
  for (; left > 0; --left, x += norms.stride) AddChannels<1>(norms, x);
}

bool Level(const float* x, std::int64_t count) {
  const D d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const V quarter = hn::Set(d, 0.25F);
  for (std::int64_t i = 0; i < count; i += lanes) {
    const auto at = [&](int k) { return hn::LoadU(d, x + i + k); };
    const V middle[2] = {hn::Add(at(1), at(2)), hn::Add(at(3), at(4))};
    const V parts[4] = {hn::Add(at(0), middle[0]), hn::Add(middle[0], at(3)),
                        hn::Add(at(2), middle[1]), hn::Add(middle[1], at(5))};
    const V least = hn::Min(hn::Min(parts[0], parts[1]), hn::Min(parts[2], parts[3]));
    const auto low = hn::Lt(least, hn::Mul(quarter, hn::Add(parts[0], parts[3])));
    const auto some = hn::FirstN(d, static_cast<std::size_t>(std::min(lanes, count - i)));
    if (!hn::AllFalse(d, hn::And(low, some))) return false;
  }
  return true;
}

}  // namespace

const EvenTable* Even();  // exported below

const EvenTable* Even() {
  static constexpr EvenTable kTable = {&Norms, &Level};
  return &kTable;
}

}  // namespace HWY_NAMESPACE
}  // namespace convserve
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convserve {

HWY_EXPORT(Even);

const EvenTable& EvenKernels() { return *HWY_DYNAMIC_DISPATCH(Even)(); }

}  // namespace convserve
#endif  // HWY_ONCE
