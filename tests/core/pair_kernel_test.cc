// Products of pairs of bfloat16 by every instruction set, with an instruction for them and without.
#include "core/kernels/pair_kernel.h"

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "core/convolve.h"
#include "core/kernels/running_sum.h"
#include "gtest/gtest.h"
#include "tests/core/kernel_tile.h"
#include "tests/support/random_spec.h"

namespace convserve {
namespace {

using testing::KernelTile;
using testing::Random;

constexpr std::uint16_t kLeastModerate = (127 - 56) << 7;

class PairKernelTest : public ::testing::Test {
 protected:
  void TearDown() override { ASSERT_TRUE(ForceInstructionSet("").ok()); }

  // Of any magnitude, or of a moderate one: zero, around 1, or one of the ends.
  BFloat16 RandomNumber(bool moderate) {
    const auto sign = static_cast<std::uint16_t>(random_.OneIn(2) ? 0x8000 : 0);
    std::int64_t bits = random_.Between(0, 0x7f7f);
    if (moderate) {
      bits = random_.OneIn(8)   ? 0
             : random_.OneIn(8) ? kLeastModerate + random_.Between(0, 0x7f)
                                : random_.Between(0x3e00, 0x40ff);
    }
    return {static_cast<std::uint16_t>(sign | bits)};
  }

  std::vector<float> RandomPairs(std::int64_t count, bool moderate) {
    std::vector<float> pairs;
    for (std::int64_t i = 0; i < count; ++i) {
      const std::uint32_t upper = RandomNumber(moderate).bits;
      pairs.push_back(std::bit_cast<float>(upper << 16 | RandomNumber(moderate).bits));
    }
    return pairs;
  }

  static float Upper(float pair) {
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(pair) & 0xffff0000U);
  }
  static float Lower(float pair) {
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(pair) << 16);
  }

  Random random_{37};
};

TEST_F(PairKernelTest, AddsProductsInOrder) {
  static_assert(2 * KernelTile<float>::kDepth < kRunningSum);
  for (const std::string_view set : InstructionSets()) {
    ASSERT_TRUE(ForceInstructionSet(set).ok());
    for (const bool in_one : {true, false}) {
      for (const bool moderate : {true, false}) {
        for (const std::int64_t rows : {1, 3, 5, 14, 31}) {
          for (const std::int64_t columns : {1, 16, 33, 70, 130}) {
            KernelTile<float> product(rows, columns,
                                      [&](auto count) { return RandomPairs(count, moderate); });
            GemmTile<float>& tile = product.tile;
            tile.moderate = moderate;
            PairKernels(in_one).gemm(tile);
            for (std::int64_t i = 0; i < rows * columns; ++i) {
              float sum = 0;
              product.ForEachProduct(i, [&](float x, float y) {
                sum = std::fma(Upper(x), Upper(y), sum);
                sum = std::fma(Lower(x), Lower(y), sum);
              });
              const float actual = product.c[static_cast<std::size_t>(i)];
              if (std::isnan(sum) && std::isnan(actual)) continue;
              ASSERT_EQ(std::bit_cast<std::uint32_t>(actual), std::bit_cast<std::uint32_t>(sum))
                  << set << ", " << rows << " rows, " << columns << " columns, element " << i;
            }
          }
        }
      }
    }
  }
}

TEST_F(PairKernelTest, MakesPairsOfTwoRows) {
  constexpr std::int64_t kPitch = 70;
  std::vector<BFloat16> rows(2 * kPitch);
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i].bits = static_cast<std::uint16_t>(999 * i);
  for (const std::string_view set : InstructionSets()) {
    ASSERT_TRUE(ForceInstructionSet(set).ok());
    for (std::int64_t count = 0; count <= kPitch; ++count) {
      std::vector<float> pairs(static_cast<std::size_t>(count) + 1, 7);
      PairKernels().pairs({rows.data(), kPitch, count, pairs.data()});
      for (std::int64_t i = 0; i < count; ++i) {
        const auto bits = std::bit_cast<std::uint32_t>(pairs[static_cast<std::size_t>(i)]);
        ASSERT_EQ(bits & 0xffffU, rows[static_cast<std::size_t>(i)].bits) << set;
        ASSERT_EQ(bits >> 16, rows[static_cast<std::size_t>(kPitch + i)].bits) << set;
      }
      ASSERT_EQ(pairs.back(), 7) << set;
    }
  }
}

TEST_F(PairKernelTest, TellsWhatIsModerate) {
  for (const std::string_view set : InstructionSets()) {
    ASSERT_TRUE(ForceInstructionSet(set).ok());
    for (const std::int64_t count : {0, 1, 7, 16, 32, 33, 100}) {
      std::vector<BFloat16> numbers;
      for (std::int64_t i = 0; i < count; ++i) numbers.push_back(RandomNumber(true));
      const auto look = [&] { return PairKernels().magnitudes(numbers.data(), count); };
      EXPECT_TRUE(look().finite) << set;
      EXPECT_TRUE(look().moderate) << set;
      for (BFloat16& number : numbers) {
        const BFloat16 before = number;
        for (const int sign : {0, 0x8000}) {
          for (const int bits : {0, 1, 0x7f, 0x80, kLeastModerate - 1, int{kLeastModerate}, 0x3f80,
                                 0x7f7f, 0x7f80, 0x7f81, 0x7fff}) {
            number.bits = static_cast<std::uint16_t>(sign | bits);
            EXPECT_EQ(look().finite, bits < 0x7f80) << set << ", " << number.bits;
            EXPECT_EQ(look().moderate, bits == 0 || (bits >= kLeastModerate && bits < 0x7f80))
                << set << ", " << number.bits;
          }
        }
        number = before;
      }
    }
  }
}

}  // namespace
}  // namespace convserve
