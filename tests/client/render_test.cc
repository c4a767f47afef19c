#include "client/cli/render.h"

#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/tensors.h"

namespace convserve::cli {
namespace {

using ::convserve::testing::Filled;
using ::convserve::testing::MakeTensor;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::string Printed(const Tensor& tensor) {
  std::ostringstream out;
  PrintValues(out, tensor.view());
  return out.str();
}

std::string Json(const Tensor& tensor) {
  std::ostringstream out;
  PrintJsonValues(out, tensor.view());
  return out.str();
}

TEST(Render, NumbersAreTheShortestThatReadBack) {
  EXPECT_EQ(FormatNumber(6.0f), "6");
  EXPECT_EQ(FormatNumber(0.1f), "0.1");
  EXPECT_EQ(FormatNumber(0.1), "0.1");
  EXPECT_EQ(FormatNumber(1.0 / 3), "0.3333333333333333");
  EXPECT_EQ(FormatNumber(10000000.0f), "10000000");
  EXPECT_EQ(FormatNumber(-2147483648.0), "-2147483648");
  EXPECT_EQ(FormatNumber(1e300), "1e+300");
  EXPECT_EQ(FormatNumber(-0.0), "-0");
  EXPECT_EQ(FormatNumber(kInfinity), "inf");
  EXPECT_EQ(FormatNumber(-kInfinity), "-inf");
  EXPECT_EQ(FormatNumber(-kNan), "nan");
}

TEST(Render, CountsAreGrouped) {
  EXPECT_EQ(FormatCount(0), "0");
  EXPECT_EQ(FormatCount(999), "999");
  EXPECT_EQ(FormatCount(1000), "1,000");
  EXPECT_EQ(FormatCount(-1234567), "-1,234,567");
  EXPECT_EQ(FormatCount(-123), "-123");
}

TEST(Render, BytesHaveAUnit) {
  EXPECT_EQ(FormatBytes(36), "36 bytes");
  EXPECT_EQ(FormatBytes(1536), "1.5 KiB");
  EXPECT_EQ(FormatBytes(std::int64_t{64} << 30), "64 GiB");
}

TEST(Render, ColumnsAreAlignedAndBlocksSeparated) {
  EXPECT_EQ(Printed(MakeTensor(DataType::kInt32, {2, 2, 2}, {1, 2, 3, -40, 5, 6, 7, 8})),
            "[[[  1,   2],\n"
            "  [  3, -40]],\n"
            "\n"
            " [[  5,   6],\n"
            "  [  7,   8]]]\n");
}

TEST(Render, ScalarsAndEmptyTensorsHaveAForm) {
  EXPECT_EQ(Printed(MakeTensor(DataType::kFloat32, {}, {5})), "5\n");
  EXPECT_EQ(Printed(Tensor(DataType::kFloat32, {0, 1, 2, 2})), "[]\n");
}

TEST(Render, LargeTensorsAreSummarised) {
  EXPECT_EQ(Printed(Filled(DataType::kUInt8, {8, 200}, 3)),
            "[[3, 3, 3, ..., 3, 3, 3],\n"
            " [3, 3, 3, ..., 3, 3, 3],\n"
            " [3, 3, 3, ..., 3, 3, 3],\n"
            " ...,\n"
            " [3, 3, 3, ..., 3, 3, 3],\n"
            " [3, 3, 3, ..., 3, 3, 3],\n"
            " [3, 3, 3, ..., 3, 3, 3]]\n"
            "least 3, mean 3, greatest 3\n");
}

TEST(Render, OneThousandElementsAreStillShownInFull) {
  EXPECT_EQ(Printed(Filled(DataType::kUInt8, {1000}, 3)).find("..."), std::string::npos);
}

TEST(Render, JsonHoldsEveryElement) {
  EXPECT_EQ(Json(MakeTensor(DataType::kFloat32, {1, 2, 2}, {1, 0.5, -3, 1e30})),
            "[[[1, 0.5], [-3, 1e+30]]]");
  const auto parsed = nlohmann::json::parse(Json(Filled(DataType::kFloat64, {3, 700}, 0.25)));
  EXPECT_EQ(parsed.size(), 3u);
  EXPECT_EQ(parsed[2].size(), 700u);
  EXPECT_EQ(parsed[2][699], 0.25);
}

TEST(Render, JsonSpellsWhatItHasNoNumberFor) {
  EXPECT_EQ(Json(MakeTensor(DataType::kFloat32, {3}, {kNan, kInfinity, -kInfinity})),
            "[\"NaN\", \"Infinity\", \"-Infinity\"]");
}

TEST(Render, JsonStringsAreEscaped) {
  EXPECT_EQ(JsonString("a\"\n"), "\"a\\\"\\n\"");
  EXPECT_TRUE(nlohmann::json::accept(JsonString("\xff")));
}

TEST(Render, IntegersAboveFloatPrecisionKeepTheirDigits) {
  EXPECT_EQ(Json(MakeTensor(DataType::kInt32, {1}, {2147483647})), "[2147483647]");
}

}  // namespace
}  // namespace convserve::cli
