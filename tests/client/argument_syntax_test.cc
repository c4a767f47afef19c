#include "client/cli/argument_syntax.h"

#include <string>
#include <string_view>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace convserve::cli {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

template <typename T>
std::string Message(const absl::StatusOr<T>& result) {
  EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(result.status().message());
}

TEST(ArgumentSyntax, ListsHoldOneNumberOrMore) {
  EXPECT_THAT(*ParseAxisList("2"), ElementsAre(2));
  EXPECT_THAT(*ParseAxisList("2,-1, 4611686018427387904"), ElementsAre(2, -1, 4611686018427387904));
}

TEST(ArgumentSyntax, ListsHoldNothingElse) {
  for (const std::string_view text :
       {"", "x", "1,", ",1", "1;2", "1.5", "0x2", "9223372036854775808", "1 2"}) {
    EXPECT_THAT(Message(ParseAxisList(text)), HasSubstr("expected whole numbers below 2^63"))
        << text;
  }
}

TEST(ArgumentSyntax, ShapesMayHaveBrackets) {
  EXPECT_THAT(*ParseShape("1,3,8,8"), ElementsAre(1, 3, 8, 8));
  EXPECT_THAT(*ParseShape("[1, 3, 8, 8]"), ElementsAre(1, 3, 8, 8));
  EXPECT_FALSE(ParseShape("[1,3").ok());
  EXPECT_FALSE(ParseShape("[]").ok());
}

TEST(ArgumentSyntax, PaddingIsAListOrAName) {
  EXPECT_THAT(ParsePadding("0,1,2,3")->list, ElementsAre(0, 1, 2, 3));
  EXPECT_EQ(ParsePadding("1")->auto_pad, AutoPad::kUnspecified);
  EXPECT_EQ(ParsePadding("valid")->auto_pad, AutoPad::kValid);
  EXPECT_EQ(ParsePadding("same")->auto_pad, AutoPad::kSameUpper);
  EXPECT_EQ(ParsePadding("same-upper")->auto_pad, AutoPad::kSameUpper);
  EXPECT_EQ(ParsePadding("same-lower")->auto_pad, AutoPad::kSameLower);
  EXPECT_THAT(ParsePadding("same")->list, IsEmpty());
  EXPECT_EQ(Message(ParsePadding("smae")),
            "expected one of valid, same, same-upper, same-lower, got \"smae\" (did you mean "
            "same?)");
}

TEST(ArgumentSyntax, NamesAreThoseOfTheContract) {
  EXPECT_EQ(*ParsePaddingMode("reflect"), PaddingMode::kReflect);
  EXPECT_EQ(*ParseTensorLayout("channels-last"), TensorLayout::kChannelsLast);
  EXPECT_EQ(*ParseWeightLayout("channels-first"), WeightLayout::kChannelsFirst);
  EXPECT_EQ(*ParseType("bfloat16"), DataType::kBFloat16);
  EXPECT_THAT(Message(ParsePaddingMode("mirror")),
              HasSubstr("expected one of zeros, reflect, replicate, circular, got \"mirror\""));
  EXPECT_THAT(Message(ParseType("int64")), HasSubstr("(did you mean int8?)"));
}

TEST(ArgumentSyntax, TimesHaveAUnitOrAreSeconds) {
  EXPECT_EQ(*ParseTimeout("2"), milliseconds(2000));
  EXPECT_EQ(*ParseTimeout("1.5s"), milliseconds(1500));
  EXPECT_EQ(*ParseTimeout("500ms"), milliseconds(500));
  EXPECT_EQ(*ParseTimeout("2m"), milliseconds(120000));
  for (const std::string_view text :
       {"", "0", "0.4ms", "-1", "s", "1h", "nan", "inf", "1e9", "1e20", "1 s x"}) {
    EXPECT_THAT(Message(ParseTimeout(text)),
                HasSubstr("expected a time from 1ms to 366 days such as"))
        << text;
  }
}

}  // namespace
}  // namespace convserve::cli
