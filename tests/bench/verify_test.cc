#include "tests/bench/verify.h"

#include <limits>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/bench/ours.h"
#include "tests/bench/small_layers.h"

namespace convserve::bench {
namespace {

using ::testing::Gt;
using ::testing::Le;

class Verify : public ::testing::Test {
 protected:
  Verify() : workload_(*MakeWorkload(SmallLayers().front())) {
    const auto ours = PrepareOurs(workload_, "reference");
    (*ours)->Run();
    const std::span<const float> output = (*ours)->Output();
    output_.assign(output.begin(), output.end());
  }

  Workload workload_;
  std::vector<float> output_;
};

TEST_F(Verify, FindsNoErrorInTheReference) {
  EXPECT_THAT(ExactSample(workload_).LargestError(output_), Le(kErrorBound));
}

TEST_F(Verify, FindsOneWrongElement) {
  const ExactSample exact(workload_);
  for (const std::size_t i : {std::size_t{0}, output_.size() / 2, output_.size() - 1}) {
    std::vector<float> wrong = output_;
    wrong[i] += 0.001F;
    EXPECT_THAT(exact.LargestError(wrong), Gt(kErrorBound)) << i;
  }
}

TEST_F(Verify, TakesNaNForAnInfiniteError) {
  std::vector<float> wrong = output_;
  wrong[1] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(ExactSample(workload_).LargestError(wrong), std::numeric_limits<double>::infinity());
  EXPECT_EQ(LargestDifference(output_, wrong, output_), std::numeric_limits<double>::infinity());
}

TEST_F(Verify, MeasuresDifferencesInUnitsOfTheBound) {
  const std::vector<float> left = {1, 2, 3};
  const std::vector<float> right = {1, 2.5, 3};
  const std::vector<float> magnitude = {1, 2, 4};
  EXPECT_EQ(LargestDifference(left, left, magnitude), 0);
  EXPECT_EQ(LargestDifference(left, right, magnitude), 0.25 * 0x1p24);
}

}  // namespace
}  // namespace convserve::bench
