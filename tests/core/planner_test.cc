// What the planner looks at.
#include "core/planner.h"

#include <cstdint>
#include <string>

#include "gtest/gtest.h"
#include "tests/core/layer_case.h"
#include "tests/support/random_spec.h"

namespace convserve {
namespace {

using testing::LayerCase;
using testing::Random;
using testing::RandomSpec;
using testing::SpecRange;

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

TEST(Planner, ChoosesTheSameAlgorithmForAnyBatchOfAnyType) {
  constexpr SpecRange kLarge = {.max_groups = 200,
                                .max_channels = 300,
                                .max_filters = 300,
                                .max_spatial = 300,
                                .max_kernel = 11,
                                .max_padding = 30};
  Random random(41);
  for (int valid = 0; valid < 4000;) {
    ProblemSpec spec = RandomSpec(random, kLarge);
    if (random.OneIn(4)) {  // depthwise ones are rare among random ones
      spec = LayerCase{.name = "",
                       .input = {1, 64, random.Between(3, 300), random.Between(3, 300)},
                       .filters = 64,
                       .kernel = {3, 3},
                       .groups = 64}
                 .spec();
    }
    if (random.OneIn(4)) {  // as are transposed ones of few filters
      const std::int64_t kernel = random.Between(2, 5);
      spec = LayerCase{.name = "",
                       .input = {1, 20, random.Between(3, 70), random.Between(3, 70)},
                       .filters = random.Between(1, 11),
                       .kernel = {kernel, kernel},
                       .stride = {random.Between(2, 4)},
                       .dilation = {random.Between(1, 6)},
                       .transposed = true}
                 .spec();
    }
    spec.input.data_type = spec.weight.data_type = static_cast<DataType>(random.Between(1, 6));
    if (spec.bias) spec.bias->data_type = spec.input.data_type;
    const auto named = [&](std::int64_t batch) {
      spec.input.shape[0] = batch;
      const auto problem = MakeProblem(spec);
      if (!problem.ok()) return std::string("none");
      return std::string(MakePlan(*problem)->algorithm_name());
    };
    const auto problem = MakeProblem(spec);
    if (!problem.ok() || spec.input.shape.size() != problem->axes().size() + 2) continue;
    const std::string many = named(20);
    if (many == "none") continue;  // past the limits
    ++valid;
    ASSERT_EQ(named(1), many) << problem->ToString();
  }
}

}  // namespace
}  // namespace convserve
