#include "core/explain.h"

#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/convolve.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace convserve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Tensor Floats(Shape shape, std::vector<float> values) {
  return Tensor::Of<float>(std::move(shape), values);
}

struct Question {
  Tensor input;
  Tensor weight;
  Tensor bias;
  std::variant<ConvParameters, ConvTransposeParameters> parameters;
};

ProblemSpec SpecOf(const Question& question) {
  ProblemSpec spec;
  spec.input = {question.input.data_type(), question.input.shape(), {}};
  spec.weight = {question.weight.data_type(), question.weight.shape(), {}};
  if (question.bias.data() != nullptr) {
    spec.bias = TensorSpec{question.bias.data_type(), question.bias.shape(), {}};
  }
  spec.parameters = question.parameters;
  return spec;
}

ExplainOperands OperandsOf(const Question& question) {
  ExplainOperands operands = {.input = question.input.view(), .weight = question.weight.view()};
  if (question.bias.data() != nullptr) operands.bias = question.bias.view();
  return operands;
}

// "x[0,0,1,1]*w[0,0,0,0]" and so on, joined by " + ".
std::string Equation(const Explanation& explanation) {
  const auto text = [](const Shape& index) {
    std::string joined;
    for (const auto i : index) joined += (joined.empty() ? "" : ",") + std::to_string(i);
    return joined;
  };
  std::string terms;
  for (const Contribution& c : explanation.contributions) {
    terms += (terms.empty() ? "" : " + ") + ("x[" + text(c.input_index) + "]") + "*w[" +
             text(c.weight_index) + "]";
  }
  return terms;
}

Question OnesExample() {
  return {.input = Floats({1, 1, 4, 4}, std::vector<float>(16, 1)),
          .weight = Floats({1, 1, 4, 4}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7}),
          .bias = {},
          .parameters = ConvTransposeParameters{.stride = {2}, .padding = {1}}};
}

TEST(Explain, NamesThePairsBehindATransposedOutput) {
  const Question question = OnesExample();
  const auto problem = MakeProblem(SpecOf(question));
  ASSERT_TRUE(problem.ok()) << problem.status();
  const auto corner = Explain(*problem, {0, 0, 0, 0}, OperandsOf(question));
  ASSERT_TRUE(corner.ok()) << corner.status();
  EXPECT_EQ(Equation(*corner), "x[0,0,0,0]*w[0,0,1,1]");
  EXPECT_EQ(corner->value, 6);
  EXPECT_EQ(corner->padded_taps, 15);

  const auto inside = Explain(*problem, {0, 0, 3, 1}, OperandsOf(question));
  EXPECT_EQ(Equation(*inside),
            "x[0,0,2,1]*w[0,0,0,0] + x[0,0,2,0]*w[0,0,0,2] + "
            "x[0,0,1,1]*w[0,0,2,0] + x[0,0,1,0]*w[0,0,2,2]");
}

TEST(Explain, CountsTheTapsOnPadding) {
  const Question question = {.input = Floats({1, 2, 3}, {1, 2, 3, 4, 5, 6}),
                             .weight = Floats({1, 2, 3}, {1, 10, 100, 1000, 10000, 100000}),
                             .bias = Floats({1}, {7}),
                             .parameters = ConvParameters{.padding = {1}}};
  const auto problem = MakeProblem(SpecOf(question));
  const auto explanation = Explain(*problem, {0, 0, 0}, OperandsOf(question));
  ASSERT_TRUE(explanation.ok()) << explanation.status();
  EXPECT_EQ(Equation(*explanation),
            "x[0,0,0]*w[0,0,1] + x[0,0,1]*w[0,0,2] + x[0,1,0]*w[0,1,1] + x[0,1,1]*w[0,1,2]");
  EXPECT_EQ(explanation->padded_taps, 2);
  EXPECT_EQ(explanation->bias, 7);
  EXPECT_EQ(explanation->value, 10 + 200 + 40000 + 500000 + 7);
}

TEST(Explain, ReadsThePaddedElementThatOtherModesRepeat) {
  struct {
    PaddingMode mode;
    const char* equation;
  } const rows[] = {
      {PaddingMode::kReflect, "x[0,0,2]*w[0,0,0] + x[0,0,1]*w[0,0,1] + x[0,0,0]*w[0,0,2]"},
      {PaddingMode::kReplicate, "x[0,0,0]*w[0,0,0] + x[0,0,0]*w[0,0,1] + x[0,0,0]*w[0,0,2]"},
      {PaddingMode::kCircular, "x[0,0,1]*w[0,0,0] + x[0,0,2]*w[0,0,1] + x[0,0,0]*w[0,0,2]"},
  };
  for (const auto& row : rows) {
    const Question question = {
        .input = Floats({1, 1, 3}, {1, 2, 3}),
        .weight = Floats({1, 1, 3}, {1, 1, 1}),
        .bias = {},
        .parameters = ConvParameters{.padding = {2}, .padding_mode = row.mode}};
    const auto problem = MakeProblem(SpecOf(question));
    const auto explanation = Explain(*problem, {0, 0, 0}, OperandsOf(question));
    ASSERT_TRUE(explanation.ok()) << explanation.status();
    EXPECT_EQ(Equation(*explanation), row.equation);
    EXPECT_EQ(explanation->padded_taps, 0);
  }
}

