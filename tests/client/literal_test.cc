#include "client/cli/literal.h"

#include <cmath>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/tensors.h"

namespace convserve::cli {
namespace {

using ::convserve::testing::ToDoubles;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Row {
  std::string name;
  std::string text;
  Shape shape;
  std::vector<double> values;
};

std::ostream& operator<<(std::ostream& out, const Row& row) { return out << row.name; }

class LiteralForm : public ::testing::TestWithParam<Row> {};

TEST_P(LiteralForm, GivesShapeAndValues) {
  EXPECT_TRUE(LooksLikeLiteral(GetParam().text));
  const absl::StatusOr<Literal> literal = ParseLiteral(GetParam().text);
  ASSERT_TRUE(literal.ok()) << literal.status();
  EXPECT_EQ(literal->shape, GetParam().shape);
  EXPECT_EQ(literal->values, GetParam().values);
}

INSTANTIATE_TEST_SUITE_P(
    Texts, LiteralForm,
    ::testing::Values(
        Row{"Matrix", "[[1,2],[3,4]]", {2, 2}, {1, 2, 3, 4}},
        Row{"Vector", "[1,2,3]", {3}, {1, 2, 3}}, Row{"Number", "5", {}, {5}},
        Row{"NumberWithSigns", "[-1, +2, -0.5, 1e3, .5, 2.]", {6}, {-1, 2, -0.5, 1000, 0.5, 2}},
        Row{"SpaceAndLines", " [ [ 1 ,\n2 ] ,\t[3,4] ] ", {2, 2}, {1, 2, 3, 4}},
        Row{"FourDimensions", "[[[[1],[2]]]]", {1, 1, 2, 1}, {1, 2}}, Row{"Empty", "[]", {0}, {}},
        Row{"EmptyRows", "[[],[]]", {2, 0}, {}}, Row{"EmptyBlocks", "[[[],[]]]", {1, 2, 0}, {}}),
    [](const auto& test) { return test.param.name; });

TEST(Literal, WhatIsTooSmallForADoubleIsZero) {
  const absl::StatusOr<Literal> literal = ParseLiteral("[1e-400, -1e-400, +1e-400, 5e-324]");
  ASSERT_TRUE(literal.ok()) << literal.status();
  EXPECT_THAT(literal->values, ElementsAre(0, -0.0, 0, std::numeric_limits<double>::denorm_min()));
  EXPECT_TRUE(std::signbit(literal->values[1]));
  EXPECT_TRUE(LooksLikeLiteral("1e-400"));
}

TEST(Literal, InfinityAndNanAreNumbers) {
  const absl::StatusOr<Literal> literal = ParseLiteral("[inf, -inf, nan]");
  ASSERT_TRUE(literal.ok()) << literal.status();
  EXPECT_EQ(literal->values[0], std::numeric_limits<double>::infinity());
  EXPECT_EQ(literal->values[1], -std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isnan(literal->values[2]));
}

struct Mistake {
  std::string name;
  std::string text;
  std::string message;
};

std::ostream& operator<<(std::ostream& out, const Mistake& row) { return out << row.name; }

class LiteralMistake : public ::testing::TestWithParam<Mistake> {};

TEST_P(LiteralMistake, IsAnsweredWithItsPlace) {
  const absl::StatusOr<Literal> literal = ParseLiteral(GetParam().text);
  EXPECT_EQ(literal.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(std::string(literal.status().message()), GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    Texts, LiteralMistake,
    ::testing::Values(
        Mistake{"RowTooLong", "[[1,2],[3,4,5]]",
                "[1]: expected 2 elements like the lists before it, got 3"},
        Mistake{"RowTooShort", "[[[1,2],[3,4]],[[5,6],[7]]]",
                "[1][1]: expected 2 elements like the lists before it, got 1"},
        Mistake{"EmptyRowAmongOthers", "[[1],[]]",
                "[1]: expected 1 elements like the lists before it, got 0"},
        Mistake{"NumberAmongLists", "[[1,2],3]",
                "[1]: expected a list like its neighbours, got a number"},
        Mistake{"ListAmongNumbers", "[1,[2]]",
                "[1]: expected a number like its neighbours, got a list"},
        Mistake{"ListBesideAnEmptyOne", "[[],[[]]]",
                "[1][0]: expected a number like its neighbours, got a list"},
        Mistake{"Unfinished", "[[1,2", "character 6: expected ',' or ']', got the end"},
        Mistake{"OnlyABracket", "[", "character 2: expected a number or '[', got the end"},
        Mistake{"TwoNumbers", "[1 2]", "character 4: expected ',' or ']', got \"2]\""},
        Mistake{"CommaAtTheEnd", "[1,]", "character 4: expected a number or '[', got \"]\""},
        Mistake{"TextBehind", "[1] 2", "character 5: expected nothing behind it, got \"2\""},
        Mistake{"Word", "[one]", "character 2: expected a number, got \"one]\""},
        Mistake{"TwoSigns", "[+-1]", "character 2: expected a number, got \"+-1]\""},
        Mistake{"Hexadecimal", "[0x10]", "character 2: expected a number, got \"0x10]\""},
        Mistake{"TooLarge", "[1e999]", "character 2: expected a number, got \"1e999]\""},
        Mistake{"ControlCharacter", "[\x1b]",
                "character 2: expected a number or '[', got \"\\x1b]\""},
        Mistake{"TooDeep", "[[[[[[[[[1]]]]]]]]]",
                "[0][0][0][0][0][0][0][0]: lists go deeper than 8 levels"}),
    [](const auto& test) { return test.param.name; });

TEST(Literal, DepthIsBoundedWhateverTheLength) {
  EXPECT_FALSE(ParseLiteral(std::string(1000000, '[')).ok());
}

TEST(Literal, TellsItselfFromFileNamesAndFilters) {
  for (const std::string_view text : {"x.npy", "box:5", "", "-", "5.npy", "1,2"}) {
    EXPECT_FALSE(LooksLikeLiteral(text)) << text;
  }
}

TEST(Literal, BecomesATensorOfEveryType) {
  const absl::StatusOr<Literal> literal = ParseLiteral("[[1,2],[3,100]]");
  ASSERT_TRUE(literal.ok());
  for (int type = 1; type <= 7; ++type) {
    const absl::StatusOr<Tensor> tensor = ToTensor(*literal, static_cast<DataType>(type));
    ASSERT_TRUE(tensor.ok()) << tensor.status();
    EXPECT_EQ(tensor->data_type(), static_cast<DataType>(type));
    EXPECT_EQ(tensor->shape(), Shape({2, 2}));
    EXPECT_THAT(ToDoubles(*tensor), ElementsAre(1, 2, 3, 100));
  }
}

TEST(Literal, ValuesThatTheTypeCannotHoldAreRefused) {
  const auto refusal = [](std::string_view text, DataType type) {
    return std::string(ToTensor(*ParseLiteral(text), type).status().message());
  };
  EXPECT_EQ(refusal("[1, 0.5]", DataType::kInt8), "element 1: expected a value of int8, got 0.5");
  EXPECT_EQ(refusal("[256]", DataType::kUInt8), "element 0: expected a value of uint8, got 256");
  EXPECT_THAT(refusal("[nan]", DataType::kInt32), HasSubstr("got nan"));
  EXPECT_THAT(refusal("[1e39]", DataType::kFloat32), HasSubstr("expected a value of float32"));
}

}  // namespace
}  // namespace convserve::cli
