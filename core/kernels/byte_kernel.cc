#include "core/kernels/byte_kernel.h"

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/byte_kernel.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
// clang-format off
#include "core/kernels/gemm-inl.h"  // comes last: compiled once for every target
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace convserve {
namespace HWY_NAMESPACE {
namespace {

// Ways to add the products of the four bytes of u, unsigned, and s, signed, to each lane of sum.
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2

// Even bytes and odd ones, as 16 bits: two products of them to a lane do not overflow.
struct InHalves {
  static constexpr int kParts = 2;  // that an element is split into
  template <class D, class V>
  static HWY_INLINE V Add(D d, V u, V s, V sum) {
    const hn::Repartition<std::uint16_t, D> unsigned16;
    const hn::Repartition<std::int16_t, D> signed16;
    const auto u16 = hn::BitCast(unsigned16, u);
    const auto s16 = hn::BitCast(signed16, s);
    const auto u_even = hn::BitCast(signed16, hn::And(u16, hn::Set(unsigned16, 0xff)));
    const auto u_odd = hn::BitCast(signed16, hn::ShiftRight<8>(u16));
    const auto s_even = hn::ShiftRight<8>(hn::ShiftLeft<8>(s16));
    const auto s_odd = hn::ShiftRight<8>(s16);
    V none = hn::Zero(d);  // on x86 every lane adds up its own pair
    sum = hn::ReorderWidenMulAccumulate(d, u_even, s_even, sum, none);
    return hn::ReorderWidenMulAccumulate(d, u_odd, s_odd, sum, none);
  }
};

#elif HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128

struct InHalves {
  static constexpr int kParts = 2;
  template <class D, class V>
  static CONVSERVE_STEP V Add(D d, V u, V s, V sum) {
    constexpr std::size_t kLanes = hn::MaxLanes(D());
    std::uint8_t unsigned_bytes[4 * kLanes];
    std::int8_t signed_bytes[4 * kLanes];
    std::int32_t sums[kLanes];
    std::memcpy(unsigned_bytes, &u, sizeof(unsigned_bytes));
    std::memcpy(signed_bytes, &s, sizeof(signed_bytes));
    std::memcpy(sums, &sum, sizeof(sums));
    for (std::size_t i = 0; i < 4 * kLanes; ++i) {
      sums[i / 4] += std::int32_t{unsigned_bytes[i]} * signed_bytes[i];
    }
    return hn::LoadU(d, sums);
  }
};

#else

struct InHalves {
  static constexpr int kParts = 2;
  template <int kByte, class D, class V>
  static HWY_INLINE V AddByte(D d, V u, V s, V sum) {
    const hn::RebindToUnsigned<D> du;
    const auto byte = hn::And(hn::ShiftRight<8 * kByte>(hn::BitCast(du, u)), hn::Set(du, 0xff));
    const auto number = hn::ShiftRight<24>(hn::ShiftLeft<24 - 8 * kByte>(s));
    return hn::Add(sum, hn::Mul(hn::BitCast(d, byte), number));
  }
  template <class D, class V>
  static HWY_INLINE V Add(D d, V u, V s, V sum) {
    sum = AddByte<0>(d, u, s, sum);
    sum = AddByte<1>(d, u, s, sum);
    sum = AddByte<2>(d, u, s, sum);
    return AddByte<3>(d, u, s, sum);
  }
};

#endif

#if HWY_TARGET == HWY_AVX3

// One instruction of AVX-512 with VNNI. Not by Highway's own target for it, which 1.0.3 compiles
// for processors with AVX-VNNI alone.
struct InOne {
  static constexpr int kParts = 1;
  template <class D, class V>
  static HWY_INLINE V Add(D /*d*/, V u, V s, V sum) {
    asm("vpdpbusd %2, %1, %0" : "+v"(sum.raw) : "v"(u.raw), "v"(s.raw));
    return sum;
  }
};
bool HasInOne() { return __builtin_cpu_supports("avx512vnni") != 0; }

#else

using InOne = InHalves;
bool HasInOne() { return false; }

#endif

template <class Way, bool kSignedRows>
struct QuadProduct {
  static constexpr int kVectors = 4;  // one or two rows are for other algorithms
  static constexpr std::int64_t kSum = std::int64_t{1} << 40;  // nothing is rounded
  static constexpr int Spare(int vectors) { return (Way::kParts - 1) * (vectors + 2); }
  template <class D, class V>
  static HWY_INLINE V Add(D d, V a, V b, V sum) {
    return kSignedRows ? Way::Add(d, b, a, sum) : Way::Add(d, a, b, sum);
  }
};

HWY_INLINE void MakeQuad(const Quads& quads, std::int64_t i) {
  std::uint32_t quad = 0;
  for (int q = 0; q < 4; ++q) {
    const auto byte = static_cast<std::uint8_t>(quads.from[q * quads.pitch + i] ^ quads.flip);
    quad |= std::uint32_t{byte} << (8 * q);
  }
  quads.to[i] = static_cast<std::int32_t>(quad);
}

#if HWY_TARGET != HWY_SCALAR
// So many at once, the last of them once more, or fewer where there are not enough; none below
// four.
template <std::size_t kLanes>
HWY_INLINE bool MakeManyQuads(const Quads& quads) {
  const hn::CappedTag<std::uint8_t, kLanes> d;
  constexpr auto kStep = static_cast<std::int64_t>(kLanes);
  if (quads.count < kStep) {
    if constexpr (kLanes > 4) return MakeManyQuads<kLanes / 2>(quads);
    return false;
  }
  const auto flip = hn::Set(d, quads.flip);
  const auto make = [&](std::int64_t first) {
    const std::uint8_t* from = quads.from + first;
    const auto row = [&](int q) { return hn::Xor(hn::LoadU(d, from + q * quads.pitch), flip); };
    hn::StoreInterleaved4(row(0), row(1), row(2), row(3), d,
                          reinterpret_cast<std::uint8_t*>(quads.to + first));
  };
  for (std::int64_t i = 0; i < quads.count - kStep; i += kStep) make(i);
  make(quads.count - kStep);
  return true;
}
#endif

void MakeQuads(const Quads& all) {
  Quads quads = all;
  for (std::int64_t time = 0; time < all.times; ++time) {
#if HWY_TARGET != HWY_SCALAR
    if (!MakeManyQuads<16>(quads))
#endif
    {
      for (std::int64_t i = 0; i < quads.count; ++i) MakeQuad(quads, i);
    }
    quads.from += 4 * quads.pitch;
    quads.to += quads.count;
  }
}

template <class Way>
constexpr ByteTable kTable = {&RunTile<std::int32_t, QuadProduct<Way, true>>,
                              &RunTile<std::int32_t, QuadProduct<Way, false>>, &MakeQuads};

}  // namespace

const ByteTable* Bytes(bool in_one);  // exported below

const ByteTable* Bytes(bool in_one) {
  static const bool has = HasInOne();
  return has && in_one ? &kTable<InOne> : &kTable<InHalves>;
}

}  // namespace HWY_NAMESPACE
}  // namespace convserve
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convserve {

HWY_EXPORT(Bytes);

const ByteTable& ByteKernels(bool in_one) { return *HWY_DYNAMIC_DISPATCH(Bytes)(in_one); }

}  // namespace convserve
#endif  // HWY_ONCE
