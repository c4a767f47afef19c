#include "server/compute_times.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace convserve {

ComputeTimes::ComputeTimes(std::function<Clock::time_point()> now) : now_(std::move(now)) {}

ComputeTimes::Kind ComputeTimes::KindOf(const Plan& plan) {
  const auto size = static_cast<std::uint64_t>(plan.problem().multiply_adds());
  return {plan.problem().operation(), plan.algorithm_name(), plan.problem().arithmetic(),
          std::bit_width(size) / 2};
}

std::optional<std::chrono::nanoseconds> ComputeTimes::Estimate(const Plan& plan) const {
  std::array<double, kKept> recent;
  std::size_t count = 0;
  {
    const std::lock_guard lock(mutex_);
    const auto kind = kinds_.find(KindOf(plan));
    if (kind == kinds_.end()) return std::nullopt;
    const Samples& samples = kind->second;
    const Clock::time_point oldest = now_() - kMemory;
    for (std::size_t i = 0; i < std::min(samples.count, kKept); ++i) {
      if (samples.ring[i].when < oldest) continue;
      recent[count++] = samples.ring[i].nanoseconds_per_multiply_add;
    }
  }
  if (count < kEnough) return std::nullopt;
  const auto quartile = recent.begin() + static_cast<std::ptrdiff_t>(count / 4);
  std::nth_element(recent.begin(), quartile, recent.begin() + static_cast<std::ptrdiff_t>(count));
  const double time = *quartile * static_cast<double>(plan.problem().multiply_adds());
  constexpr double kMost = 1e18;
  return std::chrono::nanoseconds(static_cast<std::int64_t>(std::min(time, kMost)));
}

void ComputeTimes::Learn(const Plan& plan, std::chrono::nanoseconds time) {
  const auto size = static_cast<double>(plan.problem().multiply_adds());
  if (size < 1) return;
  const std::lock_guard lock(mutex_);
  Samples& samples = kinds_[KindOf(plan)];
  samples.ring[samples.count % kKept] = {now_(), static_cast<double>(time.count()) / size};
  ++samples.count;
}

}  // namespace convserve