TEST(Explain, UsesTheLayoutsOfTheTensors) {
  const Question question = {
      .input = Floats({3, 3, 2}, std::vector<float>(18, 1)),
      .weight = Floats({2, 2, 1, 4}, std::vector<float>(16, 1)),
      .bias = {},
      .parameters = ConvParameters{.groups = 2,
                                   .flip_kernel = true,
                                   .tensor_layout = TensorLayout::kChannelsLast,
                                   .weight_layout = WeightLayout::kChannelsLast}};
  const auto problem = MakeProblem(SpecOf(question));
  ASSERT_TRUE(problem.ok()) << problem.status();
  const auto explanation = Explain(*problem, {1, 0, 3}, OperandsOf(question));
  EXPECT_EQ(Equation(*explanation),
            "x[1,0,1]*w[1,1,0,3] + x[1,1,1]*w[1,0,0,3] + x[2,0,1]*w[0,1,0,3] + "
            "x[2,1,1]*w[0,0,0,3]");
}

TEST(Explain, NamesPairsWithoutValues) {
  const Question question = OnesExample();
  const auto problem = MakeProblem(SpecOf(question));
  const auto explanation = Explain(*problem, {0, 0, 0, 0});
  EXPECT_EQ(Equation(*explanation), "x[0,0,0,0]*w[0,0,1,1]");
  EXPECT_EQ(explanation->value, 0);
  const auto half = Explain(*problem, {0, 0, 0, 0}, {.weight = question.weight.view()});
  EXPECT_EQ(half->contributions[0].weight_value, 6);
  EXPECT_EQ(half->value, 0);
}

TEST(Explain, ListsNoMoreThanAskedAndSumsAll) {
  const Question question = {.input = Floats({1, 4096, 3, 3}, std::vector<float>(4096 * 9, 2)),
                             .weight = Floats({1, 4096, 3, 3}, std::vector<float>(4096 * 9, 3)),
                             .bias = Floats({1}, {5}),
                             .parameters = ConvParameters{.padding = {1}}};
  const auto problem = MakeProblem(SpecOf(question));
  const auto explanation = Explain(*problem, {0, 0, 0, 0}, OperandsOf(question));
  ASSERT_TRUE(explanation.ok()) << explanation.status();
  EXPECT_TRUE(explanation->truncated);
  EXPECT_EQ(explanation->contributions.size(), static_cast<std::size_t>(kMaxContributions));
  EXPECT_EQ(explanation->contribution_count, 4096 * 4);
  EXPECT_EQ(explanation->padded_taps, 4096 * 5);
  EXPECT_EQ(explanation->value, 4096 * 4 * 6 + 5);
  const auto none = Explain(*problem, {0, 0, 0, 0}, OperandsOf(question), {.max_contributions = 0});
  EXPECT_THAT(none->contributions, IsEmpty());
  EXPECT_TRUE(none->truncated);
  EXPECT_EQ(none->value, explanation->value);
}

TEST(Explain, StopsWhenItIsToldTo) {
  const Question question = {.input = Floats({1, 1, 100, 100}, std::vector<float>(10000, 1)),
                             .weight = Floats({1, 1, 100, 100}, std::vector<float>(10000, 1)),
                             .bias = {},
                             .parameters = {}};
  const auto problem = MakeProblem(SpecOf(question));
  std::stop_source stop;
  const ExplainOptions options{.stop = stop.get_token()};
  EXPECT_EQ(Explain(*problem, {0, 0, 0, 0}, OperandsOf(question), options)->value, 10000);
  stop.request_stop();
  EXPECT_EQ(Explain(*problem, {0, 0, 0, 0}, OperandsOf(question), options).status().code(),
            absl::StatusCode::kCancelled);
}

