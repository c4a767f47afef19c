#include "tests/bench/peak_kernels.h"

#include <cstddef>
#include <cstdint>

#include "core/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tests/bench/peak_kernels.cc"
#include "hwy/cache_control.h"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace convserve::bench {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

// Enough independent chains for two units of latency four, few enough for sixteen registers.
constexpr int kChains = 12;

float MultiplyAdds(std::int64_t rounds) {
  const D d;
  const V factor = hn::Set(d, 0.5F);
  const V term = hn::Set(d, 1.0F);
  V sums[kChains];
  HWY_UNROLL(12) for (int i = 0; i < kChains; ++i) sums[i] = hn::Set(d, static_cast<float>(i));
  for (std::int64_t round = 0; round < rounds; ++round) {
    HWY_UNROLL(12) for (int i = 0; i < kChains; ++i) sums[i] = hn::MulAdd(sums[i], factor, term);
  }
  V all = sums[0];
  HWY_UNROLL(12) for (int i = 1; i < kChains; ++i) all = hn::Add(all, sums[i]);
  return hn::GetLane(all);
}

std::int64_t FmaRoundSize() { return kChains * static_cast<std::int64_t>(hn::Lanes(D())); }

float Read(const float* from, std::size_t count) {
  const D d;
  const std::size_t lanes = hn::Lanes(d);
  V sums[4] = {hn::Zero(d), hn::Zero(d), hn::Zero(d), hn::Zero(d)};
  for (std::size_t i = 0; i + 4 * lanes <= count; i += 4 * lanes) {
    HWY_UNROLL(4) for (std::size_t j = 0; j < 4; ++j) {
      sums[j] = hn::Add(sums[j], hn::Load(d, from + i + j * lanes));
    }
  }
  return hn::GetLane(hn::Add(hn::Add(sums[0], sums[1]), hn::Add(sums[2], sums[3])));
}

float ReadAndWrite(const StreamPiece& piece) {
  const D d;
  const std::size_t lanes = hn::Lanes(d);
  const float sum = Read(piece.source, piece.source_count);
  const V value = hn::Set(d, sum);
  if (piece.past_caches) {
    for (std::size_t i = 0; i + lanes <= piece.target_count; i += lanes) {
      hn::Stream(value, d, piece.target + i);
    }
    hwy::FlushStream();
  } else {
    for (std::size_t i = 0; i + lanes <= piece.target_count; i += lanes) {
      hn::Store(value, d, piece.target + i);
    }
  }
  return sum;
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace convserve::bench
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convserve::bench {

HWY_EXPORT(MultiplyAdds);
HWY_EXPORT(FmaRoundSize);
HWY_EXPORT(ReadAndWrite);

float MultiplyAdds(std::int64_t rounds) { return HWY_DYNAMIC_DISPATCH(MultiplyAdds)(rounds); }
std::int64_t FmaRoundSize() { return HWY_DYNAMIC_DISPATCH(FmaRoundSize)(); }
float ReadAndWrite(const StreamPiece& piece) { return HWY_DYNAMIC_DISPATCH(ReadAndWrite)(piece); }

}  // namespace convserve::bench
#endif
