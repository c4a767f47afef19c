// Products of quads by every instruction set, with an instruction for them and without.
#include "core/kernels/byte_kernel.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "core/convolve.h"
#include "gtest/gtest.h"
#include "tests/core/kernel_tile.h"
#include "tests/support/random_spec.h"

namespace convserve {
namespace {

using testing::KernelTile;
using testing::Random;

class ByteKernelTest : public ::testing::Test {
 protected:
  void TearDown() override { ASSERT_TRUE(ForceInstructionSet("").ok()); }

  std::vector<std::int32_t> RandomQuads(std::int64_t count) {
    std::vector<std::int32_t> quads(static_cast<std::size_t>(count));
    for (std::int32_t& quad : quads) {
      // Bytes at the ends of their range, too: sums of pairs would overflow 16 bits.
      std::uint32_t bits = 0;
      for (int q = 0; q < 4; ++q) {
        const std::array<std::int64_t, 4> ends = {0, 127, 128, 255};
        const std::int64_t byte = random_.OneIn(2)
                                      ? ends[static_cast<std::size_t>(random_.Between(0, 3))]
                                      : random_.Between(0, 255);
        bits |= static_cast<std::uint32_t>(byte) << (8 * q);
      }
      quad = static_cast<std::int32_t>(bits);
    }
    return quads;
  }

  static std::int64_t Byte(std::int32_t quad, int q, bool is_signed) {
    const auto byte = static_cast<std::uint8_t>(static_cast<std::uint32_t>(quad) >> (8 * q));
    return is_signed ? static_cast<std::int8_t>(byte) : byte;
  }

  Random random_{31};
};

TEST_F(ByteKernelTest, AddsProductsExactly) {
  for (const std::string_view set : InstructionSets()) {
    ASSERT_TRUE(ForceInstructionSet(set).ok());
    for (const bool in_one : {true, false}) {
      for (const bool signed_rows : {true, false}) {
        for (const std::int64_t rows : {1, 3, 5, 14, 31}) {
          for (const std::int64_t columns : {1, 16, 33, 70, 130}) {
            KernelTile<std::int32_t> product(rows, columns,
                                             [&](auto count) { return RandomQuads(count); });
            GemmTile<std::int32_t>& tile = product.tile;
            tile.accumulate = true;
            const ByteTable& kernels = ByteKernels(in_one);
            (signed_rows ? kernels.signed_rows : kernels.unsigned_rows)(tile);
            for (std::int64_t i = 0; i < rows * columns; ++i) {
              std::int64_t sum = product.kBefore;
              product.ForEachProduct(i, [&](std::int32_t weight, std::int32_t value) {
                for (int q = 0; q < 4; ++q) {
                  sum += Byte(weight, q, signed_rows) * Byte(value, q, !signed_rows);
                }
              });
              ASSERT_EQ(product.c[static_cast<std::size_t>(i)], sum)
                  << set << ", " << rows << " rows, " << columns << " columns, element " << i;
            }
          }
        }
      }
    }
  }
}

TEST_F(ByteKernelTest, MakesQuadsOfFourRows) {
  constexpr std::int64_t kPitch = 70;
  std::vector<std::uint8_t> rows(4 * kPitch);
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<std::uint8_t>(7 * i);
  for (const std::string_view set : InstructionSets()) {
    ASSERT_TRUE(ForceInstructionSet(set).ok());
    for (std::int64_t count = 0; count <= kPitch; ++count) {
      std::vector<std::int32_t> quads(static_cast<std::size_t>(count) + 1, 7);
      ByteKernels().quads({rows.data(), kPitch, count, 0x80, quads.data()});
      for (std::int64_t i = 0; i < count; ++i) {
        for (int q = 0; q < 4; ++q) {
          ASSERT_EQ(Byte(quads[static_cast<std::size_t>(i)], q, false),
                    rows[static_cast<std::size_t>(q * kPitch + i)] ^ 0x80)
              << set;
        }
      }
      ASSERT_EQ(quads.back(), 7) << set;
    }
  }
}

}  // namespace
}  // namespace convserve
