// Results of PyTorch, SciPy and ONNX, computed when the golden files were made
// (tests/data/golden/make_*.py): ours are the same, whichever algorithm computes them.
#include "tests/support/golden.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/convolve.h"
#include "core/planner.h"
#include "core/problem.h"
#include "gtest/gtest.h"
#include "tests/support/tensors.h"

namespace convserve {
namespace {

using ::convserve::testing::GoldenCase;
using ::convserve::testing::ReadGoldenFile;
using ::convserve::testing::SameBits;
using ::convserve::testing::ToDoubles;

// A sum of n products, formed in any order, with every product and every sum rounded to nearest,
// differs from the exact sum by at most n * eps/2 * sum|x||w| (to first order); the bias is one
// term more.
double BoundFactor(const Problem& problem) {
  std::int64_t products = problem.input_channels() / problem.groups();
  for (const Axis& axis : problem.axes()) products *= axis.kernel;
  return static_cast<double>(products + 1) / 2 * std::numeric_limits<float>::epsilon();
}

void ExpectGolden(const GoldenCase& golden, const Problem& problem, const Tensor& actual) {
  ASSERT_EQ(actual.shape(), golden.expected.shape());
  ASSERT_EQ(actual.data_type(), golden.expected.data_type());
  if (golden.magnitude.empty()) {
    EXPECT_TRUE(SameBits(actual, golden.expected))
        << "expected " << ::testing::PrintToString(ToDoubles(golden.expected)) << "\n     got "
        << ::testing::PrintToString(ToDoubles(actual));
    return;
  }
  const std::vector<double> expected = ToDoubles(golden.expected);
  const std::vector<double> values = ToDoubles(actual);
  for (std::size_t i = 0; i < values.size(); ++i) {
    // The expected value is itself rounded to float32.
    EXPECT_LE(std::abs(values[i] - expected[i]),
              (BoundFactor(problem) + std::numeric_limits<float>::epsilon()) * golden.magnitude[i])
        << "at " << i;
  }
}

Tensor RunWith(const Problem& problem, const Operands& operands, std::string_view algorithm) {
  const absl::StatusOr<Plan> plan = MakePlan(problem, algorithm);
  EXPECT_TRUE(plan.ok()) << plan.status().ToString();
  Tensor output(problem.output_type(), problem.output_shape());
  const absl::Status status =
      Execute(*plan, operands, {output.data(), static_cast<std::size_t>(output.byte_count())});
  EXPECT_TRUE(status.ok()) << status.ToString();
  return output;
}

class Golden : public ::testing::TestWithParam<const char*> {};

TEST_P(Golden, EveryAlgorithmThatAcceptsTheProblemGivesTheResult) {
  std::set<std::string_view> used;
  for (const GoldenCase& golden : ReadGoldenFile(GetParam())) {
    SCOPED_TRACE(golden.name);
    const absl::StatusOr<Problem> problem = MakeProblem(golden.spec());
    ASSERT_TRUE(problem.ok()) << problem.status().ToString();
    for (const std::string_view algorithm : AlgorithmNames()) {
      if (!MakePlan(*problem, algorithm).ok()) continue;
      SCOPED_TRACE(algorithm);
      used.insert(algorithm);
      ExpectGolden(golden, *problem, RunWith(*problem, golden.operands(), algorithm));
    }
  }
  if (std::string_view(GetParam()) == "pytorch.json") {
    // These take larger problems or more channels only: large_algorithms_test.cc and
    // typed_algorithms_test.cc hold them against the reference.
    used.insert({"winograd", "channels_last", "converted", "interleaved"});
    EXPECT_EQ(used.size(), AlgorithmNames().size()) << "an algorithm took part in no case";
  }
}

TEST_P(Golden, TheOneCallInterfaceGivesTheResult) {
  for (const GoldenCase& golden : ReadGoldenFile(GetParam())) {
    SCOPED_TRACE(golden.name);
    const absl::StatusOr<Problem> problem = MakeProblem(golden.spec());
    ASSERT_TRUE(problem.ok()) << problem.status().ToString();
    const auto* conv = std::get_if<ConvParameters>(&golden.parameters);
    const absl::StatusOr<Tensor> output =
        conv != nullptr
            ? Conv(golden.operands(), *conv, golden.output_type)
            : ConvTranspose(golden.operands(), std::get<ConvTransposeParameters>(golden.parameters),
                            golden.output_type);
    ASSERT_TRUE(output.ok()) << output.status().ToString();
    ExpectGolden(golden, *problem, *output);
  }
}

INSTANTIATE_TEST_SUITE_P(MadeBy, Golden,
                         ::testing::Values("pytorch.json", "scipy.json", "onnx.json"),
                         [](const auto& info) {
                           const std::string file = info.param;
                           return file.substr(0, file.find('.'));
                         });

}  // namespace
}  // namespace convserve
