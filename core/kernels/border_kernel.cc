#include "core/kernels/border_kernel.h"

#include <cstdint>

#include "core/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/border_kernel.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
// clang-format off
#include "core/kernels/simd-inl.h"  // comes last: compiled once for every target
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace convserve {
namespace HWY_NAMESPACE {
namespace {

// kFilters filters from `first` on, whose sums hide how long a multiply-add takes.
template <int kFilters, typename T>
void SumFilters(const BorderProducts<T>& p, std::int64_t first) {
  const hn::CappedTag<T, kBorderOutputs> d;
  using V = hn::VFromD<decltype(d)>;
  const T* const weights = p.weights + first * p.pitch;
  for (std::int64_t i = 0; i < kBorderOutputs; i += static_cast<std::int64_t>(hn::Lanes(d))) {
    V sums[kFilters];
    HWY_UNROLL(4) for (int m = 0; m < kFilters; ++m) sums[m] = hn::Zero(d);
    for (std::int64_t k = 0; k < p.depth; ++k) {
      const V input = hn::Load(d, p.inputs + k * kBorderOutputs + i);
      HWY_UNROLL(4) for (int m = 0; m < kFilters; ++m) {
        const T weight = weights[m * p.pitch + k];
        const V sum = MulAdd(d, hn::Set(d, weight), input, sums[m]);
        if (weight - weight == T{0}) {  // finite
          sums[m] = sum;
        } else {
          const auto inside = hn::Ne(hn::Load(d, p.inside + k * kBorderOutputs + i), hn::Zero(d));
          sums[m] = hn::IfThenElse(inside, sum, sums[m]);
        }
      }
    }
    HWY_UNROLL(4) for (int m = 0; m < kFilters; ++m) {
      hn::Store(sums[m], d, p.sums + (first + m) * kBorderOutputs + i);
    }
  }
}

template <typename T>
void Sum(const BorderProducts<T>& products) {
  constexpr int kAtOnce = 4;
  std::int64_t filter = 0;
  for (; filter + kAtOnce <= products.filters; filter += kAtOnce) {
    SumFilters<kAtOnce>(products, filter);
  }
  for (; filter < products.filters; ++filter) SumFilters<1>(products, filter);
}

}  // namespace

const BorderTable* Border();  // exported below

const BorderTable* Border() {
  static constexpr BorderTable kTable = {&Sum<float>, &Sum<double>};
  return &kTable;
}

}  // namespace HWY_NAMESPACE
}  // namespace convserve
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convserve {

HWY_EXPORT(Border);

const BorderTable& BorderKernels() { return *HWY_DYNAMIC_DISPATCH(Border)(); }

}  // namespace convserve
#endif  // HWY_ONCE
