// Laws that relate sizes, reach and overlap to the parameters, held over thousands of seeded
// configurations.
#include <algorithm>
#include <limits>
#include <numeric>
#include <optional>
#include <random>
#include <vector>

#include "core/convolve.h"
#include "core/describe.h"
#include "core/problem.h"
#include "core/solve.h"
#include "gtest/gtest.h"
#include "tests/support/geometry.h"
#include "tests/support/tensors.h"

namespace convserve {
namespace {

using ::convserve::testing::Filled;
using ::convserve::testing::Geometry;
using ::convserve::testing::GeometryLimits;
using ::convserve::testing::MakeTensor;
using ::convserve::testing::OneAxis;
using ::convserve::testing::RandomConvAxis;
using ::convserve::testing::ToDoubles;

constexpr int kConfigurations = 4000;
constexpr GeometryLimits kWide = {
    .input = 40, .kernel = 9, .stride = 9, .dilation = 4, .padding = 12};

absl::StatusOr<Problem> MakeConv(const Axis& axis) {
  const Geometry geometry = OneAxis(axis);
  return MakeProblem({.input = {DataType::kFloat32, geometry.input_shape(), std::nullopt},
                      .weight = {DataType::kFloat32, geometry.weight_shape(), std::nullopt},
                      .bias = std::nullopt,
                      .parameters = geometry.conv()});
}

absl::StatusOr<Problem> MakeTranspose(const Axis& axis) {
  const Geometry geometry = OneAxis(axis);
  return MakeProblem({.input = {DataType::kFloat32, geometry.input_shape(), std::nullopt},
                      .weight = {DataType::kFloat32, geometry.weight_shape(), std::nullopt},
                      .bias = std::nullopt,
                      .parameters = geometry.adjoint()});
}

// The output size that core resolves, or 0 where it refuses.
std::int64_t ConvSize(const Axis& axis) {
  const auto problem = MakeConv(axis);
  return problem.ok() ? problem->axes()[0].output : 0;
}
std::int64_t TransposeSize(const Axis& axis) {
  const auto problem = MakeTranspose(axis);
  return problem.ok() ? problem->axes()[0].output : 0;
}

// One image for every cell, which alone is 1: [n, 1, n].
Tensor OneHots(std::int64_t n) {
  std::vector<double> values(static_cast<std::size_t>(n * n), 0.0);
  for (std::int64_t i = 0; i < n; ++i) values[static_cast<std::size_t>(i * n + i)] = 1;
  return MakeTensor(DataType::kFloat32, {n, 1, n}, values);
}

// taps[i][o]: how many kernel taps carry input i to output o.
std::vector<std::vector<double>> Taps(const Axis& axis, Operation operation) {
  const Geometry geometry = OneAxis(axis);
  const Tensor input = OneHots(axis.input);
  const Tensor weight = Filled(DataType::kFloat32, geometry.weight_shape(), 1);
  const Operands operands = {input.view(), weight.view(), std::nullopt};
  const auto output = operation == Operation::kConv ? Conv(operands, geometry.conv())
                                                    : ConvTranspose(operands, geometry.adjoint());
  if (!output.ok()) {
    ADD_FAILURE() << output.status().ToString();
    return {};
  }
  const std::vector<double> values = ToDoubles(*output);
  const auto row = static_cast<std::ptrdiff_t>(output->shape()[2]);
  std::vector<std::vector<double>> taps;
  for (auto begin = values.begin(); begin != values.end(); begin += row) {
    taps.emplace_back(begin, begin + row);
  }
  return taps;
}

bool ReachesNothing(const std::vector<double>& taps) {
  return std::all_of(taps.begin(), taps.end(), [](double count) { return count == 0; });
}

class Laws : public ::testing::Test {
 protected:
  // Calls `law` with as many axes of a valid Conv.
  template <typename Law>
  void ForConvAxes(const GeometryLimits& limits, Law&& law) {
    for (int i = 0; i < kConfigurations && !HasFailure(); ++i) {
      const Axis axis = RandomConvAxis(random_, limits);
      SCOPED_TRACE(OneAxis(axis).ToString());
      law(axis);
    }
  }

