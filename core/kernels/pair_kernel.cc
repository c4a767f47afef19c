#include "core/kernels/pair_kernel.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "core/kernels/running_sum.h"
#include "core/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/pair_kernel.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
// clang-format off
#include "core/kernels/gemm-inl.h"  // comes last: compiled once for every target
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace convserve {
namespace HWY_NAMESPACE {
namespace {

// Ways to add the products of two pairs to each lane of sum.
struct InTwo {
  static constexpr int kParts = 2;  // that an element is split into
  template <class D, class V>
  static CONVSERVE_STEP V Add(D d, V a, V b, V sum) {
    const hn::RebindToUnsigned<D> bits;
    const auto upper = [&](V pair) HWY_ATTR {
      return hn::BitCast(d, hn::And(hn::BitCast(bits, pair), hn::Set(bits, 0xffff0000U)));
    };
    const auto lower = [&](V pair) HWY_ATTR {
      return hn::BitCast(d, hn::ShiftLeft<16>(hn::BitCast(bits, pair)));
    };
    return MulAdd(d, lower(a), lower(b), MulAdd(d, upper(a), upper(b), sum));
  }
};

#if HWY_TARGET == HWY_AVX3

// One instruction of AVX-512 with BF16, for which Highway 1.0.3 has no target.
struct InOne {
  static constexpr int kParts = 1;
  template <class D, class V>
  static HWY_INLINE V Add(D /*d*/, V a, V b, V sum) {
    asm("vdpbf16ps %2, %1, %0" : "+v"(sum.raw) : "v"(a.raw), "v"(b.raw));
    return sum;
  }
};

// Whether the processor has the instruction, and adds in the order that it is defined to have.
bool HasInOne() {
  if (__builtin_cpu_supports("avx512bf16") == 0) return false;
  const hn::ScalableTag<float> d;
  const hn::RebindToUnsigned<decltype(d)> bits;
  // Numbers from 2^-7 to 2^8 of either sign: most of their sums are rounded.
  std::uint32_t random = 1;
  const auto number = [&random] {
    random = random * 1664525U + 1013904223U;
    const std::uint32_t exponent = 120 + (random >> 28);
    return (random >> 12 & 0x8000U) | exponent << 7 | (random >> 16 & 0x7fU);
  };
  const auto pairs = [&] {
    HWY_ALIGN std::array<std::uint32_t, hn::MaxLanes(d)> lanes;
    for (std::uint32_t& lane : lanes) {
      lane = number() << 16;
      lane |= number();
    }
    return hn::BitCast(d, hn::Load(bits, lanes.data()));
  };
  auto one = hn::Zero(d);
  auto two = hn::Zero(d);
  for (int i = 0; i < 64; ++i) {
    const auto a = pairs();
    const auto b = pairs();
    one = InOne::Add(d, a, b, one);
    two = InTwo::Add(d, a, b, two);
  }
  return hn::AllTrue(d, hn::Eq(one, two));
}

#else

using InOne = InTwo;
bool HasInOne() { return false; }

#endif

template <class Way>
struct PairProduct {
  static constexpr int kVectors = 4;  // one or two rows are for other algorithms
  static constexpr std::int64_t kSum = kRunningSum / 2;
  static constexpr int Spare(int vectors) { return (Way::kParts - 1) * (vectors + 2); }
  template <class D, class V>
  static HWY_INLINE V Add(D d, V a, V b, V sum) {
    return Way::Add(d, a, b, sum);
  }
};

void MakePairs(const Pairs& pairs) {
  const BFloat16* from = pairs.from;
  float* to = pairs.to;
  for (std::int64_t time = 0; time < pairs.times; ++time) {
    std::int64_t i = 0;
#if HWY_TARGET != HWY_SCALAR
    const hn::CappedTag<std::uint16_t, 8> few;
    const hn::ScalableTag<std::uint16_t> many;
    const auto make = [&](auto d) HWY_ATTR {
      const auto* numbers = reinterpret_cast<const std::uint16_t*>(from);
      const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
      for (; i + lanes <= pairs.count; i += lanes) {
        hn::StoreInterleaved2(hn::LoadU(d, numbers + i), hn::LoadU(d, numbers + pairs.pitch + i), d,
                              reinterpret_cast<std::uint16_t*>(to + i));
      }
    };
    make(many);
    make(few);
#endif
    for (; i < pairs.count; ++i) {
      to[i] = std::bit_cast<float>(std::uint32_t{from[i].bits} |
                                   std::uint32_t{from[pairs.pitch + i].bits} << 16);
    }
    from += 2 * pairs.pitch;
    to += pairs.count;
  }
}

// Twice the bits of a number have no sign, and 2 less than that makes 0 the largest of all.
Magnitudes MagnitudesOf(const BFloat16* numbers, std::int64_t count) {
  constexpr std::uint16_t kMost = 2 * 0x7f7f;                  // of twice a finite number
  constexpr std::uint16_t kLeast = 2 * ((127 - 56) << 7) - 2;  // of 2 less than twice 2^-56
  std::uint16_t least = 0xffff;
  std::uint16_t most = 0;
  Magnitudes magnitudes;
  std::int64_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  const hn::ScalableTag<std::uint16_t> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  auto lows = hn::Set(d, least);
  auto highs = hn::Set(d, most);
  for (; i + lanes <= count; i += lanes) {
    const auto bits = hn::LoadU(d, reinterpret_cast<const std::uint16_t*>(numbers + i));
    const auto twice = hn::Add(bits, bits);
    lows = hn::Min(lows, hn::Sub(twice, hn::Set(d, std::uint16_t{2})));
    highs = hn::Max(highs, twice);
  }
  magnitudes.finite = hn::AllFalse(d, hn::Gt(highs, hn::Set(d, kMost)));
  magnitudes.moderate = hn::AllFalse(d, hn::Lt(lows, hn::Set(d, kLeast)));
#endif
  for (; i < count; ++i) {
    const auto twice = static_cast<std::uint16_t>(numbers[i].bits << 1);
    least = std::min(least, static_cast<std::uint16_t>(twice - 2));
    most = std::max(most, twice);
  }
  magnitudes.finite &= most <= kMost;
  magnitudes.moderate &= least >= kLeast && magnitudes.finite;
  return magnitudes;
}

template <class Way>
void Gemm(const GemmTile<float>& tile) {
  if (tile.moderate) {
    RunTile<float, PairProduct<Way>>(tile);
  } else {
    RunTile<float, PairProduct<InTwo>>(tile);
  }
}

template <class Way>
constexpr PairTable kTable = {&Gemm<Way>, &MakePairs, &MagnitudesOf, Way::kParts == 1};

}  // namespace

const PairTable* PairsOfBFloat16(bool in_one);  // exported below

const PairTable* PairsOfBFloat16(bool in_one) {
  static const bool has = HasInOne();
  return has && in_one ? &kTable<InOne> : &kTable<InTwo>;
}

}  // namespace HWY_NAMESPACE
}  // namespace convserve
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convserve {

HWY_EXPORT(PairsOfBFloat16);

const PairTable& PairKernels(bool in_one) { return *HWY_DYNAMIC_DISPATCH(PairsOfBFloat16)(in_one); }

}  // namespace convserve
#endif  // HWY_ONCE