// Both would take hours tap by tap.
TEST(Explain, AnswersFromShapesAloneHoweverLargeTheyAre) {
  ProblemSpec spec;
  spec.input = {DataType::kInt8, {1, 1, std::int64_t{1} << 40}, {}};
  spec.weight = {DataType::kInt8, {1, 1, std::int64_t{1} << 40}, {}};
  const auto conv = MakeProblem(spec);
  ASSERT_TRUE(conv.ok()) << conv.status();
  const auto all = Explain(*conv, {0, 0, 0});
  EXPECT_EQ(all->contribution_count, std::int64_t{1} << 40);
  EXPECT_EQ(all->contributions.back().input_index, (Shape{0, 0, kMaxContributions - 1}));

  spec.input.shape = {1, 1, 2};
  spec.parameters = ConvTransposeParameters{.stride = {std::int64_t{1} << 39},
                                            .padding = {(std::int64_t{1} << 40) - 500}};
  spec.weight.shape = {1, 1, (std::int64_t{1} << 40) + 1000};
  const auto transposed = MakeProblem(spec);
  ASSERT_FALSE(transposed.ok());  // crops everything: the sizes must still leave an output
  spec.parameters = ConvTransposeParameters{.stride = {std::int64_t{1} << 39},
                                            .padding = {(std::int64_t{1} << 39)}};
  const auto legal = MakeProblem(spec, {.max_output_bytes = std::int64_t{1} << 50});
  ASSERT_TRUE(legal.ok()) << legal.status();
  const auto pair = Explain(*legal, {0, 0, 0});
  EXPECT_EQ(Equation(*pair), "x[0,0,1]*w[0,0,0] + x[0,0,0]*w[0,0,549755813888]");
}

