#include "core/convolve.h"

#include <cstdint>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace convserve {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

Tensor Floats(Shape shape, std::vector<float> values) {
  return Tensor::Of<float>(std::move(shape), values);
}

std::vector<float> Values(const Tensor& tensor) {
  return {tensor.As<float>(), tensor.As<float>() + tensor.size()};
}

TEST(ConvTranspose, ScattersTheKernelAtStrideFour) {
  const Tensor input = Floats({1, 1, 2, 2}, {1, 2, 3, 4});
  const Tensor weight = Floats({1, 1, 2, 2}, {1, 2, 0, 1});
  const auto output = ConvTranspose({input.view(), weight.view(), {}}, {.stride = {4}});
  ASSERT_TRUE(output.ok()) << output.status();
  EXPECT_THAT(output->shape(), ElementsAre(1, 1, 6, 6));
  EXPECT_THAT(Values(*output), ElementsAreArray({1, 2, 0, 0, 2, 4,  //
                                                 0, 1, 0, 0, 0, 2,  //
                                                 0, 0, 0, 0, 0, 0,  //
                                                 0, 0, 0, 0, 0, 0,  //
                                                 3, 6, 0, 0, 4, 8,  //
                                                 0, 3, 0, 0, 0, 4}));
}

}  // namespace
}  // namespace convserve
