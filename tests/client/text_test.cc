#include "client/cli/text.h"

#include <string>
#include <string_view>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace convserve::cli {
namespace {

using ::testing::ElementsAre;

TEST(Text, NumbersAreReadWhole) {
  EXPECT_EQ(ParseInteger("-9223372036854775808"), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(ParseInteger("+5"), 5);
  EXPECT_EQ(ParseDouble("1e-3"), 0.001);
  for (const std::string_view text : {"", "5x", " 5", "+-5", "9223372036854775808", "+"}) {
    EXPECT_EQ(ParseInteger(text), std::nullopt) << text;
  }
  EXPECT_EQ(ParseDouble("1e400"), std::nullopt);
  EXPECT_EQ(ParseDouble("-1e400"), std::nullopt);
  EXPECT_EQ(ParseDouble("1e-400x"), std::nullopt);
}

TEST(Text, SplitKeepsEmptyParts) {
  EXPECT_THAT(Split("a,,b,", ','), ElementsAre("a", "", "b", ""));
  EXPECT_THAT(Split("", ','), ElementsAre(""));
}

TEST(Text, QuotedTextIsSafeForATerminalAndBounded) {
  EXPECT_EQ(Quoted("a\x1b\"\\\n"), "\"a\\x1b\\\"\\\\\\x0a\"");
  EXPECT_EQ(Quoted("abcdef", 3), "\"abc\"...");
}

TEST(Text, PrintableTextStaysOnItsLine) {
  EXPECT_EQ(Printable("a\n\x1b[2J\x7f\"\xc3\xa4"), "a\\x0a\\x1b[2J\\x7f\"\xc3\xa4");
}

TEST(Text, NearestForgivesASlipOrTwo) {
  const std::vector<std::string_view> names = {"--stride", "--padding", "--padding-mode", "conv"};
  EXPECT_EQ(Nearest("--strid", names), "--stride");
  EXPECT_EQ(Nearest("--stirde", names), "--stride");
  EXPECT_EQ(Nearest("--paddin-mode", names), "--padding-mode");
  EXPECT_EQ(Nearest("cnov", names), "conv");
  EXPECT_EQ(Nearest("--kernel", names), "");
  EXPECT_EQ(Nearest("x", names), "");
  EXPECT_EQ(Nearest(std::string(100000, 'x'), names), "");
}

}  // namespace
}  // namespace convserve::cli
