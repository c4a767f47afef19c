#include "core/solve.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "core/convolve.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace convserve {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAreArray;

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

absl::StatusOr<Problem> MakeOf(Operation operation, const Axis& axis) {
  ProblemSpec spec;
  spec.input = {DataType::kInt8, {1, 1, axis.input}, {}};
  spec.weight = {DataType::kInt8, {1, 1, axis.kernel}, {}};
  spec.output_type = DataType::kInt8;
  const AxisList padding = {axis.padding_begin, axis.padding_end};
  if (operation == Operation::kConv) {
    spec.parameters =
        ConvParameters{.stride = {axis.stride}, .dilation = {axis.dilation}, .padding = padding};
  } else {
    spec.parameters = ConvTransposeParameters{.stride = {axis.stride},
                                              .dilation = {axis.dilation},
                                              .padding = padding,
                                              .output_padding = {axis.output_padding}};
  }
  return MakeProblem(spec, {.max_output_bytes = kMost});
}

// "k3 s2 d1 p1,1 op0".
std::string Text(const Axis& axis) {
  return "k" + std::to_string(axis.kernel) + " s" + std::to_string(axis.stride) + " d" +
         std::to_string(axis.dilation) + " p" + std::to_string(axis.padding_begin) + "," +
         std::to_string(axis.padding_end) + " op" + std::to_string(axis.output_padding);
}

std::vector<std::string> Texts(const Solutions& solutions) {
  std::vector<std::string> texts;
  for (const Solution& solution : solutions.best) texts.push_back(Text(solution.axis));
  return texts;
}

// Every combination within the ranges that MakeProblem accepts and takes input to output.
std::vector<std::string> ByTrying(Operation operation, const SolveQuery& query) {
  std::vector<std::string> texts;
  Axis axis = {.input = query.input};
  const auto try_padding = [&](std::int64_t begin, std::int64_t end) {
    axis.padding_begin = begin;
    axis.padding_end = end;
    const std::int64_t most =
        std::min(query.output_padding.max, std::max(axis.stride, axis.dilation) - 1);
    for (axis.output_padding = operation == Operation::kConv ? 0 : query.output_padding.min;
         axis.output_padding <= (operation == Operation::kConv ? 0 : most); ++axis.output_padding) {
      const auto problem = MakeOf(operation, axis);
      if (problem.ok() && problem->axes()[0].output == query.output) texts.push_back(Text(axis));
    }
  };
  for (axis.kernel = query.kernel.min; axis.kernel <= query.kernel.max; ++axis.kernel) {
    for (axis.stride = query.stride.min; axis.stride <= query.stride.max; ++axis.stride) {
      for (axis.dilation = query.dilation.min; axis.dilation <= query.dilation.max;
           ++axis.dilation) {
        if (operation == Operation::kConv && axis.kernel == 1 &&
            axis.dilation > query.dilation.min) {
          continue;
        }
        for (std::int64_t p = query.padding.min; p <= query.padding.max; ++p) {
          try_padding(p, p);
          if (query.uneven_padding) try_padding(p, p + 1);
          if (query.uneven_padding) try_padding(p + 1, p);
        }
      }
    }
  }
  return texts;
}

TEST(Solve, FindsExactlyWhatTryingAllFinds) {
  std::mt19937 random(11);
  const auto below = [&](std::int64_t bound) {
    return std::uniform_int_distribution<std::int64_t>(0, bound - 1)(random);
  };
  for (int i = 0; i < 150; ++i) {
    const Operation operation = i % 2 == 0 ? Operation::kConv : Operation::kConvTranspose;
    const SolveQuery query = {.input = 1 + below(12),
                              .output = 1 + below(12),
                              .kernel = {1 + below(2), 2 + below(4)},
                              .stride = {1 + below(2), 2 + below(3)},
                              .dilation = {1, 1 + below(3)},
                              .padding = {below(2), 1 + below(4)},
                              .output_padding = {below(2), 1 + below(2)},
                              .uneven_padding = below(2) == 0,
                              .max_solutions = 100000};
    const auto solutions = Solve(operation, query);
    ASSERT_TRUE(solutions.ok()) << solutions.status();
    EXPECT_THAT(Texts(*solutions), UnorderedElementsAreArray(ByTrying(operation, query)));
    EXPECT_EQ(solutions->count, static_cast<std::int64_t>(solutions->best.size()));
  }
}

