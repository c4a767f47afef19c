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

// D is float's, of a whole vector or a part of one.
template <class D>
using Int32 = hn::RebindToSigned<D>;
template <class D>
using UInt16 = hn::Rebind<std::uint16_t, D>;

template <class D>
HWY_INLINE hn::Vec<D> LoadWide(D d, const Float16* from) {
  const hn::Rebind<hwy::float16_t, D> half;
  return hn::PromoteTo(d, hn::LoadU(half, reinterpret_cast<const hwy::float16_t*>(from)));
}

template <class D>
HWY_INLINE hn::Vec<D> LoadWide(D d, const BFloat16* from) {
  const auto bits = hn::LoadU(UInt16<D>(), reinterpret_cast<const std::uint16_t*>(from));
  return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(hn::RebindToUnsigned<D>(), bits)));
}

template <class D, typename From>  // of 8 bits
HWY_INLINE hn::Vec<D> LoadWide(D d, const From* from) {
  const auto bytes = hn::LoadU(hn::Rebind<From, D>(), from);
  return hn::ConvertTo(d, hn::PromoteTo(Int32<D>(), bytes));
}

template <class D>
HWY_INLINE void StoreRounded(D d, hn::Vec<D> value, float* to) {
  hn::StoreU(value, d, to);
}

template <class D>
HWY_INLINE void StoreRounded(D /*d*/, hn::Vec<D> value, Float16* to) {
  const hn::Rebind<hwy::float16_t, D> half;
  hn::StoreU(hn::DemoteTo(half, value), half, reinterpret_cast<hwy::float16_t*>(to));
}

template <class D>
HWY_INLINE void StoreRounded(D /*d*/, hn::Vec<D> value, BFloat16* to) {
  const hn::RebindToUnsigned<D> d;
  const auto bits = hn::BitCast(d, value);
  const auto high = hn::ShiftRight<16>(bits);
  const auto odd = hn::And(high, hn::Set(d, 1));
  const auto nearest = hn::ShiftRight<16>(hn::Add(bits, hn::Add(odd, hn::Set(d, 0x7fff))));
  const auto quiet = hn::Or(high, hn::Set(d, 0x40));
  const auto result = hn::IfThenElse(hn::RebindMask(d, hn::IsNaN(value)), quiet, nearest);
  hn::StoreU(hn::DemoteTo(UInt16<D>(), hn::BitCast(Int32<D>(), result)), UInt16<D>(),
             reinterpret_cast<std::uint16_t*>(to));
}

template <class D, typename To>  // an integer
HWY_INLINE void StoreRounded(D d, hn::Vec<D> value, To* to) {
  constexpr auto kLowest = static_cast<float>(std::numeric_limits<To>::lowest());
  // 2^31 for int32, which none holds: told apart below.
  constexpr auto kHighest = static_cast<float>(std::numeric_limits<To>::max());
  const auto number = hn::IfThenElseZero(hn::Eq(value, value), value);
  const auto held = hn::Min(hn::Max(number, hn::Set(d, kLowest)), hn::Set(d, kHighest));
  const auto rounded = hn::NearestInt(held);
  if constexpr (sizeof(To) == 4) {
    const Int32<D> di;
    const auto above = hn::RebindMask(di, hn::Ge(number, hn::Set(d, kHighest)));
    const auto highest = hn::Set(di, std::numeric_limits<To>::max());
    hn::StoreU(hn::IfThenElse(above, highest, rounded), di, to);
  } else {
    const hn::Rebind<To, D> narrow;
    hn::StoreU(hn::DemoteTo(narrow, rounded), narrow, to);
  }
}

template <class D>
HWY_INLINE void StoreRounded(D d, hn::Vec<Int32<D> > value, float* to) {
  hn::StoreU(hn::ConvertTo(d, value), d, to);
}

template <class D>
HWY_INLINE void StoreRounded(D /*d*/, hn::Vec<Int32<D> > value, std::int32_t* to) {
  hn::StoreU(value, Int32<D>(), to);
}

template <class D, typename To>  // of 8 bits
HWY_INLINE void StoreRounded(D /*d*/, hn::Vec<Int32<D> > value, To* to) {
  const Int32<D> d;
  const hn::Rebind<To, D> narrow;
  // Held by To first: Highway 1.0.3 on x86 makes 0 of 32768 where To is unsigned.
  const auto held = hn::Min(hn::Max(value, hn::Set(d, std::numeric_limits<To>::lowest())),
                            hn::Set(d, std::numeric_limits<To>::max()));
  hn::StoreU(hn::DemoteTo(narrow, held), narrow, to);
}

// Calls vector(d, i) for vectors from element i on, which together are all of `count`, some of them
// twice: whole ones, or parts of a half or a quarter where there are fewer. Returns the elements
// done: all, or none where they are fewer than four.
template <std::size_t kLanes, typename Vector>
HWY_INLINE std::int64_t ForEachVector(std::int64_t count, Vector vector) {
  const hn::CappedTag<float, kLanes> d;
  constexpr auto kStep = static_cast<std::int64_t>(kLanes);
  if (count >= kStep) {
    for (std::int64_t i = 0; i < count - kStep; i += kStep) vector(d, i);
    vector(d, count - kStep);
    return count;
  }
  if constexpr (kLanes > 4) return ForEachVector<kLanes / 2>(count, vector);
  return 0;
}

constexpr std::size_t kLanes = hn::MaxLanes(hn::ScalableTag<float>());

template <typename From>
void WidenAll(const From* HWY_RESTRICT from, std::int64_t count, float* HWY_RESTRICT to) {
  std::int64_t done = ForEachVector<kLanes>(
      count, [&](auto d, std::int64_t i) { hn::StoreU(LoadWide(d, from + i), d, to + i); });
  for (; done < count; ++done) to[done] = Widen<float>(from[done]);
}

template <typename Sum, typename To>
void RoundAll(const Sum* HWY_RESTRICT from, Sum bias, std::int64_t count, To* HWY_RESTRICT to) {
  std::int64_t done = ForEachVector<kLanes>(count, [&](auto d, std::int64_t i) {
    const hn::Rebind<Sum, decltype(d)> sums;
    StoreRounded(d, hn::Add(hn::LoadU(sums, from + i), hn::Set(sums, bias)), to + i);
  });
  for (; done < count; ++done) to[done] = RoundTo<To>(from[done] + bias);
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
