#include "tests/bench/verify.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

namespace convserve::bench {
namespace {

constexpr double kEpsilon = 0x1p-24;
constexpr std::int64_t kProductsForAll = std::int64_t{1} << 23;
constexpr std::int64_t kProductsForSample = std::int64_t{1} << 26;
constexpr std::int64_t kSampleMost = 16384;
constexpr std::int64_t kSampleLeast = 1024;
constexpr std::int64_t kEnds = 64;

double InUnits(double error, double magnitude) {
  if (std::isnan(error)) return std::numeric_limits<double>::infinity();
  return error == 0 ? 0 : error / (kEpsilon * magnitude);
}

struct Sum {
  double value = 0;
  double magnitude = 0;
};

// Where output position `o` reads through `tap`; negative when nowhere.
std::int64_t Source(const Axis& axis, bool transposed, std::int64_t o, std::int64_t tap) {
  if (!transposed) {
    const std::int64_t i = o * axis.stride + tap * axis.dilation - axis.padding_begin;
    return i < axis.input ? i : -1;
  }
  const std::int64_t scaled = o + axis.padding_begin - tap * axis.dilation;
  if (scaled < 0 || scaled % axis.stride != 0) return -1;
  return scaled / axis.stride < axis.input ? scaled / axis.stride : -1;
}

// The output element at `index` of the row-major result.
Sum Exact(const Workload& workload, std::int64_t index) {
  const Axes3 axes = workload.axes();
  const bool transposed = workload.transposed();
  const std::int64_t inputs = workload.group_inputs();
  const std::int64_t outputs = workload.group_outputs();
  std::int64_t o[3];
  for (std::size_t a = 3; a-- > 0; index /= axes[a].output) o[a] = index % axes[a].output;
  const std::int64_t m = index % workload.problem.output_channels();
  const std::int64_t n = index / workload.problem.output_channels();

  Sum sum;
  for (std::int64_t tap = 0; tap < Taps(axes); ++tap) {
    std::int64_t cell = 0;
    std::int64_t rest = tap;
    std::int64_t t[3];
    for (std::size_t a = 3; a-- > 0; rest /= axes[a].kernel) t[a] = rest % axes[a].kernel;
    for (std::size_t a = 0; a < 3 && cell >= 0; ++a) {
      const std::int64_t i = Source(axes[a], transposed, o[a], t[a]);
      cell = i < 0 ? -1 : cell * axes[a].input + i;
    }
    if (cell < 0) continue;
    for (std::int64_t c = 0; c < inputs; ++c) {
      const std::int64_t channel = m / outputs * inputs + c;
      const std::int64_t plane = n * workload.problem.input_channels() + channel;
      const std::int64_t filter = transposed ? channel * outputs + m % outputs : m * inputs + c;
      const double product =
          static_cast<double>(workload.input.As<float>()[plane * InputCells(axes) + cell]) *
          static_cast<double>(workload.weight.As<float>()[filter * Taps(axes) + tap]);
      sum.value += product;
      sum.magnitude += std::abs(product);
    }
  }
  return sum;
}

}  // namespace

double LargestError(const Workload& workload, std::span<const float> output) {
  double largest = 0;
  const auto check = [&](std::int64_t index) {
    const Sum exact = Exact(workload, index);
    const double actual = static_cast<double>(output[static_cast<std::size_t>(index)]);
    largest = std::max(largest, InUnits(std::abs(actual - exact.value), exact.magnitude));
  };
  const auto size = static_cast<std::int64_t>(output.size());
  const std::int64_t products = workload.group_inputs() * Taps(workload.axes());
  if (size * products <= kProductsForAll) {
    for (std::int64_t i = 0; i < size; ++i) check(i);
    return largest;
  }
  const std::int64_t ends = std::min(kEnds, size);
  for (std::int64_t i = 0; i < ends; ++i) {
    check(i);
    check(size - 1 - i);
  }
  std::mt19937_64 random(2);
  const std::int64_t sample = std::clamp(kProductsForSample / products, kSampleLeast, kSampleMost);
  for (std::int64_t i = 0; i < sample; ++i) {
    check(static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(size)));
  }
  return largest;
}

double LargestDifference(std::span<const float> left, std::span<const float> right,
                         std::span<const float> magnitude) {
  double largest = 0;
  for (std::size_t i = 0; i < left.size(); ++i) {
    const double difference =
        std::abs(static_cast<double>(left[i]) - static_cast<double>(right[i]));
    largest = std::max(largest, InUnits(difference, static_cast<double>(magnitude[i])));
  }
  return largest;
}

}  // namespace convserve::bench
