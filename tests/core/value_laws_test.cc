// Laws that relate the values of convolutions to one another. Small integers make float32 exact, so
// all of them hold bit by bit.
#include <random>
#include <vector>

#include "core/convolve.h"
#include "gtest/gtest.h"
#include "tests/support/geometry.h"
#include "tests/support/tensors.h"

namespace convserve {
namespace {

using ::convserve::testing::Geometry;
using ::convserve::testing::MakeTensor;
using ::convserve::testing::RandomGeometry;
using ::convserve::testing::RandomIntegers;
using ::convserve::testing::Reversed;
using ::convserve::testing::SameBits;
using ::convserve::testing::Slice;
using ::convserve::testing::ToDoubles;

constexpr DataType kType = DataType::kFloat32;

Tensor MustConv(const Tensor& input, const Tensor& weight, const ConvParameters& parameters) {
  auto output = Conv({input.view(), weight.view(), std::nullopt}, parameters);
  if (!output.ok()) {
    ADD_FAILURE() << output.status().ToString();
    return {};
  }
  return *std::move(output);
}

Tensor MustTranspose(const Tensor& input, const Tensor& weight,
                     const ConvTransposeParameters& parameters) {
  auto output = ConvTranspose({input.view(), weight.view(), std::nullopt}, parameters);
  if (!output.ok()) {
    ADD_FAILURE() << output.status().ToString();
    return {};
  }
  return *std::move(output);
}

double Dot(const Tensor& left, const Tensor& right) {
  const std::vector<double> a = ToDoubles(left), b = ToDoubles(right);
  EXPECT_EQ(a.size(), b.size());
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

// factor * left + right.
Tensor Combine(double factor, const Tensor& left, const Tensor& right) {
  std::vector<double> values = ToDoubles(right);
  const std::vector<double> scaled = ToDoubles(left);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] += factor * scaled[i];
  return MakeTensor(right.data_type(), right.shape(), values);
}

struct Sample {
  const Geometry& geometry;
  const Tensor& x;  // the Conv's input
  const Tensor& y;  // of the Conv's output shape: the ConvTranspose's input
  const Tensor& w;
};

class ValueLaws : public ::testing::TestWithParam<std::size_t> {
 protected:
  // Calls `law` with random operands of random geometries of as many axes as the parameter says.
  template <typename Law>
  void ForSamples(int count, Law&& law) {
    for (int i = 0; i < count && !HasFailure(); ++i) {
      const Geometry geometry =
          RandomGeometry(random_, GetParam(), {.input = GetParam() == 3 ? 6 : 9});
      SCOPED_TRACE(geometry.ToString());
      const Tensor x = RandomIntegers(random_, kType, geometry.input_shape());
      const Tensor y = RandomIntegers(random_, kType, geometry.output_shape());
      const Tensor w = RandomIntegers(random_, kType, geometry.weight_shape());
      law(Sample{geometry, x, y, w});
    }
  }

