// Random requests and tensors for property tests, the same ones on every run.
#ifndef CONVSERVE_TESTS_SUPPORT_RANDOM_SPEC_H_
#define CONVSERVE_TESTS_SUPPORT_RANDOM_SPEC_H_

#include <algorithm>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>

#include "core/convolve.h"
#include "core/data_type.h"
#include "core/problem.h"
#include "core/tensor.h"

namespace convserve::testing {

class Random {
 public:
  explicit Random(std::uint32_t seed) : engine_(seed) {}

  // Uniform in [low, high].
  std::int64_t Between(std::int64_t low, std::int64_t high) {
    const auto span = static_cast<std::uint64_t>(high - low) + 1;
    return low + static_cast<std::int64_t>(engine_() % span);
  }
  bool OneIn(std::int64_t n) { return Between(1, n) == 1; }

 private:
  std::mt19937_64 engine_;
};

// How large random requests are.
struct SpecRange {
  std::int64_t max_batch = 3;
  std::int64_t max_groups = 3;
  std::int64_t max_channels = 4;  // of a group
  std::int64_t max_filters = 4;   // of a group
  std::int64_t max_spatial = 9;
  std::int64_t max_kernel = 4;
  std::int64_t max_stride = 4;
  std::int64_t max_dilation = 3;
  std::int64_t max_padding = 4;
};

// A request with consistent channels; its sizes may still be refused. float32, everything else at
// random.
inline ProblemSpec RandomSpec(Random& random, const SpecRange& range = {}) {
  const auto axes = static_cast<std::size_t>(random.Between(1, 3));
  const std::int64_t groups = random.OneIn(2) ? 1 : random.Between(1, range.max_groups);
  const std::int64_t channels = random.Between(1, range.max_channels);
  const std::int64_t filters = random.Between(1, range.max_filters);
  const bool transposed = random.OneIn(2);
  const bool batched = !random.OneIn(4);
  const bool tensors_last = random.OneIn(3);
  const bool weights_last = random.OneIn(3);
  const auto list = [&](std::int64_t low, std::int64_t high) {
    AxisList values;
    if (random.OneIn(3)) return values;
    const std::size_t count = random.OneIn(2) ? 1 : axes;
    for (std::size_t i = 0; i < count; ++i) values.push_back(random.Between(low, high));
    return values;
  };

  Shape spatial;
  Shape kernel;
  for (std::size_t i = 0; i < axes; ++i) {
    spatial.push_back(random.Between(1, range.max_spatial));
    kernel.push_back(random.Between(1, range.max_kernel));
  }
  ProblemSpec spec;
  spec.input.data_type = spec.weight.data_type = DataType::kFloat32;
  Shape& input = spec.input.shape;
  if (batched) input.push_back(random.Between(1, range.max_batch));
  if (!tensors_last) input.push_back(groups * channels);
  input.insert(input.end(), spatial.begin(), spatial.end());
  if (tensors_last) input.push_back(groups * channels);

  const std::int64_t outer = transposed ? groups * channels : groups * filters;
  const std::int64_t inner = transposed ? filters : channels;
  Shape& weight = spec.weight.shape;
  if (!weights_last) weight = {outer, inner};
  weight.insert(weight.end(), kernel.begin(), kernel.end());
  if (weights_last) weight.insert(weight.end(), {inner, outer});
  if (random.OneIn(2)) {
    spec.bias = TensorSpec{DataType::kFloat32, {groups * filters}, {}};
  }

  const auto common = [&](auto& p) {
    p.stride = list(1, range.max_stride);
    p.dilation = list(1, range.max_dilation);
    if (random.OneIn(4)) {
      p.auto_pad = static_cast<AutoPad>(random.Between(1, 3));
    } else {
      p.padding = list(0, range.max_padding);
      if (random.OneIn(3)) {
        p.padding.clear();
        for (std::size_t i = 0; i < 2 * axes; ++i) {
          p.padding.push_back(random.Between(0, range.max_padding));
        }
      }
    }
    if (groups > 1 || random.OneIn(2)) p.groups = groups;
    p.flip_kernel = random.OneIn(3);
    if (tensors_last) p.tensor_layout = TensorLayout::kChannelsLast;
    if (weights_last) p.weight_layout = WeightLayout::kChannelsLast;
  };
  if (transposed) {
    ConvTransposeParameters p;
    common(p);
    if (random.OneIn(2))
      p.output_padding = list(0, std::max<std::int64_t>(range.max_stride - 1, 0));
    spec.parameters = p;
  } else {
    ConvParameters p;
    common(p);
    if (random.OneIn(2)) p.padding_mode = static_cast<PaddingMode>(random.Between(0, 4));
    spec.parameters = p;
  }
  return spec;
}

// Small whole numbers: products and sums of them are exact in every type that computes.
inline Tensor RandomIntegers(Random& random, DataType type, const Shape& shape,
                             std::int64_t magnitude = 4) {
  Tensor tensor(type, shape);
  const std::int64_t low = type == DataType::kUInt8 ? 0 : -magnitude;
  for (std::int64_t i = 0; i < tensor.size(); ++i) {
    StoreFromDouble(type, tensor.data(), i, static_cast<double>(random.Between(low, magnitude)));
  }
  return tensor;
}

// Numbers in [-1, 1) with all their bits used.
inline Tensor RandomReals(Random& random, DataType type, const Shape& shape) {
  Tensor tensor(type, shape);
  for (std::int64_t i = 0; i < tensor.size(); ++i) {
    StoreFromDouble(
        type, tensor.data(), i,
        static_cast<double>(random.Between(-(std::int64_t{1} << 52), (std::int64_t{1} << 52) - 1)) *
            0x1p-52);
  }
  return tensor;
}

// The tensors of one request.
struct RandomOperands {
  Tensor input, weight;
  std::optional<Tensor> bias;

