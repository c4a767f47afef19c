#include "core/data_type.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "core/convert.h"
#include "gtest/gtest.h"

namespace convserve {
namespace {

TEST(Float16, EveryValueSurvivesFloatAndDouble) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const Float16 half{static_cast<std::uint16_t>(bits)};
    const float wide = ToFloat(half);
    if (std::isnan(wide)) {
      EXPECT_TRUE(std::isnan(ToFloat(ToFloat16(wide))));
      continue;
    }
    ASSERT_EQ(ToFloat16(wide), half) << bits;
    ASSERT_EQ(ToFloat16(static_cast<double>(wide)), half) << bits;
  }
}

// Between every two neighbours: the midpoint goes to the even one, and anything beside it to the
// nearer one.
TEST(Float16, RoundsToNearestEven) {
  for (std::uint32_t bits = 0; bits < 0x7bff; ++bits) {
    const float low = ToFloat(Float16{static_cast<std::uint16_t>(bits)});
    const float high = ToFloat(Float16{static_cast<std::uint16_t>(bits + 1)});
    const double middle = (static_cast<double>(low) + high) / 2;
    const std::uint32_t even = bits % 2 == 0 ? bits : bits + 1;
    ASSERT_EQ(ToFloat16(middle).bits, even);
    ASSERT_EQ(ToFloat16(static_cast<float>(middle)).bits, even);
    ASSERT_EQ(ToFloat16(std::nextafter(middle, 0.0)).bits, bits);
    ASSERT_EQ(ToFloat16(std::nextafter(middle, 1e9)).bits, bits + 1);
  }
}

TEST(Float16, LargeValuesBecomeInfinity) {
  EXPECT_EQ(ToFloat16(65519.0F).bits, 0x7bff);
  EXPECT_EQ(ToFloat16(65520.0F).bits, 0x7c00);
  EXPECT_EQ(ToFloat16(-1e300).bits, 0xfc00);
  EXPECT_EQ(ToFloat16(std::numeric_limits<float>::infinity()).bits, 0x7c00);
}

TEST(BFloat16, RoundsToNearestEvenOnce) {
  // 1 + 2^-8 lies in the middle of two bfloat16 neighbours; a hair above it, float alone would lose
  // the hair.
  EXPECT_EQ(ToBFloat16(1.0 + 0x1p-8).bits, 0x3f80);
  EXPECT_EQ(ToBFloat16(1.0 + 0x1p-8 + 0x1p-40).bits, 0x3f81);
  EXPECT_EQ(ToBFloat16(1.0F + 0x3p-8F).bits, 0x3f82);
  EXPECT_TRUE(std::isnan(ToFloat(ToBFloat16(std::numeric_limits<float>::quiet_NaN()))));
}

TEST(RoundTo, IntegersRoundHalfToEvenAndSaturate) {
  EXPECT_EQ(RoundTo<std::int8_t>(2.5F), 2);
  EXPECT_EQ(RoundTo<std::int8_t>(3.5F), 4);
  EXPECT_EQ(RoundTo<std::int8_t>(-2.5), -2);
  EXPECT_EQ(RoundTo<std::uint8_t>(-0.6F), 0);
  EXPECT_EQ(RoundTo<std::uint8_t>(1e9F), 255);
  EXPECT_EQ(RoundTo<std::int32_t>(3e9F), 2147483647);
  EXPECT_EQ(RoundTo<std::int32_t>(-3e9), -2147483647 - 1);
  EXPECT_EQ(RoundTo<std::int32_t>(std::int64_t{1} << 40), 2147483647);
  EXPECT_EQ(RoundTo<std::uint8_t>(std::numeric_limits<float>::quiet_NaN()), 0);
}

TEST(Represents, TellsWhatATypeHolds) {
  EXPECT_TRUE(Represents(DataType::kUInt8, 255));
  EXPECT_FALSE(Represents(DataType::kUInt8, 256));
  EXPECT_FALSE(Represents(DataType::kInt8, 0.5));
  EXPECT_TRUE(Represents(DataType::kFloat32, 0.1));
  EXPECT_FALSE(Represents(DataType::kFloat32, 1e39));
  EXPECT_FALSE(Represents(DataType::kFloat16, 65520));
  EXPECT_TRUE(Represents(DataType::kFloat16, std::numeric_limits<double>::infinity()));
}

TEST(DataType, NamesParseBack) {
  for (int number = 1; number <= 7; ++number) {
    const auto type = static_cast<DataType>(number);
    EXPECT_EQ(ParseDataType(Name(type)), type);
    EXPECT_TRUE(IsKnown(type));
  }
  EXPECT_EQ(ParseDataType("float"), std::nullopt);
  EXPECT_EQ(Name(static_cast<DataType>(99)), "unknown");
  EXPECT_EQ(SizeOf(static_cast<DataType>(99)), 0);
}

}  // namespace
}  // namespace convserve
