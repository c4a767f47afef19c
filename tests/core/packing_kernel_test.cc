// Transposition by every instruction set.
#include "core/kernels/packing_kernel.h"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "core/convolve.h"
#include "gtest/gtest.h"

namespace convserve {
namespace {

TEST(PackingKernelTest, TransposesWhatItIsAskedForAlone) {
  constexpr std::int64_t kPitch = 27;
  std::vector<std::int32_t> from(kPitch * kPitch);
  for (std::size_t i = 0; i < from.size(); ++i) from[i] = static_cast<std::int32_t>(i);
  for (const std::string_view set : InstructionSets()) {
    ASSERT_TRUE(ForceInstructionSet(set).ok());
    for (std::int64_t rows = 0; rows < 20; ++rows) {
      for (std::int64_t columns = 0; columns < 20; ++columns) {
        std::vector<std::int32_t> to(from.size(), -1);
        PackingKernels().transpose({from.data(), kPitch, rows, columns, to.data(), kPitch});
        for (std::int64_t i = 0; i < kPitch; ++i) {
          for (std::int64_t j = 0; j < kPitch; ++j) {
            const std::int64_t expected = i < rows && j < columns ? j * kPitch + i : -1;
            ASSERT_EQ(to[static_cast<std::size_t>(i * kPitch + j)], expected)
                << set << ", " << rows << " x " << columns;
          }
        }
      }
    }
  }
  ASSERT_TRUE(ForceInstructionSet("").ok());
}

}  // namespace
}  // namespace convserve
