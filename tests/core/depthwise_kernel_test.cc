// 3x3 filters over planes of every width by every instruction set.
#include "core/kernels/depthwise_kernel.h"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>
#include <vector>

#include "core/convolve.h"
#include "gtest/gtest.h"
#include "tests/support/random_spec.h"

namespace convserve {
namespace {

using testing::Random;

constexpr std::int64_t kPlanes = 2;
constexpr float kBefore = 7;  // every element of what outputs are written to

struct Padding {
  std::int64_t before, after;
};

// Planes between elements that are no numbers, and room for outputs between others.
class Planes {
 public:
  static constexpr std::int64_t kAround = 80;

  Planes(std::int64_t in_rows, std::int64_t in_columns, Padding rows, Padding columns)
      : in(Size(in_rows * in_columns), std::numeric_limits<float>::quiet_NaN()) {
    planes.planes = kPlanes;
    planes.in = in.data() + kAround;
    planes.in_rows = in_rows;
    planes.in_columns = in_columns;
    planes.rows = in_rows + rows.before + rows.after - 2;
    planes.columns = in_columns + columns.before + columns.after - 2;
    planes.top = rows.before;
    planes.left = columns.before;
    planes.last_row = planes.rows;
    for (std::int64_t i = 0; i < kPlanes * in_rows * in_columns; ++i) in[At(i)] = Element();
    for (std::int64_t i = 0; i < kPlanes * 9; ++i) weights.push_back(Element());
    for (std::int64_t i = 0; i < kPlanes; ++i) bias.push_back(Element());
    planes.weights = weights.data();
    planes.bias = bias.data();
  }
  Planes(const Planes&) = delete;
  Planes& operator=(const Planes&) = delete;

  void Run() {
    out.assign(Size(planes.rows * planes.columns), kBefore);
    planes.out = out.data() + kAround;
    GetDepthwiseKernel()(planes);
  }

  float Expected(std::int64_t plane, std::int64_t y, std::int64_t x) const {
    float sum = 0;
    for (std::int64_t i = 0; i < 3; ++i) {
      for (std::int64_t j = 0; j < 3; ++j) {
        const std::int64_t row = y - planes.top + i;
        const std::int64_t column = x - planes.left + j;
        if (row < 0 || row >= planes.in_rows || column < 0 || column >= planes.in_columns) continue;
        sum = std::fma(weights[static_cast<std::size_t>(9 * plane + 3 * i + j)],
                       in[At((plane * planes.in_rows + row) * planes.in_columns + column)], sum);
      }
    }
    return sum + bias[static_cast<std::size_t>(plane)];
  }

  static std::size_t At(std::int64_t i) { return static_cast<std::size_t>(kAround + i); }
  static std::size_t Size(std::int64_t plane) { return At(kPlanes * plane + kAround); }

  float Element() { return static_cast<float>(random_.Between(-1000, 1000)) / 997.0F; }

  std::vector<float> in, out, weights, bias;
  DepthwisePlanes planes;

 private:
  Random random_{41};
};

void ExpectRight(Planes& planes, std::string_view set) {
  planes.Run();
  const DepthwisePlanes& p = planes.planes;
  SCOPED_TRACE(::testing::Message()
               << set << ", " << p.in_rows << "x" << p.in_columns << ", padding " << p.top << "x"
               << p.left << ", outputs " << p.rows << "x" << p.columns);
  for (std::size_t i = 0; i < Planes::kAround; ++i) {
    ASSERT_EQ(planes.out[i], kBefore);
    ASSERT_EQ(planes.out[planes.out.size() - 1 - i], kBefore);
  }
  for (std::int64_t i = 0; i < kPlanes * p.rows * p.columns; ++i) {
    const std::int64_t row = i / p.columns;
    ASSERT_EQ(planes.out[Planes::At(i)], planes.Expected(row / p.rows, row % p.rows, i % p.columns))
        << "output " << i;
  }
}

TEST(DepthwiseKernelTest, ComputesPlanesOfAnyWidthAndPadding) {
  for (const std::string_view set : InstructionSets()) {
    ASSERT_TRUE(ForceInstructionSet(set).ok());
    for (std::int64_t columns = 1; columns < 70; ++columns) {
      for (const Padding padding : {Padding{0, 0}, {1, 1}, {2, 2}, {0, 2}, {2, 0}, {1, 0}}) {
        if (columns + padding.before + padding.after < 3) continue;
        Planes planes(7, columns, {1, 1}, padding);
        ASSERT_NO_FATAL_FAILURE(ExpectRight(planes, set));
      }
    }
  }
  ASSERT_TRUE(ForceInstructionSet("").ok());
}

TEST(DepthwiseKernelTest, ComputesPlanesOfAnyHeight) {
  for (const std::string_view set : InstructionSets()) {
    ASSERT_TRUE(ForceInstructionSet(set).ok());
    for (std::int64_t rows = 1; rows < 12; ++rows) {
      for (const std::int64_t columns : {3, 7, 14, 16, 18, 33}) {
        for (const Padding padding : {Padding{1, 1}, {2, 2}, {0, 2}}) {
          Planes planes(rows, columns, padding, {1, 1});
          ASSERT_NO_FATAL_FAILURE(ExpectRight(planes, set));
        }
      }
    }
  }
  ASSERT_TRUE(ForceInstructionSet("").ok());
}

}  // namespace
}  // namespace convserve
