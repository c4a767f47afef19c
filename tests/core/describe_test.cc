#include "core/describe.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <limits>
#include <numeric>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "core/explain.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace convserve {
namespace {

using ::testing::ElementsAre;

// One spatial axis, named as in core/problem.h.
struct Row {
  Operation operation = Operation::kConv;
  std::int64_t n = 1, k = 1, s = 1, d = 1, pl = 0, pr = 0, op = 0;
  PaddingMode mode = PaddingMode::kZeros;
};

std::optional<Problem> MakeAxis(const Row& row) {
  ProblemSpec spec;
  spec.input = {DataType::kInt8, {1, 1, row.n}, {}};
  spec.weight = {DataType::kInt8, {1, 1, row.k}, {}};
  spec.output_type = DataType::kInt8;
  if (row.operation == Operation::kConv) {
    spec.parameters = ConvParameters{.stride = {row.s},
                                     .dilation = {row.d},
                                     .padding = {row.pl, row.pr},
                                     .padding_mode = row.mode};
  } else {
    spec.parameters = ConvTransposeParameters{.stride = {row.s},
                                              .dilation = {row.d},
                                              .padding = {row.pl, row.pr},
                                              .output_padding = {row.op}};
  }
  Limits limits;
  limits.max_output_bytes = std::numeric_limits<std::int64_t>::max();
  auto problem = MakeProblem(spec, limits);
  if (!problem.ok()) return std::nullopt;
  return *std::move(problem);
}

AxisDescription Describe(const Row& row) {
  const auto problem = MakeAxis(row);
  EXPECT_TRUE(problem.has_value());
  return problem.has_value() ? DescribeAxis(*problem, 0) : AxisDescription{};
}

std::string Text(const AxisDescription& a) {
  return "unused " + std::to_string(a.unused_inputs) + ", uncovered " +
         std::to_string(a.uncovered_outputs) + ", overlap " + std::to_string(a.min_overlap) + ".." +
         std::to_string(a.max_overlap) + ", restoring " +
         std::to_string(a.restoring_output_padding) + ", preimage " +
         std::to_string(a.smallest_input_with_this_output) + ".." +
         std::to_string(a.largest_input_with_this_output);
}

// Where a padded Conv position reads, by walking: -1 on zero padding.
std::int64_t Read(PaddingMode mode, std::int64_t i, std::int64_t n) {
  if (i >= 0 && i < n) return i;
  switch (mode) {
    case PaddingMode::kReflect:
      return i < 0 ? -i : 2 * (n - 1) - i;
    case PaddingMode::kReplicate:
      return i < 0 ? 0 : n - 1;
    case PaddingMode::kCircular:
      return i < 0 ? i + n : i - n;
    default:
      return -1;
  }
}

bool Accepts(PaddingMode mode, const Row& row, std::int64_t n) {
  const std::int64_t p = std::max(row.pl, row.pr);
  if (mode == PaddingMode::kReflect) return p < n;
  if (mode == PaddingMode::kCircular) return p <= n;
  return true;
}

// All fields by loops over every input, output and tap, straight from their definitions.
AxisDescription Count(const Row& row, const Axis& axis) {
  AxisDescription counted = {.axis = axis};
  std::vector<bool> used(static_cast<std::size_t>(row.n), false);
  std::vector<std::int64_t> taps(static_cast<std::size_t>(axis.output), 0);
  const auto meet = [&](std::int64_t input, std::int64_t output) {
    used[static_cast<std::size_t>(input)] = true;
    ++taps[static_cast<std::size_t>(output)];
  };
  const bool conv = row.operation == Operation::kConv;
  for (std::int64_t j = 0; j < (conv ? axis.output : row.n); ++j) {
    for (std::int64_t t = 0; t < row.k; ++t) {
      const std::int64_t position = j * row.s + t * row.d - row.pl;
      if (conv) {
        const std::int64_t input = Read(row.mode, position, row.n);
        if (input >= 0) meet(input, j);
      } else if (position >= 0 && position < axis.output) {
        meet(j, position);
      }
    }
  }
  counted.unused_inputs = std::count(used.begin(), used.end(), false);
  counted.uncovered_outputs = std::count(taps.begin(), taps.end(), 0);
  if (!conv) {
    taps.assign(static_cast<std::size_t>(row.s), 0);
    for (std::int64_t t = 0; t < row.k; ++t) ++taps[static_cast<std::size_t>(t * row.d % row.s)];
  }
  counted.min_overlap = *std::min_element(taps.begin(), taps.end());
  counted.max_overlap = *std::max_element(taps.begin(), taps.end());

  const std::int64_t ek = axis.effective_kernel();
  const std::int64_t conv_output = conv ? axis.output : row.n;
  const auto conv_size = [&](std::int64_t n) { return (n + row.pl + row.pr - ek) / row.s + 1; };
  for (std::int64_t n = 1; n <= conv_output * row.s + ek; ++n) {
    if (n + row.pl + row.pr < ek || conv_size(n) != conv_output || !Accepts(row.mode, row, n)) {
      continue;
    }
    if (counted.smallest_input_with_this_output == 0) counted.smallest_input_with_this_output = n;
    counted.largest_input_with_this_output = n;
  }
  if (conv) {
    for (std::int64_t op = 0; op < row.s; ++op) {
      if ((axis.output - 1) * row.s - row.pl - row.pr + ek + op == row.n) {
        counted.restoring_output_padding = op;
      }
    }
  }
  return counted;
}

// The same counts for every leading part of the axis, and the taps of every output position, from
// SourceOfTap.
void ExpectPositionsToAgree(const Row& row, const Axis& axis) {
  std::set<std::int64_t> used, covered;
  for (std::int64_t output = 0; output < axis.output; ++output) {
    std::int64_t taps = 0;
    for (std::int64_t tap = 0; tap < axis.kernel; ++tap) {
      const TapSource source = SourceOfTap(row.operation, row.mode, axis, output, tap);
      if (source.input < 0) continue;
      ++taps;
      used.insert(source.input);
      covered.insert(output);
    }
    ASSERT_EQ(TapsThatRead(row.operation, row.mode, axis, output).count, taps);
  }
  for (std::int64_t bound = 0; bound <= axis.input; ++bound) {
    ASSERT_EQ(UsedInputsBelow(row.operation, row.mode, axis, bound),
              std::distance(used.begin(), used.lower_bound(bound)));
  }
  for (std::int64_t bound = 0; bound <= axis.output; ++bound) {
    ASSERT_EQ(CoveredOutputsBelow(row.operation, row.mode, axis, bound),
              std::distance(covered.begin(), covered.lower_bound(bound)));
  }
}

// Random rows, of which about every second one is a problem.
class RandomRows {
 public:
  explicit RandomRows(unsigned seed) : random_(seed) {}