  std::mt19937 random_{20240229};
};

TEST_F(Laws, OutputPaddingByRemainderInvertsTheSize) {
  ForConvAxes(kWide, [](const Axis& axis) {
    const std::int64_t output = ConvSize(axis);
    Axis back = axis;
    back.input = output;
    back.output_padding =
        (axis.input + axis.padding_begin + axis.padding_end - axis.effective_kernel()) %
        axis.stride;
    EXPECT_EQ(TransposeSize(back), axis.input);
    EXPECT_EQ(DescribeAxis(*MakeConv(axis), 0).restoring_output_padding, back.output_padding);
  });
}

TEST_F(Laws, AnOutputSizeComesFromStrideManyInputSizes) {
  ForConvAxes(kWide, [](const Axis& axis) {
    const std::int64_t output = ConvSize(axis);
    const std::int64_t smallest = (output - 1) * axis.stride + axis.effective_kernel() -
                                  axis.padding_begin - axis.padding_end;
    const AxisDescription described = DescribeAxis(*MakeConv(axis), 0);
    EXPECT_EQ(described.smallest_input_with_this_output, std::max<std::int64_t>(1, smallest));
    EXPECT_EQ(described.largest_input_with_this_output, smallest + axis.stride - 1);
    Axis other = axis;
    for (std::int64_t n = std::max<std::int64_t>(1, smallest - 2); n <= smallest + axis.stride + 1;
         ++n) {
      other.input = n;
      EXPECT_EQ(ConvSize(other) == output, n >= smallest && n <= smallest + axis.stride - 1)
          << "n = " << n;
    }
  });
}

TEST_F(Laws, ConvReadsTheStatedShareOfInteriorInputs) {
  ForConvAxes({.input = 60, .kernel = 6, .stride = 7, .dilation = 4, .padding = 6},
              [](const Axis& axis) {
                const auto taps = Taps(axis, Operation::kConv);
                // Interior: as far from both ends of what is read as a whole kernel reaches.
                const std::int64_t first = axis.effective_kernel() - 1 - axis.padding_begin;
                const std::int64_t last = (axis.output - 1) * axis.stride - axis.padding_begin;
                const std::int64_t divisor = std::gcd(axis.stride, axis.dilation);
                const std::int64_t share = std::min(axis.kernel, axis.stride / divisor);
                for (std::int64_t begin = std::max<std::int64_t>(first, 0);
                     begin + axis.stride - 1 <= std::min(last, axis.input - 1); ++begin) {
                  std::int64_t read = 0;
                  for (std::int64_t i = begin; i < begin + axis.stride; ++i) {
                    read += ReachesNothing(taps[static_cast<std::size_t>(i)]) ? 0 : 1;
                  }
                  EXPECT_EQ(read, share) << "of " << axis.stride << " from " << begin;
                  EXPECT_EQ(read == axis.stride, divisor == 1 && axis.kernel >= axis.stride);
                }
              });
}

TEST_F(Laws, ConvNeverReadsTheRemainderAtTheEnd) {
  ForConvAxes({}, [](const Axis& axis) {
    const auto taps = Taps(axis, Operation::kConv);
    const std::int64_t padded = axis.input + axis.padding_begin + axis.padding_end;
    const std::int64_t remainder = (padded - axis.effective_kernel()) % axis.stride;
    for (std::int64_t i = std::max<std::int64_t>(0, padded - remainder - axis.padding_begin);
         i < axis.input; ++i) {
      EXPECT_TRUE(ReachesNothing(taps[static_cast<std::size_t>(i)])) << "input " << i;
    }
  });
}

TEST_F(Laws, TransposedOverlapFollowsFromThePhase) {
  ForConvAxes({.input = 20, .kernel = 6, .stride = 6, .dilation = 4, .padding = 0}, [](Axis axis) {
    axis.output_padding = 0;
    const auto taps = Taps(axis, Operation::kConvTranspose);
    const std::int64_t outputs = (axis.input - 1) * axis.stride + axis.effective_kernel();
    std::vector<std::int64_t> phase_taps(static_cast<std::size_t>(axis.stride), 0);
    for (std::int64_t t = 0; t < axis.kernel; ++t) {
      ++phase_taps[static_cast<std::size_t>(t * axis.dilation % axis.stride)];
    }
    const bool even = std::equal(phase_taps.begin() + 1, phase_taps.end(), phase_taps.begin());
    EXPECT_EQ(even, std::gcd(axis.stride, axis.dilation) == 1 && axis.kernel % axis.stride == 0);
    for (std::int64_t o = 0; o < outputs; ++o) {
      double received = 0;
      for (const auto& input : taps) received += input[static_cast<std::size_t>(o)];
      const std::int64_t expected = phase_taps[static_cast<std::size_t>(o % axis.stride)];
      const bool interior = o >= axis.effective_kernel() - 1 && o <= (axis.input - 1) * axis.stride;
      if (interior || expected == 0) {
        EXPECT_EQ(received, static_cast<double>(expected)) << "output " << o;
      } else {
        EXPECT_LE(received, static_cast<double>(expected)) << "output " << o;
      }
    }
  });
}

TEST_F(Laws, PhasesWithoutTapsHoldTheBiasExactly) {
  ForConvAxes({.input = 8, .kernel = 3, .stride = 6, .dilation = 4, .padding = 2}, [](Axis axis) {
    axis.output_padding = 0;
    if (TransposeSize(axis) == 0) return;
    const auto taps = Taps(axis, Operation::kConvTranspose);
    const Geometry geometry = OneAxis(axis);
    const Tensor input = Filled(DataType::kFloat32, geometry.input_shape(), 1);
    const Tensor weight = Filled(DataType::kFloat32, geometry.weight_shape(),
                                 std::numeric_limits<double>::infinity());
    const Tensor bias = Filled(DataType::kFloat32, {1}, 0.75);
    const auto output =
        ConvTranspose({input.view(), weight.view(), bias.view()}, geometry.adjoint());
    ASSERT_TRUE(output.ok());
    for (std::size_t o = 0; o < static_cast<std::size_t>(output->size()); ++o) {
      const bool reached = std::any_of(taps.begin(), taps.end(),
                                       [o](const auto& input_taps) { return input_taps[o] != 0; });
      EXPECT_EQ(output->As<float>()[o], reached ? std::numeric_limits<float>::infinity() : 0.75F)
          << "output " << o;
    }
  });
}

TEST_F(Laws, ATransposedInputIsDeadOnlyWherePaddingReachesTheKernelSize) {
  int dead_cells = 0;
  ForConvAxes({.input = 8, .kernel = 4, .stride = 5, .dilation = 1, .padding = 6},
              [&](const Axis& axis) {
                if (TransposeSize(axis) == 0) return;
                for (const auto& cell : Taps(axis, Operation::kConvTranspose)) {
                  if (!ReachesNothing(cell)) continue;
                  ++dead_cells;
                  EXPECT_GE(std::max(axis.padding_begin, axis.padding_end), axis.kernel);
                }
              });
  EXPECT_GT(dead_cells, 100);
}

TEST_F(Laws, ASymmetricSamePaddingExistsUnlessStrideIsOneAndTheKernelEven) {
  ForConvAxes(kWide, [](Axis axis) {
    const std::int64_t wanted = (axis.input + axis.stride - 1) / axis.stride;
    const std::int64_t effective = axis.effective_kernel();
    std::optional<std::int64_t> smallest;
    for (std::int64_t p = 0; p <= effective && !smallest; ++p) {
      axis.padding_begin = axis.padding_end = p;
      if (ConvSize(axis) == wanted) smallest = p;
    }
    EXPECT_EQ(smallest.has_value(), !(axis.stride == 1 && effective % 2 == 0));
    const auto found = FindSamePadding({.input = axis.input,
                                        .kernel = axis.kernel,
                                        .stride = axis.stride,
                                        .dilation = axis.dilation});
    ASSERT_TRUE(found.ok()) << found.status().ToString();
    EXPECT_EQ(found->symmetric, smallest);
  });
}

TEST_F(Laws, ASymmetricSamePaddingSamplesLikeSameOnlyWhenTheTotalIsEven) {
  ForConvAxes(kWide, [](const Axis& axis) {
    Geometry geometry = OneAxis(axis);
    ConvParameters same = geometry.conv();
    same.padding.clear();
    same.auto_pad = AutoPad::kSameUpper;
    const auto problem = MakeProblem({.input = {DataType::kFloat32, geometry.input_shape(), {}},
                                      .weight = {DataType::kFloat32, geometry.weight_shape(), {}},
                                      .bias = std::nullopt,
                                      .parameters = same});
    ASSERT_TRUE(problem.ok()) << problem.status().ToString();
    const Axis& resolved = problem->axes()[0];
    EXPECT_EQ(resolved.output, (axis.input + axis.stride - 1) / axis.stride);
    EXPECT_EQ(resolved.padding_end - resolved.padding_begin,
              (resolved.padding_begin + resolved.padding_end) % 2);
    // Sampling starts at -padding_begin: the symmetric padding that starts there has another output
    // size.
    Axis symmetric = axis;
    symmetric.padding_begin = symmetric.padding_end = resolved.padding_begin;
    EXPECT_EQ(ConvSize(symmetric) == resolved.output,
              (resolved.padding_begin + resolved.padding_end) % 2 == 0);
  });
}

}  // namespace
}  // namespace convserve
