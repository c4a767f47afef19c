#include "client/cli/filters.h"

#include <cmath>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace convserve::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Filter Make(std::string_view text) {
  absl::StatusOr<Filter> filter = ParseFilter(text);
  EXPECT_TRUE(filter.ok()) << filter.status();
  return filter.ok() ? *std::move(filter) : Filter{};
}

double Sum(const Filter& filter) {
  return std::accumulate(filter.values.begin(), filter.values.end(), 0.0);
}

TEST(Filters, BoxIsTheMean) {
  const Filter box = Make("box:4");
  EXPECT_EQ(box.size, 4);
  EXPECT_EQ(box.values, std::vector<double>(16, 1.0 / 16));
}

TEST(Filters, DifferencesAndSharpeningHaveTheirUsualValues) {
  EXPECT_THAT(Make("sobel-x").values, ElementsAre(-1, 0, 1, -2, 0, 2, -1, 0, 1));
  EXPECT_THAT(Make("sobel-y").values, ElementsAre(-1, -2, -1, 0, 0, 0, 1, 2, 1));
  EXPECT_THAT(Make("laplacian").values, ElementsAre(0, 1, 0, 1, -4, 1, 0, 1, 0));
  EXPECT_THAT(Make("sharpen").values, ElementsAre(0, -1, 0, -1, 5, -1, 0, -1, 0));
}

TEST(Filters, UnsharpIsTwiceThePictureLessItsBlur) {
  const Filter unsharp = Make("unsharp");
  EXPECT_EQ(unsharp.size, 5);
  EXPECT_EQ(unsharp.values[0], -1.0 / 256);
  EXPECT_EQ(unsharp.values[12], 476.0 / 256);
  EXPECT_EQ(Sum(unsharp), 1);
}

TEST(Filters, GaussianIsSymmetricFallsOffAndSumsToOne) {
  for (const std::string_view text : {"gaussian:1", "gaussian:5", "gaussian:4", "gaussian:9:2.0",
                                      "gaussian:4:1e-300", "gaussian:3:1e300"}) {
    const Filter gaussian = Make(text);
    EXPECT_NEAR(Sum(gaussian), 1, 1e-12) << text;
    const std::vector<double> reversed(gaussian.values.rbegin(), gaussian.values.rend());
    EXPECT_EQ(gaussian.values, reversed) << text;
  }
}

TEST(Filters, GaussianFollowsItsFormula) {
  const Filter gaussian = Make("gaussian:3:2");
  EXPECT_DOUBLE_EQ(gaussian.values[0] / gaussian.values[4], std::exp(-2.0 / (2 * 2 * 2)));
  // K = 5: 0.3 * (2 - 1) + 0.8.
  EXPECT_EQ(Make("gaussian:5").values, Make("gaussian:5:1.1").values);
}

TEST(Filters, BilinearInterpolatesAndRestoresTheSize) {
  const Filter two = Make("bilinear:2");
  EXPECT_EQ(two.size, 4);
  EXPECT_EQ(two.upsampling, 2);
  EXPECT_EQ(two.padding, 1);
  EXPECT_THAT(std::vector<double>(two.values.begin(), two.values.begin() + 4),
              ElementsAre(0.0625, 0.1875, 0.1875, 0.0625));
  for (std::int64_t factor = 1; factor <= 9; ++factor) {
    const Filter filter = Make("bilinear:" + std::to_string(factor));
    for (const std::int64_t n : {1, 2, 7}) {
      EXPECT_EQ((n - 1) * factor - 2 * filter.padding + filter.size, n * factor);
    }
    EXPECT_NEAR(Sum(filter), static_cast<double>(factor * factor), 1e-12);
  }
}

TEST(Filters, MistakesAreAnsweredWithTheForm) {
  const auto refusal = [](std::string_view text) {
    return std::string(ParseFilter(text).status().message());
  };
  EXPECT_EQ(refusal("box"), "expected the form box:K, got box");
  EXPECT_EQ(refusal("box:5:1"), "expected the form box:K, got box:5:1");
  EXPECT_EQ(refusal("sobel-x:3"), "expected the form sobel-x, got sobel-x:3");
  EXPECT_EQ(refusal("box:0"), "expected box:K with a number from 1 to 1023, got box:0");
  for (const std::string_view text :
       {"box:-1", "box:1024", "box:x", "box:", "box:1.5", "box:99999999999999999999"}) {
    EXPECT_THAT(refusal(text), HasSubstr("with a number from 1 to 1023")) << text;
  }
  for (const std::string_view text :
       {"gaussian:5:0", "gaussian:5:-1", "gaussian:5:nan", "gaussian:5:inf", "gaussian:5:"}) {
    EXPECT_THAT(refusal(text), HasSubstr("with a SIGMA above 0")) << text;
  }
  EXPECT_THAT(refusal("blur"), HasSubstr("\"blur\" is no filter: expected one of box:K"));
}

TEST(Filters, AreKnownByTheirFirstPart) {
  EXPECT_TRUE(IsFilter("gaussian:5:2"));
  EXPECT_TRUE(IsFilter("box"));
  EXPECT_FALSE(IsFilter("boxes:5"));
  EXPECT_FALSE(IsFilter("box.npy"));
}

}  // namespace
}  // namespace convserve::cli