  Operands view() const {
    Operands operands{input.view(), weight.view(), {}};
    if (bias) operands.bias = bias->view();
    return operands;
  }
};

template <typename Make>
RandomOperands MakeOperands(Random& random, const ProblemSpec& spec, Make make) {
  RandomOperands operands;
  operands.input = make(random, spec.input.data_type, spec.input.shape);
  operands.weight = make(random, spec.weight.data_type, spec.weight.shape);
  if (spec.bias) operands.bias = make(random, spec.bias->data_type, spec.bias->shape);
  return operands;
}

inline RandomOperands IntegerOperands(Random& random, const ProblemSpec& spec) {
  return MakeOperands(random, spec, [](Random& r, DataType type, const Shape& shape) {
    return RandomIntegers(r, type, shape);
  });
}

inline RandomOperands RealOperands(Random& random, const ProblemSpec& spec) {
  return MakeOperands(random, spec, RandomReals);
}

// The output of one algorithm, as bytes.
inline absl::StatusOr<Tensor> RunAlgorithm(const Problem& problem, const Operands& operands,
                                           std::string_view algorithm = {}) {
  const absl::StatusOr<Plan> plan = MakePlan(problem, algorithm);
  if (!plan.ok()) return plan.status();
  Tensor output(problem.output_type(), problem.output_shape());
  const absl::Status status =
      Execute(*plan, operands, {output.data(), static_cast<std::size_t>(output.byte_count())});
  if (!status.ok()) return status;
  return output;
}

// The same with the weight packed beforehand.
inline absl::StatusOr<Tensor> RunPacked(const Problem& problem, Operands operands,
                                        std::string_view algorithm = {}) {
  const absl::StatusOr<Plan> plan = MakePlan(problem, algorithm);
  if (!plan.ok()) return plan.status();
  const absl::StatusOr<PackedWeight> packed = PackWeight(*plan, operands.weight);
  if (!packed.ok()) return packed.status();
  operands.packed_weight = &*packed;
  return RunAlgorithm(problem, operands, algorithm);
}

inline bool SameBits(const Tensor& a, const Tensor& b) {
  return a.data_type() == b.data_type() && a.shape() == b.shape() &&
         std::equal(a.data(), a.data() + a.byte_count(), b.data());
}

// Equal as numbers, element by element (0 equals -0, NaN equals NaN); the first difference
// otherwise.
inline std::string Difference(const Tensor& expected, const Tensor& actual) {
  if (expected.shape() != actual.shape()) {
    return "shape " + ToString(actual.shape()) + ", expected " + ToString(expected.shape());
  }
  for (std::int64_t i = 0; i < expected.size(); ++i) {
    const double e = LoadAsDouble(expected.data_type(), expected.data(), i);
    const double a = LoadAsDouble(actual.data_type(), actual.data(), i);
    if (e != a && !(e != e && a != a)) {
      return "element " + std::to_string(i) + " is " + std::to_string(a) + ", expected " +
             std::to_string(e);
    }
  }
  return "";
}

}  // namespace convserve::testing

#endif  // CONVSERVE_TESTS_SUPPORT_RANDOM_SPEC_H_
