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

}  // namespace

ExactSample::Element ExactSample::Compute(const Workload& workload, std::int64_t index) {
  const Axes3 axes = workload.axes();
  const bool transposed = workload.transposed();
  const std::int64_t inputs = workload.group_inputs();
  const std::int64_t outputs = workload.group_outputs();
  const std::int64_t cell_of_plane = index % OutputCells(axes);
  std::int64_t o[3];
  for (std::size_t a = 3; a-- > 0; index /= axes[a].output) o[a] = index % axes[a].output;
  const std::int64_t m = index % workload.problem.output_channels();
  const std::int64_t n = index / workload.problem.output_channels();
  Element sum{n, m, cell_of_plane};

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
      const std::int64_t filter = transposed ? channel * outputs + m % outputs : m * inputs + c;
      const double product = LoadAsDouble(workload.input.data_type(), workload.input.data(),
                                          workload.InputAt(n, channel, cell)) *
                             LoadAsDouble(workload.weight.data_type(), workload.weight.data(),
                                          filter * Taps(axes) + tap);
      sum.value += product;
      sum.magnitude += std::abs(product);
    }
  }
  return sum;
}

ExactSample::ExactSample(const Workload& workload) : workload_(&workload) {
  const std::int64_t size =
      workload.problem.output_bytes() / SizeOf(workload.problem.output_type());
  const std::int64_t products = workload.group_inputs() * Taps(workload.axes());
  const auto add = [&](std::int64_t index) { elements_.push_back(Compute(workload, index)); };
  if (size * products <= kProductsForAll) {
    for (std::int64_t i = 0; i < size; ++i) add(i);
    return;
  }
  for (std::int64_t i = 0; i < std::min(kEnds, size); ++i) {
    add(i);
    add(size - 1 - i);
  }
  std::mt19937_64 random(2);
  const std::int64_t sample = std::clamp(kProductsForSample / products, kSampleLeast, kSampleMost);
  for (std::int64_t i = 0; i < sample; ++i) {
    add(static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(size)));
  }
}

double ExactSample::LargestError(std::span<const float> output, const Workload& workload) const {
  double largest = 0;
  for (const Element& element : elements_) {
    const std::int64_t at = workload.OutputAt(element.n, element.channel, element.cell);
    const double error =
        std::abs(static_cast<double>(output[static_cast<std::size_t>(at)]) - element.value);
    largest = std::max(largest, InUnits(error, element.magnitude));
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
