// Every record of tests/data/seed_cases.json: the numeric examples of the forum threads that this
// project answers. Where a thread is wrong, the test shows what is true.
#include <algorithm>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "core/convolve.h"
#include "core/problem.h"
#include "core/solve.h"
#include "core/violation.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/support/tensors.h"

namespace convserve {
namespace {

using Json = nlohmann::json;
using ::convserve::testing::MakeTensor;
using ::convserve::testing::ToDoubles;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;

const Json& Records() {
  static const Json* const kRecords = [] {
    std::ifstream in(std::string(CONVSERVE_TEST_DATA) + "/seed_cases.json");
    return new Json(Json::parse(in).at("cases"));
  }();
  return *kRecords;
}

std::vector<Json> RecordsOf(const std::string& kind) {
  std::vector<Json> records;
  for (const Json& record : Records()) {
    if (record.at("kind") == kind) records.push_back(record);
  }
  return records;
}

Json Record(const std::string& id) {
  for (const Json& record : Records()) {
    if (record.at("id") == id) return record;
  }
  ADD_FAILURE() << "no record " << id;
  return {};
}

template <typename List>
List ToList(const Json& json) {
  List list;
  for (const Json& entry : json) list.push_back(entry.get<std::int64_t>());
  return list;
}

void Flatten(const Json& nested, std::vector<double>& values) {
  if (!nested.is_array()) {
    values.push_back(nested.get<double>());
    return;
  }
  for (const Json& inner : nested) Flatten(inner, values);
}

Tensor ToTensor(const Json& nested) {
  Shape shape;
  for (const Json* level = &nested; level->is_array(); level = &level->front()) {
    shape.push_back(static_cast<std::int64_t>(level->size()));
  }
  std::vector<double> values;
  Flatten(nested, values);
  return MakeTensor(DataType::kFloat32, shape, values);
}

// The parameters of a record. Its paddings are [top, left, bottom, right]: beginnings, then ends,
// as ours.
std::variant<ConvParameters, ConvTransposeParameters> ParametersOf(const Json& record) {
  const auto fill = [&](auto parameters) {
    parameters.stride = ToList<AxisList>(record.at("stride"));
    if (record.contains("pads_tlbr")) {
      parameters.padding = ToList<AxisList>(record.at("pads_tlbr"));
      parameters.dilation = ToList<AxisList>(record.at("dilation"));
    }
    return parameters;
  };
  if (record.at("op") == "conv") return fill(ConvParameters{});
  auto parameters = fill(ConvTransposeParameters{});
  parameters.output_padding = ToList<AxisList>(record.at("output_padding"));
  return parameters;
}

absl::StatusOr<Problem> ProblemOf(
    Shape input, Shape weight, std::variant<ConvParameters, ConvTransposeParameters> parameters) {
  return MakeProblem({.input = {DataType::kFloat32, std::move(input), std::nullopt},
                      .weight = {DataType::kFloat32, std::move(weight), std::nullopt},
                      .bias = std::nullopt,
                      .parameters = std::move(parameters)});
}

absl::StatusOr<Problem> ProblemOf(const Json& record) {
  return ProblemOf(ToList<Shape>(record.at("input_shape")),
                   ToList<Shape>(record.at("weight_shape")), ParametersOf(record));
}

absl::StatusOr<Tensor> Compute(const Json& record) {
  const Tensor input = ToTensor(record.at("input"));
  const Tensor weight = ToTensor(record.at("weight"));
  const Operands operands = {input.view(), weight.view(), std::nullopt};
  const auto parameters = ParametersOf(record);
  if (const auto* conv = std::get_if<ConvParameters>(&parameters)) return Conv(operands, *conv);
  return ConvTranspose(operands, std::get<ConvTransposeParameters>(parameters));
}

// The forum's get_output_size(w, k, p, s) as this project answers it: by resolving the problem. 0
// when refused.
std::int64_t OutputSize(std::int64_t w, std::int64_t k, std::int64_t p, std::int64_t s) {
  const auto problem =
      ProblemOf({1, 1, w}, {1, 1, k}, ConvParameters{.stride = {s}, .padding = {p}});
  return problem.ok() ? problem->output_shape()[2] : 0;
}

// The forum's get_lowest_padding(w, k, s): the smallest symmetric padding that gives ceil(w / s)
// outputs; -1 when there is none.
std::int64_t LowestPadding(std::int64_t w, std::int64_t k, std::int64_t s) {
  const auto same = FindSamePadding({.input = w, .kernel = k, .stride = s});
  EXPECT_TRUE(same.ok()) << same.status().ToString();
  return same.ok() ? same->symmetric.value_or(-1) : -1;
}

std::vector<double> Row(const Json& list) { return list.get<std::vector<double>>(); }

TEST(SeedCases, AreAllHere) {
  std::map<std::string, int> kinds;
  for (const Json& record : Records()) ++kinds[record.at("kind")];
  EXPECT_EQ(kinds,
            (std::map<std::string, int>{
                {"values", 13}, {"shape", 10}, {"scalar_function", 8}, {"error", 2}, {"law", 4}}));
}

TEST(SeedCases, ValuesAreReproduced) {
  for (const Json& record : RecordsOf("values")) {
    SCOPED_TRACE(record.at("id"));
    const auto output = Compute(record);
    ASSERT_TRUE(output.ok()) << output.status().ToString();
    EXPECT_EQ(output->shape(), ToList<Shape>(record.at("expected_shape")));
    EXPECT_EQ(ToDoubles(*output), ToDoubles(ToTensor(record.at("expected"))));
  }
}

TEST(SeedCases, ShapesAreReproduced) {
  for (const Json& record : RecordsOf("shape")) {
    SCOPED_TRACE(record.at("id"));
    const auto problem = ProblemOf(record);
    ASSERT_TRUE(problem.ok()) << problem.status().ToString();
    EXPECT_EQ(problem->output_shape(), ToList<Shape>(record.at("expected_shape")));
  }
}

TEST(SeedCases, PaddingSameGivesTheShapeOfItsExplicitPadding) {
  const Json record = Record("S002-2");
  ASSERT_EQ(record.at("padding_string"), "same");
  const auto problem =
      ProblemOf(ToList<Shape>(record.at("input_shape")), ToList<Shape>(record.at("weight_shape")),
                ConvParameters{.auto_pad = AutoPad::kSameUpper});
  ASSERT_TRUE(problem.ok());
  EXPECT_EQ(problem->output_shape(), ToList<Shape>(record.at("expected_shape")));
  EXPECT_EQ(problem->axes()[0].padding_begin, record.at("pads_tlbr")[0]);
}

TEST(SeedCases, ScalarFunctionsAreAnswered) {
  int answered = 0;
  for (const Json& record : RecordsOf("scalar_function")) {
    SCOPED_TRACE(record.at("id"));
    const std::string function = record.at("function");
    const auto args = record.at("args").get<std::vector<std::int64_t>>();
    const Json& expected = record.at("expected");
    ++answered;
    if (function == "get_output_size(w,k,p,s)") {
      EXPECT_EQ(OutputSize(args[0], args[1], args[2], args[3]), expected);
    } else if (function == "get_lowest_padding(w,k,s)") {
      EXPECT_EQ(LowestPadding(args[0], args[1], args[2]), expected);
    } else if (function.starts_with("unique(get_lowest_padding(w,")) {
      const bool five = function.find("w,5,2") != std::string::npos;
      EXPECT_TRUE(five || function.find("w,3,1") != std::string::npos) << function;
      std::set<std::int64_t> paddings;
      for (std::int64_t w = 200; w <= 299; ++w) {
        paddings.insert(five ? LowestPadding(w, 5, 2) : LowestPadding(w, 3, 1));
      }
      EXPECT_THAT(paddings, ElementsAre(expected[0].get<std::int64_t>()));
    } else if (function == "dilation*(kernel_size-1)-padding") {
      // The padding of the equivalent direct convolution of thread 004's ConvTranspose.
      const auto problem = ProblemOf(
          {1, 1, 2}, {1, 1, args[1]},
          ConvTransposeParameters{.stride = {2}, .dilation = {args[0]}, .padding = {args[2]}});
      ASSERT_TRUE(problem.ok());
      const Axis& axis = problem->axes()[0];
      EXPECT_EQ(axis.effective_kernel() - 1 - axis.padding_begin, expected);
    } else {
      --answered;
    }
  }
  EXPECT_EQ(answered, 8);
}

// Thread 001 labels a 2x2 result "s=2, p=2". It is that of p=1; p=2 leaves nothing.
TEST(SeedCases, StrideTwoPaddingTwoIsRefusedAndPaddingOneGivesTheTwoByTwo) {
  const Json refused = Record("S001-6");
  const auto problem = ProblemOf(refused);
  EXPECT_EQ(problem.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(
      ViolationsOf(problem.status()),
      ElementsAre(AllOf(Field(&FieldViolation::field, "parameters.padding[0]"),
                        Field(&FieldViolation::description,
                              AllOf(HasSubstr("output size of at least 1"), HasSubstr("got 0")))),
                  Field(&FieldViolation::field, "parameters.padding[1]")));
  const Json right = Record("S001-5");
  EXPECT_EQ(right.at("pads_tlbr"), Json({1, 1, 1, 1}));
  EXPECT_EQ(Compute(right)->shape(), (Shape{1, 1, 2, 2}));
}

// PyTorch refuses padding='same' with a stride; here it has the meaning that TensorFlow and ONNX
// give it.
TEST(SeedCases, SameWithAStrideIsDefinedHere) {
  const Json record = Record("S002-4");
  const auto problem =
      ProblemOf(ToList<Shape>(record.at("input_shape")), ToList<Shape>(record.at("weight_shape")),
                ConvParameters{.stride = ToList<AxisList>(record.at("stride")),
                               .auto_pad = AutoPad::kSameUpper});
  ASSERT_TRUE(problem.ok()) << problem.status().ToString();
  EXPECT_EQ(problem->output_shape(), (Shape{16, 10, 8, 8}));
}

// "ConvTranspose will skip input pixels when the stride exceeds the kernel": it leaves output cells
// unreached instead.
TEST(SeedCases, AStrideBeyondTheKernelLeavesOutputsUnreachedAndSkipsNoInput) {
  const Json record = Record("S000-1");
  Json ones = record;
  ones["weight"] = {{{{1, 1}, {1, 1}}}};
  const auto output = Compute(ones);
  ASSERT_TRUE(output.ok());
  const std::vector<double> values = ToDoubles(*output);
  EXPECT_EQ(std::count(values.begin(), values.end(), 0.0), 20);
  for (const double input : {1.0, 2.0, 3.0, 4.0}) {
    EXPECT_EQ(std::count(values.begin(), values.end(), input), 4) << "taps of input " << input;
  }
}

// "ConvTranspose2D will always use all of the pixels in the input": not once the padding reaches
// the kernel size.
TEST(SeedCases, PaddingOfTheKernelSizeDropsTransposedInput) {
  const Json record = Record("S000-3");
  EXPECT_THAT(ToDoubles(*Compute(record)), ElementsAre(0, 0, 0, 0));
  Json changed = record;
  changed["input"] = {{{{5, 6}, {7, 8}}}};
  EXPECT_EQ(ToDoubles(*Compute(changed)), ToDoubles(*Compute(record)));
}

TEST(SeedCases, TheCeilingOfTheLeastPaddingFailsForStrideOneAndEvenKernels) {
  int tried = 0, failed = 0;
  for (std::int64_t s = 1; s <= 13; ++s) {
    for (std::int64_t k = 1; k <= 17; ++k) {
      for (std::int64_t w = 1; w <= 79; w += 6) {
        const std::int64_t o = (w + s - 1) / s;
        const std::int64_t twice = (o - 1) * s - w + k;
        const std::int64_t p = std::max<std::int64_t>(0, twice > 0 ? (twice + 1) / 2 : 0);
        const bool holds = OutputSize(w, k, p, s) == o;
        EXPECT_EQ(holds, !(s == 1 && k % 2 == 0)) << "w " << w << " k " << k << " s " << s;
        ++tried;
        failed += holds ? 0 : 1;
      }
    }
  }
  EXPECT_EQ(tried, 13 * 17 * 14);
  EXPECT_EQ(failed, 8 * 14);
  const Json example = Record("S002-12").at("counterexample");
  EXPECT_EQ(OutputSize(example.at("w"), example.at("k"), example.at("p"), 1), example.at("output"));
}

TEST(SeedCases, TheLowestPaddingLiesBetweenItsBounds) {
  ASSERT_EQ(Record("S002-13").at("verdict"), "correct (0 violations in the same range)");
  for (std::int64_t s = 1; s <= 13; ++s) {
    for (std::int64_t k = 1; k <= 17; ++k) {
      for (std::int64_t w = 1; w <= 79; w += 6) {
        const std::int64_t p = LowestPadding(w, k, s);
        if (p < 0) continue;
        const std::int64_t least = k > s ? (k - s + 1) / 2 : 0;
        EXPECT_GE(p, least) << "w " << w << " k " << k << " s " << s;
        EXPECT_LE(p, k / 2) << "w " << w << " k " << k << " s " << s;
      }
    }
  }
}

// TensorFlow's SAME gives ceil(width / stride) outputs, and its odd cell goes to the end: the
// symmetric padding has the shape, not the values.
TEST(SeedCases, SameAndSymmetricPaddingDifferInValues) {
  const Json example = Record("S002-14").at("counterexample");
  const Tensor input = MakeTensor(DataType::kFloat32, {1, 1, 6}, Row(example.at("input")));
  const Tensor weight = MakeTensor(DataType::kFloat32, {1, 1, 3}, Row(example.at("weight")));
  const Operands operands = {input.view(), weight.view(), std::nullopt};
  const AxisList stride = {example.at("stride").get<std::int64_t>()};
  const auto same = Conv(operands, {.stride = stride, .auto_pad = AutoPad::kSameUpper});
  const auto explicit_same =
      Conv(operands, {.stride = stride, .padding = ToList<AxisList>(example.at("tf_same_pads"))});
  const auto symmetric = Conv(
      operands, {.stride = stride, .padding = {example.at("symmetric_p").get<std::int64_t>()}});
  ASSERT_TRUE(same.ok() && explicit_same.ok() && symmetric.ok());
  EXPECT_EQ(ToDoubles(*same), Row(example.at("tf_same_output")));
  EXPECT_EQ(ToDoubles(*explicit_same), Row(example.at("tf_same_output")));
  EXPECT_EQ(ToDoubles(*symmetric), Row(example.at("symmetric_output")));
}

// "Conv2d and ConvTranspose2d are inverses of each other in regard to shapes": only where the
// stride divides.
TEST(SeedCases, ShapesInvertOnlyWithoutARemainder) {
  ASSERT_EQ(Record("S004-9").at("kind"), "law");
  EXPECT_EQ(OutputSize(27, 5, 0, 2), 12);
  EXPECT_EQ(OutputSize(28, 5, 0, 2), 12);
  for (const std::int64_t output_padding : {0, 1}) {
    const auto problem =
        ProblemOf({1, 1, 12}, {1, 1, 5},
                  ConvTransposeParameters{.stride = {2}, .output_padding = {output_padding}});
    ASSERT_TRUE(problem.ok());
    EXPECT_EQ(problem->output_shape()[2], 27 + output_padding);
  }
}

}  // namespace
}  // namespace convserve
