#include "core/problem.h"

#include "gtest/gtest.h"

namespace convserve {
namespace {

TEST(Problem, KeepsShape) {
  ProblemSpec spec;
  spec.input = {DataType::kFloat32, {1, 1, 4, 4}, {}};
  spec.weight = {DataType::kFloat32, {1, 1, 3, 3}, {}};
  const auto problem = MakeProblem(spec);
  ASSERT_TRUE(problem.ok()) << problem.status();
  EXPECT_EQ(problem->output_shape(), (Shape{1, 1, 2, 2}));
}

}  // namespace
}  // namespace convserve
