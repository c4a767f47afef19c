// Strides, dilations, paddings and sizes of any magnitude, as a request may have them: where they
// are legal, every algorithm answers like the reference, and every plan ends.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/numeric/int128.h"
#include "core/describe.h"
#include "core/planner.h"
#include "gtest/gtest.h"
#include "tests/support/random_spec.h"

namespace convserve {
namespace {

using testing::Difference;
using testing::IntegerOperands;
using testing::Random;
using testing::RandomOperands;
using testing::RunAlgorithm;

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

std::int64_t Huge(Random& random) {
  constexpr int kShifts[] = {31, 32, 33, 40, 48, 60, 61, 62};
  if (random.OneIn(4)) return kMost - random.Between(0, 8);
  return (std::int64_t{1} << kShifts[random.Between(0, 7)]) + random.Between(-4, 4);
}

struct AxisNumbers {
  std::int64_t input, kernel, stride, dilation, before, after;
};

AxisNumbers Ordinary(Random& random) {
  return {random.Between(1, random.OneIn(4) ? 40 : 8),
          random.Between(1, 4),
          random.Between(1, 3),
          random.Between(1, 2),
          random.Between(0, 3),
          random.Between(0, 3)};
}

// Some number near `value`, or 0 where that has no padding.
std::int64_t PaddingNear(Random& random, absl::int128 value) {
  value += random.Between(-4, 4);
  return value < 0 || value > kMost / 2 ? 0 : static_cast<std::int64_t>(value);
}

// An axis with huge numbers, which may still be refused.
AxisNumbers Extraordinary(Random& random, bool transposed) {
  AxisNumbers axis = Ordinary(random);
  switch (random.Between(0, 3)) {
    case 0:  // one output or a few, from one input where transposed
      axis.stride = Huge(random);
      if (transposed) axis.input = 1;
      axis.before = PaddingNear(random, random.Between(0, 2) * absl::int128(axis.stride));
      break;
    case 1:  // one tap
      axis.kernel = 1;
      axis.dilation = Huge(random);
      break;
    default: {  // padding, or what is cropped, that leaves a few outputs
      axis.kernel = random.Between(2, 4);
      axis.dilation = random.OneIn(2) ? Huge(random) : axis.dilation;
      axis.stride = random.OneIn(2) ? Huge(random) : axis.stride;
      const absl::int128 taps = absl::int128(axis.dilation) * (axis.kernel - 1) + 1;
      const absl::int128 inputs = absl::int128(axis.input - 1) * (transposed ? axis.stride : 1) + 1;
      const absl::int128 padding =
          transposed ? inputs + taps - 1 - random.Between(1, 12)
                     : taps - inputs + random.Between(0, 2) * absl::int128(axis.stride);
      const std::int64_t parts = random.Between(1, 3);
      axis.before = PaddingNear(random, padding / parts);
      axis.after = PaddingNear(random, padding - padding / parts);
    }
  }
  return axis;
}

// Layers that one algorithm or another is for, with an axis in three extraordinary.
ProblemSpec RandomLayer(Random& random) {
  struct Channels {
    std::int64_t groups, channels, filters;
  };
  const Channels kinds[] = {{1, random.Between(1, 4), random.Between(1, 4)},
                            {16 * random.Between(1, 3), 1, 1},
                            {1, random.Between(16, 40), random.Between(16, 40)},
                            {2, random.Between(4, 16), random.Between(12, 32)},
                            {1, random.Between(16, 40), random.Between(1, 6)}};
  const Channels& c = kinds[random.Between(0, 4)];
  const bool transposed = random.OneIn(3);
  const bool tensors_last = random.OneIn(3);
  const bool weights_last = random.OneIn(3);
  Shape spatial, kernel;
  AxisList stride, dilation, before, after;
  for (std::int64_t left = random.Between(1, 3); left > 0; --left) {
    const AxisNumbers axis = random.OneIn(3) ? Extraordinary(random, transposed) : Ordinary(random);
    spatial.push_back(axis.input);
    kernel.push_back(axis.kernel);
    stride.push_back(axis.stride);
    dilation.push_back(axis.dilation);
    before.push_back(axis.before);
    after.push_back(axis.after);
  }
  ProblemSpec spec;
  spec.input = {DataType::kFloat32, {random.Between(1, 2)}, {}};
  Shape& input = spec.input.shape;
  input.insert(input.end(), spatial.begin(), spatial.end());
  input.insert(tensors_last ? input.end() : input.begin() + 1, c.groups * c.channels);
  spec.weight = {DataType::kFloat32, kernel, {}};
  Shape& weight = spec.weight.shape;
  const std::int64_t outer = c.groups * (transposed ? c.channels : c.filters);
  const std::int64_t inner = transposed ? c.filters : c.channels;
  if (weights_last) {
    weight.insert(weight.end(), {inner, outer});
  } else {
    weight.insert(weight.begin(), {outer, inner});
  }
  const auto with = [&](auto parameters) {
    parameters.stride = stride;
    parameters.dilation = dilation;
    parameters.padding = before;
    parameters.padding.insert(parameters.padding.end(), after.begin(), after.end());
    parameters.groups = c.groups;
    if (tensors_last) parameters.tensor_layout = TensorLayout::kChannelsLast;
    if (weights_last) parameters.weight_layout = WeightLayout::kChannelsLast;
    return parameters;
  };
  if (transposed) {
    spec.parameters = with(ConvTransposeParameters{});
    return spec;
  }
  ConvParameters parameters = with(ConvParameters{});
  if (random.OneIn(6)) parameters.padding_mode = PaddingMode::kReplicate;
  spec.parameters = parameters;
  return spec;
}

TEST(HugeNumbers, AreComputedLikeTheReference) {
  Random random(61);
  for (int valid = 0; valid < 1200;) {
    const ProblemSpec spec = RandomLayer(random);
    const auto problem = MakeProblem(spec);
    if (!problem.ok() || problem->output_bytes() > 64 * 1024 ||
        problem->multiply_adds() > 1'000'000) {
      continue;
    }
    ++valid;
    const RandomOperands operands = IntegerOperands(random, spec);
    const Tensor expected = *RunAlgorithm(*problem, operands.view(), "reference");
    for (const std::string_view algorithm : AlgorithmNames()) {
      const auto actual = RunAlgorithm(*problem, operands.view(), algorithm);
      if (absl::IsFailedPrecondition(actual.status())) continue;
      ASSERT_TRUE(actual.ok()) << actual.status();
      ASSERT_EQ(Difference(expected, *actual), "") << algorithm << ": " << problem->ToString();
    }
  }
}

TEST(HugeNumbers, HavePlansAndDescriptions) {
  Random random(62);
  for (int valid = 0; valid < 2000;) {
    ProblemSpec spec = RandomLayer(random);
    const bool empty = random.OneIn(2);
    if (empty) spec.input.shape[0] = 0;
    const std::size_t axes = spec.weight.shape.size() - 2;
    std::visit(
        [&](auto& p) {
          const std::size_t first = p.tensor_layout == TensorLayout::kChannelsLast ? 1 : 2;
          for (std::size_t i = 0; i < axes; ++i) {
            if (random.OneIn(2)) continue;
            std::int64_t& size = spec.input.shape[first + i];
            size = Huge(random);
            // So that few outputs are left, where there is an image.
            if (!empty || random.OneIn(3)) {
              p.stride[i] = std::max<std::int64_t>(size / random.Between(1, 20), 1);
            }
          }
        },
        spec.parameters);
    const auto problem = MakeProblem(spec);
    if (!problem.ok()) continue;
    ++valid;
    for (const std::string_view algorithm : AlgorithmNames()) {
      const auto plan = MakePlan(*problem, algorithm);
      if (!plan.ok()) continue;
      EXPECT_GE(plan->workspace_bytes(), 0) << problem->ToString();
    }
    for (std::size_t axis = 0; axis < axes; ++axis) {
      EXPECT_GE(DescribeAxis(*problem, axis).unused_inputs, 0) << problem->ToString();
    }
  }
}

}  // namespace
}  // namespace convserve