TEST(Explain, RefusesAnIndexOutsideTheOutput) {
  const Question question = OnesExample();
  const auto problem = MakeProblem(SpecOf(question));
  const auto outside = Explain(*problem, {0, 1, 8, -1});
  EXPECT_EQ(outside.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(
      ViolationsOf(outside.status()),
      ElementsAre(
          FieldViolation{"output_index[1]", "expected 0 to 0 (output [1, 1, 8, 8]), got 1"},
          FieldViolation{"output_index[2]", "expected 0 to 7 (output [1, 1, 8, 8]), got 8"},
          FieldViolation{"output_index[3]", "expected 0 to 7 (output [1, 1, 8, 8]), got -1"}));
  const auto short_index = Explain(*problem, {0, 1});
  EXPECT_THAT(ViolationsOf(short_index.status()),
              ElementsAre(FieldViolation{"output_index",
                                         "expected 4 entries (output [1, 1, 8, 8]), got 2"}));
}

TEST(Explain, HasNoIndexForAnEmptyBatch) {
  ProblemSpec spec;
  spec.input = {DataType::kFloat32, {0, 1, 4}, {}};
  spec.weight = {DataType::kFloat32, {1, 1, 3}, {}};
  const auto problem = MakeProblem(spec);
  ASSERT_TRUE(problem.ok()) << problem.status();
  EXPECT_THAT(std::string(Explain(*problem, {0, 0, 0}).status().message()), HasSubstr("empty"));
}

TEST(SourceOfTap, TellsPaddingFromTheHolesBetweenStrides) {
  const Axis conv = {.input = 4, .output = 4, .kernel = 3, .padding_begin = 1, .padding_end = 1};
  const auto kind = [](TapSource source) { return source.kind; };
  EXPECT_EQ(kind(SourceOfTap(Operation::kConv, PaddingMode::kZeros, conv, 0, 0)),
            TapKind::kPadding);
  EXPECT_EQ(SourceOfTap(Operation::kConv, PaddingMode::kZeros, conv, 0, 1).input, 0);
  EXPECT_EQ(SourceOfTap(Operation::kConv, PaddingMode::kReflect, conv, 0, 0).input, 1);
  const Axis transposed = {.input = 2, .output = 5, .kernel = 3, .stride = 2};
  EXPECT_EQ(kind(SourceOfTap(Operation::kConvTranspose, PaddingMode::kZeros, transposed, 1, 0)),
            TapKind::kBetweenStrides);
  EXPECT_EQ(SourceOfTap(Operation::kConvTranspose, PaddingMode::kZeros, transposed, 1, 1).input, 0);
  EXPECT_EQ(kind(SourceOfTap(Operation::kConvTranspose, PaddingMode::kZeros, transposed, 1, 2)),
            TapKind::kPadding);
}

// Random problems with small integers, whose float results are exact.
class RandomQuestions {
 public:
  explicit RandomQuestions(unsigned seed) : random_(seed) {}

  Question Next() {
    const bool conv = Below(2) == 0;
    const int axes = 1 + static_cast<int>(Below(3));
    const std::int64_t groups = 1 + Below(2);
    const std::int64_t inputs = groups * (1 + Below(2)), outputs = groups * (1 + Below(2));
    const auto tensor_layout = static_cast<TensorLayout>(1 + Below(2));
    const auto weight_layout = static_cast<WeightLayout>(1 + Below(2));
    Shape input, weight = {conv ? outputs : inputs, (conv ? inputs : outputs) / groups};
    if (Below(3) != 0) input.push_back(1 + Below(2));
    if (tensor_layout == TensorLayout::kChannelsFirst) input.push_back(inputs);
    AxisList stride, dilation, padding, output_padding;
    Shape kernel;
    for (int a = 0; a < axes; ++a) {
      input.push_back(1 + Below(6));
      kernel.push_back(1 + Below(3));
      stride.push_back(1 + Below(3));
      dilation.push_back(1 + Below(3));
      output_padding.push_back(Below(std::max(stride.back(), dilation.back())));
    }
    for (int a = 0; a < 2 * axes; ++a) padding.push_back(Below(3));
    if (tensor_layout == TensorLayout::kChannelsLast) input.push_back(inputs);
    if (weight_layout == WeightLayout::kChannelsLast) {
      weight = kernel;
      weight.push_back((conv ? inputs : outputs) / groups);
      weight.push_back(conv ? outputs : inputs);
    } else {
      weight.insert(weight.end(), kernel.begin(), kernel.end());
    }
    Question question = {.input = Random(input),
                         .weight = Random(weight),
                         .bias = Below(2) == 0 ? Tensor() : Random({outputs}),
                         .parameters = {}};
    if (conv) {
      question.parameters = ConvParameters{.stride = stride,
                                           .dilation = dilation,
                                           .padding = padding,
                                           .padding_mode = static_cast<PaddingMode>(1 + Below(4)),
                                           .groups = groups,
                                           .flip_kernel = Below(2) == 0,
                                           .tensor_layout = tensor_layout,
                                           .weight_layout = weight_layout};
    } else {
      question.parameters = ConvTransposeParameters{.stride = stride,
                                                    .dilation = dilation,
                                                    .padding = padding,
                                                    .output_padding = output_padding,
                                                    .groups = groups,
                                                    .flip_kernel = Below(2) == 0,
                                                    .tensor_layout = tensor_layout,
                                                    .weight_layout = weight_layout};
    }
    return question;
  }

  std::int64_t Below(std::int64_t bound) {
    return std::uniform_int_distribution<std::int64_t>(0, bound - 1)(random_);
  }

 private:
  Tensor Random(const Shape& shape) {
    std::vector<float> values(static_cast<std::size_t>(*ElementCount(shape)));
    for (float& value : values) value = static_cast<float>(Below(19) - 9);
    return Floats(shape, std::move(values));
  }

  std::mt19937 random_;
};

absl::StatusOr<Tensor> Compute(const Question& question) {
  Operands operands = {question.input.view(), question.weight.view(), {}};
  if (question.bias.data() != nullptr) operands.bias = question.bias.view();
  if (const auto* conv = std::get_if<ConvParameters>(&question.parameters)) {
    return Conv(operands, *conv);
  }
  return ConvTranspose(operands, std::get<ConvTransposeParameters>(question.parameters));
}

TEST(Explain, AddsUpToWhatIsComputed) {
  RandomQuestions questions(5);
  int elements = 0;
  while (elements < 20000) {
    const Question question = questions.Next();
    const auto problem = MakeProblem(SpecOf(question));
    if (!problem.ok()) continue;
    const auto output = Compute(question);
    ASSERT_TRUE(output.ok()) << output.status();
    for (int i = 0; i < 20; ++i, ++elements) {
      const std::int64_t at = questions.Below(output->size());
      Shape index(output->shape().size(), 0);
      std::int64_t rest = at;
      for (std::size_t dim = index.size(); dim-- > 0; rest /= output->shape()[dim]) {
        index[dim] = rest % output->shape()[dim];
      }
      const auto explanation = Explain(*problem, index, OperandsOf(question));
      ASSERT_TRUE(explanation.ok()) << explanation.status();
      double listed = explanation->bias;
      std::int64_t kernel = 1;
      for (const Axis& axis : problem->axes()) kernel *= axis.kernel;
      for (const Contribution& c : explanation->contributions) {
        listed += c.input_value * c.weight_value;
      }
      ASSERT_EQ(listed, output->As<float>()[at]) << problem->ToString() << ToString(index);
      ASSERT_EQ(explanation->value, listed);
      ASSERT_EQ(explanation->contribution_count,
                static_cast<std::int64_t>(explanation->contributions.size()));
      ASSERT_EQ(explanation->padded_taps + explanation->contribution_count,
                kernel * problem->input_channels() / problem->groups());
    }
  }
}

}  // namespace
}  // namespace convserve
