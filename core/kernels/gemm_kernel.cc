#include "core/kernels/gemm_kernel.h"

#include <cstdint>

#include "core/kernels/running_sum.h"
#include "core/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/gemm_kernel.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
// clang-format off
#include "core/kernels/gemm-inl.h"  // comes last: compiled once for every target
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace convserve {
namespace HWY_NAMESPACE {

// One fused multiply-add.
struct FusedProduct {
  static constexpr int kVectors = kMaxVectors;
  static constexpr std::int64_t kSum = kRunningSum;
  static constexpr int Spare(int /*vectors*/) { return 0; }
  template <class D, class V>
  static HWY_INLINE V Add(D d, V a, V b, V sum) {
    return MulAdd(d, a, b, sum);
  }
};

const KernelTable* Table();  // exported below

const KernelTable* Table() {
  static const KernelTable table = {kInstructionSet, &RunTile<float, FusedProduct>,
                                    &RunTile<double, FusedProduct>};
  return &table;
}

}  // namespace HWY_NAMESPACE
}  // namespace convserve
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convserve {

HWY_EXPORT(Table);

const KernelTable& Kernels() { return *HWY_DYNAMIC_DISPATCH(Table)(); }

}  // namespace convserve
#endif  // HWY_ONCE