  Row Next(Operation operation, PaddingMode mode) {
    const bool sparse =
        Below(3) == 0;  // stride and dilation that share factors and exceed the rest
    Row row = {.operation = operation,
               .n = 1 + Below(sparse ? 60 : 24),
               .k = 1 + Below(8),
               .s = 1 + Below(sparse ? 16 : 5),
               .d = 1 + Below(sparse ? 16 : 4),
               .mode = mode};
    if (Below(4) != 0) row.pl = Below(Below(4) == 0 ? 20 : 5);
    if (Below(4) != 0) row.pr = Below(Below(4) == 0 ? 20 : 5);
    if (operation == Operation::kConvTranspose) row.op = Below(std::max(row.s, row.d));
    return row;
  }

 private:
  std::int64_t Below(std::int64_t bound) {
    return std::uniform_int_distribution<std::int64_t>(0, bound - 1)(random_);
  }

  std::mt19937 random_;
};

struct Case {
  const char* name;
  Operation operation;
  PaddingMode mode;
  int problems;
};

class DescribeAxisByCounting : public testing::TestWithParam<Case> {};

TEST_P(DescribeAxisByCounting, AgreesInEveryField) {
  RandomRows rows(20240);
  for (int problems = 0; problems < GetParam().problems;) {
    const Row row = rows.Next(GetParam().operation, GetParam().mode);
    const auto problem = MakeAxis(row);
    if (!problem.has_value()) continue;
    ++problems;
    const AxisDescription described = DescribeAxis(*problem, 0);
    ASSERT_EQ(described.axis, problem->axes()[0]);
    ASSERT_EQ(Text(described), Text(Count(row, problem->axes()[0])))
        << "n=" << row.n << " k=" << row.k << " s=" << row.s << " d=" << row.d << " pl=" << row.pl
        << " pr=" << row.pr << " op=" << row.op;
    if (problems % 8 != 0) continue;
    ASSERT_NO_FATAL_FAILURE(ExpectPositionsToAgree(row, described.axis));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Random, DescribeAxisByCounting,
    testing::Values(Case{"ConvZeros", Operation::kConv, PaddingMode::kZeros, 12000},
                    Case{"ConvReflect", Operation::kConv, PaddingMode::kReflect, 8000},
                    Case{"ConvReplicate", Operation::kConv, PaddingMode::kReplicate, 8000},
                    Case{"ConvCircular", Operation::kConv, PaddingMode::kCircular, 8000},
                    Case{"ConvTranspose", Operation::kConvTranspose, PaddingMode::kZeros, 12000}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(DescribeAxis, KnowsThatAStrideBeyondTheKernelSkipsInputs) {
  const AxisDescription axis = Describe({.n = 6, .k = 2, .s = 4});  // reads 0, 1, 4, 5
  EXPECT_EQ(axis.unused_inputs, 2);
  EXPECT_EQ(axis.axis.output, 2);
}

TEST(DescribeAxis, KnowsThatATransposedStrideBeyondTheKernelLeavesOutputsUncovered) {
  const AxisDescription axis =
      Describe({.operation = Operation::kConvTranspose, .n = 2, .k = 2, .s = 4});
  EXPECT_EQ(axis.axis.output, 6);
  EXPECT_EQ(axis.unused_inputs, 0);
  EXPECT_EQ(axis.uncovered_outputs, 2);
}

TEST(DescribeAxis, KnowsThatATransposedPaddingOfTheKernelSizeUsesNoInput) {
  const AxisDescription axis =
      Describe({.operation = Operation::kConvTranspose, .n = 2, .k = 2, .s = 4, .pl = 2, .pr = 2});
  EXPECT_EQ(axis.axis.output, 2);
  EXPECT_EQ(axis.unused_inputs, 2);
  EXPECT_EQ(axis.uncovered_outputs, 2);
}

TEST(DescribeAxis, FindsTheOutputPaddingThatRestores28) {
  const AxisDescription axis = Describe({.n = 28, .k = 5, .s = 2});
  EXPECT_EQ(axis.axis.output, 12);
  EXPECT_EQ(axis.restoring_output_padding, 1);
  EXPECT_EQ(axis.smallest_input_with_this_output, 27);
  EXPECT_EQ(axis.largest_input_with_this_output, 28);
}

TEST(DescribeAxis, CallsAnOverlapEvenWhereTheStrideDividesTheKernel) {
  struct {
    std::int64_t k, s, d, min, max;
  } const rows[] = {{3, 2, 1, 1, 2}, {4, 2, 1, 2, 2}, {2, 4, 1, 0, 1},
                    {4, 2, 2, 0, 4}, {6, 3, 2, 2, 2}, {3, 1, 1, 3, 3}};
  for (const auto& row : rows) {
    const AxisDescription axis = Describe(
        {.operation = Operation::kConvTranspose, .n = 9, .k = row.k, .s = row.s, .d = row.d});
    EXPECT_EQ(axis.min_overlap, row.min) << row.k << " " << row.s << " " << row.d;
    EXPECT_EQ(axis.max_overlap, row.max) << row.k << " " << row.s << " " << row.d;
  }
}

TEST(DescribeAxis, CountsTheTapsThatZeroPaddingTakesFromBorderOutputs) {
  const AxisDescription axis = Describe({.n = 5, .k = 3, .pl = 3, .pr = 3});
  EXPECT_EQ(axis.min_overlap, 0);
  EXPECT_EQ(axis.max_overlap, 3);
  EXPECT_EQ(axis.uncovered_outputs, 2);
}

constexpr std::int64_t k2To20 = std::int64_t{1} << 20;
constexpr std::int64_t k2To31 = std::int64_t{1} << 31;
constexpr std::int64_t k2To40 = std::int64_t{1} << 40;

TEST(DescribeAxis, IsExactForSizesThatNoLoopCouldVisit) {
  const AxisDescription strided = Describe({.n = k2To40, .k = 3, .s = k2To31, .d = 5});
  EXPECT_EQ(strided.axis.output, 512);
  EXPECT_EQ(strided.unused_inputs, k2To40 - 512 * 3);
  EXPECT_EQ(strided.min_overlap, 3);

  const AxisDescription dilated = Describe({.n = k2To40, .k = 512, .s = k2To31 - 1, .d = k2To31});
  EXPECT_EQ(dilated.axis.output, 2);
  EXPECT_EQ(dilated.unused_inputs, k2To40 - 2 * 512);

  const AxisDescription wide = Describe({.n = k2To40, .k = k2To20, .pl = k2To20, .pr = k2To20});
  EXPECT_EQ(wide.unused_inputs, 0);
  EXPECT_EQ(wide.uncovered_outputs, 2);
  EXPECT_EQ(wide.max_overlap, k2To20);

  const AxisDescription transposed = Describe(
      {.operation = Operation::kConvTranspose, .n = k2To31, .k = 3, .s = 512, .d = k2To31});
  EXPECT_EQ(transposed.axis.output, (k2To31 - 1) * 512 + 2 * k2To31 + 1);
  // Taps meet where input i + 2^22 stands: the kernel covers the multiples of 512 from end to end.
  EXPECT_EQ(transposed.uncovered_outputs, transposed.axis.output - (k2To31 + 2 * (k2To31 / 512)));
  EXPECT_EQ(transposed.min_overlap, 0);
  EXPECT_EQ(transposed.max_overlap, 3);
}

TEST(DescribeAxis, IsExactForHugeFoldedPadding) {
  // Stride 2: direct reads cover the inputs of one parity, and a fold by an odd distance the other.
  for (const auto mode : {PaddingMode::kReflect, PaddingMode::kCircular}) {
    const AxisDescription odd =
        Describe({.n = k2To40 + 1, .k = 1, .s = 2, .pl = k2To31, .pr = 0, .mode = mode});
    const std::int64_t folded = mode == PaddingMode::kCircular ? k2To31 / 2 : 0;
    EXPECT_EQ(odd.unused_inputs, k2To40 / 2 - folded);
  }
}

TEST(DescribeAxis, CapsTheLargestInputAtTheLargestNumber) {
  const std::int64_t most = std::numeric_limits<std::int64_t>::max();
  const AxisDescription axis = Describe({.n = 5, .k = 3, .s = most});
  EXPECT_EQ(axis.axis.output, 1);
  EXPECT_EQ(axis.smallest_input_with_this_output, 3);
  EXPECT_EQ(axis.largest_input_with_this_output, most);
}

// Numbers near every power of two, in all positions: answers must come (quickly, and without the
// overflow that the sanitizers would report) and stay within their bounds.
TEST(DescribeAxis, HoldsItsBoundsForExtremeParameters) {
  std::mt19937_64 random(7);
  const auto any = [&](int bits) {
    const int shift = static_cast<int>(random() % static_cast<unsigned>(bits));
    return static_cast<std::int64_t>((random() % 3 == 0 ? 0 : random() >> (64 - bits)) >> shift);
  };
  int problems = 0;
  while (problems < 3000) {
    Row row = {.n = 1 + any(62), .k = 1 + any(62), .s = 1 + any(62), .d = 1 + any(62)};
    row.pl = any(61);
    row.pr = any(61);
    row.operation = random() % 2 == 0 ? Operation::kConv : Operation::kConvTranspose;
    if (row.operation == Operation::kConv) {
      row.mode = static_cast<PaddingMode>(1 + random() % 4);
    } else {
      row.op = any(62) % std::max(row.s, row.d);
    }
    const auto problem = MakeAxis(row);
    if (!problem.has_value()) continue;
    ++problems;
    const AxisDescription axis = DescribeAxis(*problem, 0);
    ASSERT_GE(axis.unused_inputs, 0) << problem->ToString();
    ASSERT_LE(axis.unused_inputs, axis.axis.input) << problem->ToString();
    ASSERT_GE(axis.uncovered_outputs, 0) << problem->ToString();
    ASSERT_LE(axis.uncovered_outputs, axis.axis.output) << problem->ToString();
    ASSERT_GE(axis.min_overlap, 0) << problem->ToString();
    ASSERT_LE(axis.min_overlap, axis.max_overlap) << problem->ToString();
    ASSERT_LE(axis.max_overlap, axis.axis.kernel) << problem->ToString();
    if (row.operation == Operation::kConv) {
      ASSERT_LE(axis.smallest_input_with_this_output, axis.axis.input) << problem->ToString();
      ASSERT_GE(axis.largest_input_with_this_output, axis.axis.input) << problem->ToString();
    }
  }
}

TEST(DescribeAxis, DescribesEachAxisOfAProblemByItself) {
  ProblemSpec spec;
  spec.input = {DataType::kFloat32, {1, 3, 6, 8}, {}};
  spec.weight = {DataType::kFloat32, {4, 3, 2, 3}, {}};
  spec.parameters = ConvParameters{.stride = {4, 1}, .padding = {0, 1}};
  const auto problem = MakeProblem(spec);
  ASSERT_TRUE(problem.ok()) << problem.status();
  const std::vector<std::int64_t> unused = {DescribeAxis(*problem, 0).unused_inputs,
                                            DescribeAxis(*problem, 1).unused_inputs};
  EXPECT_THAT(unused, ElementsAre(2, 0));
}

}  // namespace
}  // namespace convserve
