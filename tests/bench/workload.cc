#include "tests/bench/workload.h"

#include <cmath>
#include <random>
#include <utility>

namespace convserve::bench {
namespace {

Tensor Uniform(std::mt19937& random, const Shape& shape) {
  Tensor tensor(DataType::kFloat32, shape);
  std::generate_n(tensor.As<float>(), tensor.size(), [&] {
    return static_cast<float>(static_cast<std::int32_t>(random()) >> 7) * 0x1p-24F;
  });
  return tensor;
}

Tensor Magnitude(const Tensor& tensor) {
  Tensor result = tensor.Clone();
  float* values = result.As<float>();
  std::transform(values, values + result.size(), values, [](float v) { return std::abs(v); });
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

absl::StatusOr<Workload> MakeWorkload(const Layer& layer) {
  absl::StatusOr<Problem> problem = MakeLayerProblem(layer);
  if (!problem.ok()) return problem.status();
  std::mt19937 random(1);
  Tensor input = Uniform(random, problem->input_shape());
  Tensor weight = Uniform(random, problem->weight_shape());
  return Workload{layer, *std::move(problem), std::move(input), std::move(weight)};
}

Workload Magnitudes(const Workload& workload) {
  return Workload{workload.layer, workload.problem, Magnitude(workload.input),
                  Magnitude(workload.weight)};
}

}  // namespace convserve::bench
