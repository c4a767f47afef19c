#include "tests/bench/workload.h"

#include <cstdlib>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/bench/layer.h"

namespace convserve::bench {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string FileOf(const std::string& rows) {
  std::string path = ::testing::TempDir() + "/layers.csv";
  std::ofstream(path) << "name,class,op,N,C,in,K,k,s,p,d,outpad,g\n" << rows;
  return path;
}

TEST(Layers, AreReadRowByRow) {
  const auto layers = ReadLayers(FileOf("up,net,deconv,2,4,5x6,6,3x2,2x1,1x0,1x1,1x0,2\n"));
  ASSERT_TRUE(layers.ok()) << layers.status();
  ASSERT_EQ(layers->size(), 1U);
  const Layer& layer = layers->front();
  EXPECT_EQ(layer.name, "up");
  EXPECT_EQ(layer.class_name, "net");
  EXPECT_TRUE(layer.transposed);
  EXPECT_THAT(layer.input, ElementsAre(5, 6));
  EXPECT_THAT(layer.output_padding, ElementsAre(1, 0));

  const auto problem = MakeLayerProblem(layer);
  ASSERT_TRUE(problem.ok()) << problem.status();
  EXPECT_THAT(problem->weight_shape(), ElementsAre(4, 3, 3, 2));
  EXPECT_THAT(problem->output_shape(), ElementsAre(2, 6, 10, 7));
}

TEST(Layers, ThatBreakTheFormatAreNamedByLine) {
  const auto layers = ReadLayers(FileOf("a,b,conv,1,1,4,1,3,1,0,1,0,1\na,b,conv,one\n"));
  EXPECT_THAT(std::string(layers.status().message()),
              HasSubstr("layers.csv:3: expected name,class"));
}

TEST(Layers, OfTheProjectAreAllValid) {
  const auto layers = ReadLayers(CONVSERVE_SOURCE_DIR "/tests/bench/layers.csv");
  ASSERT_TRUE(layers.ok()) << layers.status();
  EXPECT_GT(layers->size(), 60U);
  for (const Layer& layer : *layers) {
    EXPECT_TRUE(MakeLayerProblem(layer).ok()) << layer.name << MakeLayerProblem(layer).status();
  }
}

TEST(Inside, IsTheRangeOfPositionsWithinTheLimit) {
  for (std::int64_t count = 1; count <= 5; ++count) {
    for (std::int64_t stride = 1; stride <= 3; ++stride) {
      for (std::int64_t offset = -9; offset <= 9; ++offset) {
        for (std::int64_t limit = 1; limit <= 6; ++limit) {
          const Range range = Inside(count, stride, offset, limit);
          for (std::int64_t i = 0; i < count; ++i) {
            const std::int64_t at = i * stride + offset;
            EXPECT_EQ(range.begin <= i && i < range.end, 0 <= at && at < limit)
                << count << ' ' << stride << ' ' << offset << ' ' << limit << ' ' << i;
          }
          EXPECT_LE(0, range.begin);
          EXPECT_LE(range.begin, range.end);
          EXPECT_LE(range.end, count);
        }
      }
    }
  }
}

}  // namespace
}  // namespace convserve::bench
