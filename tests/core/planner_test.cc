// What the planner looks at.
#include "core/planner.h"

#include <cstdint>
#include <string>

#include "gtest/gtest.h"
#include "tests/core/layer_case.h"

namespace convserve {
namespace {

using testing::LayerCase;

// Else a row of a batch could have other bits than the row alone.
TEST(Planner, ChoosesTheSameAlgorithmForAnyBatch) {
  for (const std::int64_t channels : {3, 16, 64, 200}) {
    for (std::int64_t size = 3; size < 40; size += 3) {
      for (const std::int64_t kernel : {1, 2, 3, 5}) {
        for (const std::int64_t stride : {1, 2, 4}) {
          for (const std::int64_t dilation : {1, 6}) {
            for (const bool transposed : {false, true}) {
              const auto name = [&](std::int64_t batch) {
                const ProblemSpec spec = LayerCase{.name = "",
                                                   .input = {batch, channels, size, size},
                                                   .filters = 64,
                                                   .kernel = {kernel, kernel},
                                                   .padding = {kernel / 2 * dilation},
                                                   .stride = {stride},
                                                   .dilation = {dilation},
                                                   .transposed = transposed}
                                             .spec();
                const auto problem = MakeProblem(spec);
                if (!problem.ok()) return std::string("none");  // all is cropped
                return std::string(MakePlan(*problem)->algorithm_name());
              };
              ASSERT_NE(name(0), "") << "an empty batch has a plan, too";
              ASSERT_EQ(name(1), name(2));
              ASSERT_EQ(name(1), name(70)) << channels << " channels, " << size;
            }
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace convserve
