#include "tests/bench/workload.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <type_traits>
#include <utility>

#include "core/convert.h"

namespace convserve::bench {
namespace {

Tensor Uniform(std::mt19937& random, DataType type, const Shape& shape) {
  Tensor tensor(type, shape);
  VisitDataType(type, [&](auto zero) {
    using T = decltype(zero);
    std::generate_n(tensor.As<T>(), tensor.size(), [&] {
      const auto bits = static_cast<std::int32_t>(random());
      if constexpr (std::is_integral_v<T>) return static_cast<T>(bits >> 8);
      return RoundTo<T>(static_cast<float>(bits >> 7) * 0x1p-24F);
    });
  });
  return tensor;
}

Tensor Magnitude(const Tensor& tensor) {
  Tensor result = tensor.Clone();
  VisitDataType(tensor.data_type(), [&](auto zero) {
    using T = decltype(zero);
    T* values = result.As<T>();
    std::transform(values, values + result.size(), values,
                   [](T v) { return RoundTo<T>(std::abs(Widen<double>(v))); });
  });
  return result;
}

struct Place {
  std::int64_t n, channel, cell;
};

std::int64_t At(const Workload& workload, std::int64_t channels, std::int64_t cells,
                const Place& place) {
  return workload.channels_last() ? (place.n * cells + place.cell) * channels + place.channel
                                  : (place.n * channels + place.channel) * cells + place.cell;
}

// A channels-first input in the workload's layout.
Tensor InLayoutOf(const Workload& workload, const Tensor& input) {
  Tensor result(input.data_type(), workload.problem.input_shape());
  const std::int64_t channels = workload.problem.input_channels();
  const std::int64_t cells = InputCells(workload.axes());
  VisitDataType(input.data_type(), [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t i = 0; i < input.size(); ++i) {
      const std::int64_t plane = i / cells;
      result.As<T>()[workload.InputAt(plane / channels, plane % channels, i % cells)] =
          input.As<T>()[i];
    }
  });
  return result;
}

}  // namespace

Axes3 Workload::axes() const {
  Axes3 axes;
  std::copy(problem.axes().begin(), problem.axes().end(),
            axes.end() - static_cast<std::ptrdiff_t>(problem.axes().size()));
  return axes;
}

std::int64_t Workload::mandatory_bytes() const {
  return problem.input_bytes() + problem.weight_bytes() + problem.output_bytes();
}

std::int64_t Workload::InputAt(std::int64_t n, std::int64_t channel, std::int64_t cell) const {
  return At(*this, problem.input_channels(), InputCells(axes()), {n, channel, cell});
}

std::int64_t Workload::OutputAt(std::int64_t n, std::int64_t channel, std::int64_t cell) const {
  return At(*this, problem.output_channels(), OutputCells(axes()), {n, channel, cell});
}

absl::StatusOr<Workload> MakeWorkload(const Layer& layer, const ElementTypes& types,
                                      TensorLayout layout) {
  absl::StatusOr<Problem> problem = MakeLayerProblem(layer, types, layout);
  if (!problem.ok()) return problem.status();
  std::mt19937 random(1);
  Shape first{layer.batch, layer.input_channels};  // channels first
  first.insert(first.end(), layer.input.begin(), layer.input.end());
  Tensor input = Uniform(random, types.input, first);
  Tensor weight = Uniform(random, types.weight, problem->weight_shape());
  Workload workload{layer, *std::move(problem), std::move(input), std::move(weight)};
  if (workload.channels_last()) workload.input = InLayoutOf(workload, workload.input);
  return workload;
}

Workload Magnitudes(const Workload& workload) {
  return Workload{workload.layer, workload.problem, Magnitude(workload.input),
                  Magnitude(workload.weight)};
}

std::span<const float> AsFloats(const Tensor& tensor, std::vector<float>& place) {
  const auto size = static_cast<std::size_t>(tensor.size());
  if (tensor.data_type() == DataType::kFloat32) return {tensor.As<float>(), size};
  place.resize(size);
  VisitDataType(tensor.data_type(), [&](auto zero) {
    using T = decltype(zero);
    const T* values = tensor.As<T>();
    std::transform(values, values + size, place.begin(),
                   [](T v) { return static_cast<float>(Widen<double>(v)); });
  });
  return place;
}

}  // namespace convserve::bench
