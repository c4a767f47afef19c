#include "core/kernels/convert_kernel.h"

#include <cstddef>
#include <cstdint>
#include <limits>

#include "core/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/convert_kernel.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
// clang-format off
#include "core/kernels/simd-inl.h"  // comes last: compiled once for every target
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace convserve {
namespace HWY_NAMESPACE {
namespace {

#if HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128

template <typename From>
void WidenAll(const From* from, std::int64_t count, float* to) {
  for (std::int64_t i = 0; i < count; ++i) to[i] = Widen<float>(from[i]);
}

template <typename Sum, typename To>
void RoundAll(const Sum* from, Sum bias, std::int64_t count, To* to) {
  for (std::int64_t i = 0; i < count; ++i) to[i] = RoundTo<To>(from[i] + bias);
}

#else

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
using Int32 = hn::RebindToSigned<D>;
using UInt16 = hn::Rebind<std::uint16_t, D>;

HWY_INLINE V LoadWide(const Float16* from) {
  const hn::Rebind<hwy::float16_t, D> d;
  return hn::PromoteTo(D(), hn::LoadU(d, reinterpret_cast<const hwy::float16_t*>(from)));
}

HWY_INLINE V LoadWide(const BFloat16* from) {
  const auto bits = hn::LoadU(UInt16(), reinterpret_cast<const std::uint16_t*>(from));
  return hn::BitCast(D(), hn::ShiftLeft<16>(hn::PromoteTo(hn::RebindToUnsigned<D>(), bits)));
}

template <typename From>  // of 8 bits
HWY_INLINE V LoadWide(const From* from) {
  const auto bytes = hn::LoadU(hn::Rebind<From, D>(), from);
  return hn::ConvertTo(D(), hn::PromoteTo(Int32(), bytes));
}

HWY_INLINE void StoreRounded(V value, float* to) { hn::StoreU(value, D(), to); }

HWY_INLINE void StoreRounded(V value, Float16* to) {
  const hn::Rebind<hwy::float16_t, D> d;
  hn::StoreU(hn::DemoteTo(d, value), d, reinterpret_cast<hwy::float16_t*>(to));
}

HWY_INLINE void StoreRounded(V value, BFloat16* to) {
  const hn::RebindToUnsigned<D> d;
  const auto bits = hn::BitCast(d, value);
  const auto high = hn::ShiftRight<16>(bits);
  const auto odd = hn::And(high, hn::Set(d, 1));
  const auto nearest = hn::ShiftRight<16>(hn::Add(bits, hn::Add(odd, hn::Set(d, 0x7fff))));
  const auto quiet = hn::Or(high, hn::Set(d, 0x40));
  const auto result = hn::IfThenElse(hn::RebindMask(d, hn::IsNaN(value)), quiet, nearest);
  hn::StoreU(hn::DemoteTo(UInt16(), hn::BitCast(Int32(), result)), UInt16(),
             reinterpret_cast<std::uint16_t*>(to));
}

template <typename To>  // an integer
HWY_INLINE void StoreRounded(V value, To* to) {
  const D d;
  constexpr auto kLowest = static_cast<float>(std::numeric_limits<To>::lowest());
  // 2^31 for int32, which none holds: told apart below.
  constexpr auto kHighest = static_cast<float>(std::numeric_limits<To>::max());
  const V number = hn::IfThenElseZero(hn::Eq(value, value), value);
  const V held = hn::Min(hn::Max(number, hn::Set(d, kLowest)), hn::Set(d, kHighest));
  const auto rounded = hn::NearestInt(held);
  if constexpr (sizeof(To) == 4) {
    const auto above = hn::RebindMask(Int32(), hn::Ge(number, hn::Set(d, kHighest)));
    const auto highest = hn::Set(Int32(), std::numeric_limits<To>::max());
    hn::StoreU(hn::IfThenElse(above, highest, rounded), Int32(), to);
  } else {
    const hn::Rebind<To, D> narrow;
    hn::StoreU(hn::DemoteTo(narrow, rounded), narrow, to);
  }
}

HWY_INLINE void StoreRounded(hn::Vec<Int32> value, float* to) {
  hn::StoreU(hn::ConvertTo(D(), value), D(), to);
}

HWY_INLINE void StoreRounded(hn::Vec<Int32> value, std::int32_t* to) {
  hn::StoreU(value, Int32(), to);
}

template <typename To>  // of 8 bits
HWY_INLINE void StoreRounded(hn::Vec<Int32> value, To* to) {
  const Int32 d;
  const hn::Rebind<To, D> narrow;
  // Held by To first: Highway 1.0.3 on x86 makes 0 of 32768 where To is unsigned.
  const auto held = hn::Min(hn::Max(value, hn::Set(d, std::numeric_limits<To>::lowest())),
                            hn::Set(d, std::numeric_limits<To>::max()));
  hn::StoreU(hn::DemoteTo(narrow, held), narrow, to);
}

// Calls vector(from, to) for all of `count` elements, a vector at a time; the last of them may be
// done twice, and few of them in a place of their own.
template <typename From, typename To, typename Vector>
HWY_INLINE void ForEachVector(const From* HWY_RESTRICT from, std::int64_t count,
                              To* HWY_RESTRICT to, Vector vector) {
  constexpr std::size_t kLanes = hn::MaxLanes(D());
  constexpr auto kStep = static_cast<std::int64_t>(kLanes);
  if (count >= kStep) {
    for (std::int64_t i = 0; i < count - kStep; i += kStep) vector(from + i, to + i);
    vector(from + count - kStep, to + count - kStep);
    return;
  }
  HWY_ALIGN From few[kLanes] = {};
  HWY_ALIGN To done[kLanes];
  CopyFew<kLanes>(from, count, few);
  vector(few, done);
  CopyFew<kLanes>(done, count, to);
}

template <typename From>
void WidenAll(const From* from, std::int64_t count, float* to) {
  ForEachVector(from, count, to,
                [](const From* few, float* out) { StoreRounded(LoadWide(few), out); });
}

template <typename Sum, typename To>
void RoundAll(const Sum* from, Sum bias, std::int64_t count, To* to) {
  const hn::Rebind<Sum, D> d;
  const auto added = hn::Set(d, bias);
  ForEachVector(from, count, to, [&](const Sum* few, To* out) {
    StoreRounded(hn::Add(hn::LoadU(d, few), added), out);
  });
}

#endif

}  // namespace

const ConvertTable* Convert();  // exported below

const ConvertTable* Convert() {
  static const ConvertTable table = {
      {&WidenAll<Float16>, &WidenAll<BFloat16>, &WidenAll<std::int8_t>, &WidenAll<std::uint8_t>},
      {&RoundAll<float, float>, &RoundAll<float, Float16>, &RoundAll<float, BFloat16>,
       &RoundAll<float, std::int8_t>, &RoundAll<float, std::uint8_t>,
       &RoundAll<float, std::int32_t>, &RoundAll<std::int32_t, float>,
       &RoundAll<std::int32_t, std::int8_t>, &RoundAll<std::int32_t, std::uint8_t>,
       &RoundAll<std::int32_t, std::int32_t>}};
  return &table;
}

}  // namespace HWY_NAMESPACE
}  // namespace convserve
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convserve {

HWY_EXPORT(Convert);

const ConvertTable& ConvertKernels() { return *HWY_DYNAMIC_DISPATCH(Convert)(); }

}  // namespace convserve
#endif  // HWY_ONCE