// Values, not sizes: a weight of distinct powers tells every sampling from every other.
std::vector<float> Sampled(Operation operation, const Axis& axis, AutoPad auto_pad) {
  std::vector<float> x(static_cast<std::size_t>(axis.input)),
      w(static_cast<std::size_t>(axis.kernel));
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i * i + 1);
  for (std::size_t i = 0; i < w.size(); ++i) w[i] = static_cast<float>(1 << i);
  const Tensor input = Tensor::Of<float>({1, 1, axis.input}, x);
  const Tensor weight = Tensor::Of<float>({1, 1, axis.kernel}, w);
  const bool automatic = auto_pad != AutoPad::kUnspecified;
  AxisList padding = {axis.padding_begin, axis.padding_end};
  if (automatic) padding.clear();
  absl::StatusOr<Tensor> output;
  if (operation == Operation::kConv) {
    output = Conv({input.view(), weight.view(), {}}, {.stride = {axis.stride},
                                                      .dilation = {axis.dilation},
                                                      .padding = padding,
                                                      .auto_pad = auto_pad});
  } else {
    AxisList output_padding = {axis.output_padding};
    if (automatic) output_padding.clear();
    output = ConvTranspose({input.view(), weight.view(), {}}, {.stride = {axis.stride},
                                                               .dilation = {axis.dilation},
                                                               .padding = padding,
                                                               .auto_pad = auto_pad,
                                                               .output_padding = output_padding});
  }
  if (!output.ok()) return {};
  return {output->As<float>(), output->As<float>() + output->size()};
}

TEST(Solve, SaysRightlyWhoSamplesLikeSame) {
  int upper = 0, lower = 0;
  for (const Operation operation : {Operation::kConv, Operation::kConvTranspose}) {
    for (std::int64_t n = 4; n < 10; ++n) {
      for (std::int64_t ratio = 1; ratio <= 3; ++ratio) {
        const std::int64_t o = operation == Operation::kConv ? (n - 1) / ratio + 1 : n * ratio;
        const auto solutions = Solve(operation, {.input = n,
                                                 .output = o,
                                                 .kernel = {1, 5},
                                                 .stride = {ratio, ratio},
                                                 .padding = {0, 6},
                                                 .uneven_padding = true,
                                                 .max_solutions = 1000});
        ASSERT_TRUE(solutions.ok()) << solutions.status();
        for (const Solution& solution : solutions->best) {
          const auto values = Sampled(operation, solution.axis, AutoPad::kUnspecified);
          const auto is_same = [&](AutoPad auto_pad) {
            return values == Sampled(operation, solution.axis, auto_pad);
          };
          if (solution.samples_like_same_upper) {
            ++upper;
            EXPECT_TRUE(is_same(AutoPad::kSameUpper)) << n << " -> " << o << Text(solution.axis);
          }
          if (solution.samples_like_same_lower) {
            ++lower;
            EXPECT_TRUE(is_same(AutoPad::kSameLower)) << n << " -> " << o << Text(solution.axis);
          }
        }
      }
    }
  }
  EXPECT_GT(upper, 100);
  EXPECT_GT(lower, 100);
}

TEST(Solve, RanksSameSamplingThenEvenOverlapThenSmallness) {
  SolveQuery query = DefaultSolveQuery(Operation::kConv, 224, 112);
  query.stride = {2, 2};
  query.dilation = {1, 1};
  query.max_solutions = 5;
  const auto solutions = Solve(Operation::kConv, query);
  ASSERT_TRUE(solutions.ok()) << solutions.status();
  EXPECT_THAT(Texts(*solutions),
              ElementsAre("k2 s2 d1 p0,0 op0", "k4 s2 d1 p1,1 op0", "k6 s2 d1 p2,2 op0",
                          "k1 s2 d1 p0,0 op0", "k3 s2 d1 p1,1 op0"));
  EXPECT_EQ(solutions->count, 7);
  EXPECT_TRUE(solutions->best[1].even_overlap);
  EXPECT_FALSE(solutions->best[4].samples_like_same_upper);
  EXPECT_TRUE(solutions->best[4].samples_like_same_lower);
}

TEST(Solve, RefusesImpossibleRangesByName) {
  const auto refused = Solve(
      Operation::kConvTranspose,
      {.input = 0, .output = 4, .kernel = {3, 2}, .stride = {0, 2}, .output_padding = {-1, 0}});
  ASSERT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  std::vector<std::string> fields;
  for (const FieldViolation& violation : ViolationsOf(refused.status())) {
    fields.push_back(violation.field);
  }
  EXPECT_THAT(fields, ElementsAre("input", "kernel", "stride", "output_padding"));
  EXPECT_FALSE(Solve(Operation::kConv, {.input = 5, .output = 5, .kernel = {1, kMost}}).ok());
}