  std::mt19937 random_{1 + static_cast<unsigned>(GetParam())};
};

TEST_P(ValueLaws, ConvTransposeIsTheAdjointOfConv) {
  ForSamples(1500, [](const Sample& sample) {
    const Geometry& geometry = sample.geometry;
    const Tensor forward = MustConv(sample.x, sample.w, geometry.conv());
    const Tensor backward = MustTranspose(sample.y, sample.w, geometry.adjoint());
    ASSERT_EQ(forward.shape(), sample.y.shape());
    ASSERT_EQ(backward.shape(), sample.x.shape());
    EXPECT_EQ(Dot(forward, sample.y), Dot(sample.x, backward));
  });
}

TEST_P(ValueLaws, BothAreLinearInInputAndWeight) {
  ForSamples(500, [this](const Sample& sample) {
    const auto& [geometry, x, y, w] = sample;
    const Tensor x2 = RandomIntegers(random_, kType, x.shape());
    const Tensor y2 = RandomIntegers(random_, kType, y.shape());
    const Tensor w2 = RandomIntegers(random_, kType, w.shape());
    const auto conv = geometry.conv();
    const auto adjoint = geometry.adjoint();
    EXPECT_EQ(ToDoubles(MustConv(Combine(3, x, x2), w, conv)),
              ToDoubles(Combine(3, MustConv(x, w, conv), MustConv(x2, w, conv))));
    EXPECT_EQ(ToDoubles(MustConv(x, Combine(-2, w, w2), conv)),
              ToDoubles(Combine(-2, MustConv(x, w, conv), MustConv(x, w2, conv))));
    EXPECT_EQ(ToDoubles(MustTranspose(Combine(3, y, y2), w, adjoint)),
              ToDoubles(Combine(3, MustTranspose(y, w, adjoint), MustTranspose(y2, w, adjoint))));
    EXPECT_EQ(ToDoubles(MustTranspose(y, Combine(-2, w, w2), adjoint)),
              ToDoubles(Combine(-2, MustTranspose(y, w, adjoint), MustTranspose(y, w2, adjoint))));
  });
}

TEST_P(ValueLaws, MovingTheInputByAStrideMovesTheOutputByOne) {
  ForSamples(500, [](const Sample& sample) {
    const Geometry& geometry = sample.geometry;
    const Axis& axis = geometry.axes[0];
    // Without padding, dropping the first `stride` inputs drops the first output.
    ConvParameters conv = geometry.conv();
    conv.padding.clear();
    for (const Axis& any : geometry.axes) {
      if (any.input < any.effective_kernel()) return;
    }
    if (axis.input - axis.stride >= axis.effective_kernel()) {
      const Tensor whole = MustConv(sample.x, sample.w, conv);
      const Tensor moved = MustConv(Slice(sample.x, 2, {axis.stride, axis.input}), sample.w, conv);
      EXPECT_TRUE(SameBits(moved, Slice(whole, 2, {1, whole.shape()[2]})));
    }
  });
}

TEST_P(ValueLaws, MovingTheInputByOneMovesTheTransposedOutputByAStride) {
  ForSamples(500, [](const Sample& sample) {
    const Axis& axis = sample.geometry.axes[0];
    if (axis.output < 2) return;
    ConvTransposeParameters adjoint = sample.geometry.adjoint();
    adjoint.padding.clear();
    adjoint.output_padding.clear();
    // What the first input row alone adds reaches no further than its kernel.
    const Tensor whole = MustTranspose(sample.y, sample.w, adjoint);
    const Tensor moved = MustTranspose(Slice(sample.y, 2, {1, axis.output}), sample.w, adjoint);
    const std::int64_t size = whole.shape()[2];
    const std::int64_t beyond = std::max(axis.effective_kernel(), axis.stride);
    if (beyond >= size) return;
    EXPECT_TRUE(SameBits(Slice(whole, 2, {beyond, size}),
                         Slice(moved, 2, {beyond - axis.stride, size - axis.stride})));
  });
}

TEST_P(ValueLaws, GroupsAndImagesAreComputedIndependently) {
  ForSamples(400, [](const Sample& sample) {
    const Geometry& geometry = sample.geometry;
    const Tensor forward = MustConv(sample.x, sample.w, geometry.conv());
    const Tensor backward = MustTranspose(sample.y, sample.w, geometry.adjoint());
    ConvParameters conv = geometry.conv();
    ConvTransposeParameters adjoint = geometry.adjoint();
    conv.groups = adjoint.groups = 1;
    const std::int64_t in = geometry.input_channels / geometry.groups;
    const std::int64_t out = geometry.output_channels / geometry.groups;
    for (std::int64_t g = 0; g < geometry.groups; ++g) {
      const std::pair ins(g * in, (g + 1) * in), outs(g * out, (g + 1) * out);
      const Tensor w = Slice(sample.w, 0, outs);
      EXPECT_TRUE(SameBits(MustConv(Slice(sample.x, 1, ins), w, conv), Slice(forward, 1, outs)));
      EXPECT_TRUE(
          SameBits(MustTranspose(Slice(sample.y, 1, outs), w, adjoint), Slice(backward, 1, ins)));
    }
    for (std::int64_t i = 0; i < geometry.batch; ++i) {
      const std::pair image(i, i + 1);
      EXPECT_TRUE(SameBits(MustConv(Slice(sample.x, 0, image), sample.w, geometry.conv()),
                           Slice(forward, 0, image)));
      EXPECT_TRUE(SameBits(MustTranspose(Slice(sample.y, 0, image), sample.w, geometry.adjoint()),
                           Slice(backward, 0, image)));
    }
  });
}

TEST_P(ValueLaws, FlippingEqualsReversingTheKernel) {
  ForSamples(300, [](const Sample& sample) {
    const Geometry& geometry = sample.geometry;
    ConvParameters conv = geometry.conv();
    ConvTransposeParameters adjoint = geometry.adjoint();
    conv.flip_kernel = adjoint.flip_kernel = true;
    const Tensor reversed = Reversed(sample.w, 2);
    EXPECT_TRUE(SameBits(MustConv(sample.x, sample.w, conv),
                         MustConv(sample.x, reversed, geometry.conv())));
    EXPECT_TRUE(SameBits(MustTranspose(sample.y, sample.w, adjoint),
                         MustTranspose(sample.y, reversed, geometry.adjoint())));
  });
}

// Zero-stuff to (n-1)s+1, pad by ek-1-pl and ek-1-pr+op (a negative padding crops), stride 1, the
// kernel rotated and its channels swapped.
TEST_P(ValueLaws, ConvTransposeEqualsAConvOfTheStuffedInput) {
  ForSamples(300, [](const Sample& sample) {
    Geometry geometry = sample.geometry;
    if (geometry.groups != 1) return;
    // Zero-stuffing is the transposed convolution with a single tap of 1 a channel.
    ConvTransposeParameters stuffing;
    for (const Axis& axis : geometry.axes) stuffing.stride.push_back(axis.stride);
    stuffing.groups = geometry.output_channels;
    const std::int64_t m = geometry.output_channels, c = geometry.input_channels;
    Shape tap_shape(geometry.axes.size() + 2, 1);
    tap_shape[0] = m;
    Tensor stuffed = MustTranspose(sample.y, testing::Filled(kType, tap_shape, 1), stuffing);

    ConvParameters direct;
    AxisList ends;
    for (std::size_t i = 0; i < geometry.axes.size(); ++i) {
      const Axis& axis = geometry.axes[i];
      direct.dilation.push_back(axis.dilation);
      const std::int64_t begin = axis.effective_kernel() - 1 - axis.padding_begin;
      const std::int64_t end = axis.effective_kernel() - 1 - axis.padding_end + axis.output_padding;
      const std::int64_t size = stuffed.shape()[2 + i];
      const std::int64_t cut_begin = std::max<std::int64_t>(0, -begin);
      const std::int64_t cut_end = std::max<std::int64_t>(0, -end);
      if (cut_begin + cut_end >= size) return;
      stuffed = Slice(stuffed, 2 + i, {cut_begin, size - cut_end});
      direct.padding.push_back(std::max<std::int64_t>(0, begin));
      ends.push_back(std::max<std::int64_t>(0, end));
    }
    direct.padding.insert(direct.padding.end(), ends.begin(), ends.end());

    // [M, C, k...] -> [C, M, k...], one pair of channels at a time.
    const Tensor rotated = Reversed(sample.w, 2);
    Shape swapped_shape = rotated.shape();
    std::swap(swapped_shape[0], swapped_shape[1]);
    const std::vector<double> values = ToDoubles(rotated);
    std::vector<double> swapped(values.size());
    const auto taps = static_cast<std::int64_t>(values.size()) / (m * c);
    for (std::int64_t i = 0; i < m * c; ++i) {
      const std::int64_t to = (i % c) * m + i / c;
      std::copy_n(values.begin() + i * taps, taps, swapped.begin() + to * taps);
    }
    EXPECT_TRUE(SameBits(MustConv(stuffed, MakeTensor(kType, swapped_shape, swapped), direct),
                         MustTranspose(sample.y, sample.w, geometry.adjoint())));
  });
}

TEST_P(ValueLaws, PaddingCropsTheTransposedResultAndOutputPaddingRevealsIt) {
  ForSamples(300, [](const Sample& sample) {
    const Geometry& geometry = sample.geometry;
    ConvTransposeParameters adjoint = geometry.adjoint();
    const Tensor cropped = MustTranspose(sample.y, sample.w, adjoint);
    adjoint.padding.clear();
    Tensor expected = MustTranspose(sample.y, sample.w, adjoint);
    for (std::size_t i = 0; i < geometry.axes.size(); ++i) {
      const Axis& axis = geometry.axes[i];
      expected =
          Slice(expected, 2 + i, {axis.padding_begin, expected.shape()[2 + i] - axis.padding_end});
    }
    EXPECT_TRUE(SameBits(cropped, expected));
  });
}

INSTANTIATE_TEST_SUITE_P(Axes, ValueLaws, ::testing::Values(1, 2, 3));

}  // namespace
}  // namespace convserve