TEST(Solve, SurvivesTheLargestNumbers) {
  for (const Operation operation : {Operation::kConv, Operation::kConvTranspose}) {
    for (const std::int64_t large : {kMost, kMost / 2, std::int64_t{1} << 40}) {
      const auto solutions = Solve(operation, {.input = large,
                                               .output = large,
                                               .kernel = {large, large},
                                               .stride = {large, large},
                                               .dilation = {1, 1},
                                               .padding = {large / 2, large / 2 + 3}});
      if (!solutions.ok()) continue;
      for (const Solution& solution : solutions->best) {
        EXPECT_TRUE(MakeOf(operation, solution.axis).ok()) << Text(solution.axis);
      }
    }
  }
}

TEST(Invert, RestoresEverySizeThatAConvAccepts) {
  int restored = 0;
  for (std::int64_t n = 1; n < 14; ++n) {
    for (std::int64_t k = 1; k < 5; ++k) {
      for (std::int64_t s = 1; s < 5; ++s) {
        for (std::int64_t d = 1; d < 4; ++d) {
          for (std::int64_t p = 0; p < 3; ++p) {
            const auto inversion = Invert({n, k, s, d, p, p});
            const Axis asked = {.input = n,
                                .kernel = k,
                                .stride = s,
                                .dilation = d,
                                .padding_begin = p,
                                .padding_end = p};
            const auto conv = MakeOf(Operation::kConv, asked);
            ASSERT_EQ(inversion.ok(), conv.ok());
            if (!conv.ok()) continue;
            EXPECT_EQ(inversion->conv, conv->axes()[0]);
            ASSERT_TRUE(inversion->restoring.has_value());
            const auto back = MakeOf(Operation::kConvTranspose, *inversion->restoring);
            ASSERT_TRUE(back.ok()) << back.status();
            EXPECT_EQ(back->axes()[0].output, n);
            EXPECT_LE(inversion->preimage.min, n);
            EXPECT_GE(inversion->preimage.max, n);
            ++restored;
          }
        }
      }
    }
  }
  EXPECT_GT(restored, 1000);
}

TEST(Invert, NamesTheOutputPaddingThatGives28Back) {
  const auto inversion = Invert({.input = 28, .kernel = 5, .stride = 2});
  ASSERT_TRUE(inversion.ok()) << inversion.status();
  EXPECT_EQ(inversion->conv.output, 12);
  EXPECT_EQ(inversion->restoring->output_padding, 1);
  EXPECT_EQ(inversion->restoring->output, 28);
  EXPECT_EQ(inversion->preimage, (Interval{27, 28}));
}

TEST(FindSamePadding, FindsTheSmallestSymmetricPadding) {
  struct {
    std::int64_t n, k, s, padding;
  } const rows[] = {
      {90, 15, 10, 3}, {90, 16, 10, 3}, {91, 16, 10, 8}, {200, 5, 2, 2}, {299, 5, 2, 2}};
  for (const auto& row : rows) {
    const auto same = FindSamePadding({.input = row.n, .kernel = row.k, .stride = row.s});
    ASSERT_TRUE(same.ok()) << same.status();
    EXPECT_EQ(same->symmetric, row.padding) << row.n << " " << row.k << " " << row.s;
  }
}

TEST(FindSamePadding, FailsExactlyForStrideOneAndAnEvenEffectiveKernel) {
  for (std::int64_t n = 1; n < 40; ++n) {
    for (std::int64_t k = 1; k < 9; ++k) {
      for (std::int64_t s = 1; s < 9; ++s) {
        for (std::int64_t d = 1; d < 4; ++d) {
          const auto same = FindSamePadding({n, k, s, d});
          ASSERT_TRUE(same.ok()) << same.status();
          const std::int64_t ek = d * (k - 1) + 1;
          ASSERT_EQ(same->symmetric.has_value(), !(s == 1 && ek % 2 == 0));
          if (!same->symmetric.has_value()) continue;
          ASSERT_EQ(same->samples_like_same_upper, same->total % 2 == 0);
          for (std::int64_t p = 0; p <= *same->symmetric; ++p) {
            const auto conv = MakeOf(Operation::kConv, {.input = n,
                                                        .kernel = k,
                                                        .stride = s,
                                                        .dilation = d,
                                                        .padding_begin = p,
                                                        .padding_end = p});
            const bool is_same = conv.ok() && conv->axes()[0].output == (n - 1) / s + 1;
            ASSERT_EQ(is_same, p == *same->symmetric);
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace convserve
