// Rows converted by every instruction set, against the rules for one element.
#include "core/kernels/convert_kernel.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "core/convolve.h"
#include "gtest/gtest.h"

namespace convserve {
namespace {

class ConvertKernelTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { ASSERT_TRUE(ForceInstructionSet(GetParam()).ok()); }
  void TearDown() override { ASSERT_TRUE(ForceInstructionSet("").ok()); }
};

std::vector<std::string> Sets() {
  const auto names = InstructionSets();
  return {names.begin(), names.end()};
}

template <typename T>
std::vector<T> EveryValue() {
  std::vector<T> values(std::size_t{1} << (8 * sizeof(T)));
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = std::bit_cast<T>(
        static_cast<std::conditional_t<sizeof(T) == 1, std::uint8_t, std::uint16_t>>(i));
  }
  return values;
}

template <typename T>
void ExpectWidened() {
  const std::vector<T> from = EveryValue<T>();
  std::vector<float> to(from.size());
  WidenRow(from.data(), static_cast<std::int64_t>(from.size()), to.data());
  for (std::size_t i = 0; i < from.size(); ++i) {
    ASSERT_EQ(std::bit_cast<std::uint32_t>(to[i]),
              std::bit_cast<std::uint32_t>(Widen<float>(from[i])))
        << i;
  }
}

TEST_P(ConvertKernelTest, WidensEveryValue) {
  ExpectWidened<Float16>();
  ExpectWidened<BFloat16>();
  ExpectWidened<std::int8_t>();
  ExpectWidened<std::uint8_t>();
}

// Floats of every sign and exponent, at and beside the places where some type rounds or ends.
std::vector<float> HardFloats() {
  std::vector<float> values = {std::numeric_limits<float>::infinity(),
                               -std::numeric_limits<float>::infinity(),
                               std::numeric_limits<float>::quiet_NaN(),
                               std::bit_cast<float>(0xff812345U),
                               0.0F,
                               -0.0F,
                               std::numeric_limits<float>::max()};
  for (std::uint32_t high = 0; high < 0x7f80; ++high) {
    for (const std::uint32_t low : {0x0000U, 0x0001U, 0x7fffU, 0x8000U, 0x8001U, 0xffffU}) {
      const float value = std::bit_cast<float>((high << 16) | low);
      values.push_back(value);
      values.push_back(-value);
    }
  }
  for (int i = -600; i <= 600; ++i) values.push_back(static_cast<float>(i) / 2);
  for (const float base : {32768.0F, 65504.0F, 65520.0F, 2147483648.0F, 8388608.0F}) {
    for (const float value : {base, std::nextafter(base, 0.0F), std::nextafter(base, 3e9F)}) {
      values.push_back(value);
      values.push_back(-value);
    }
  }
  return values;
}

template <typename T>
std::array<std::byte, sizeof(T)> Bits(T value) {
  return std::bit_cast<std::array<std::byte, sizeof(T)>>(value);
}

template <typename To>
void ExpectRounded() {
  const std::vector<float> from = HardFloats();
  std::vector<To> to(from.size());
  for (const float bias : {0.0F, 0.25F}) {
    RoundRow(from.data(), bias, static_cast<std::int64_t>(from.size()), to.data());
    for (std::size_t i = 0; i < from.size(); ++i) {
      const To expected = RoundTo<To>(from[i] + bias);
      ASSERT_EQ(Bits(to[i]), Bits(expected)) << from[i] << " + " << bias;
    }
  }
}

TEST_P(ConvertKernelTest, RoundsLikeTheRuleForOneElement) {
  ExpectRounded<float>();
  ExpectRounded<double>();
  ExpectRounded<Float16>();
  ExpectRounded<BFloat16>();
  ExpectRounded<std::int8_t>();
  ExpectRounded<std::uint8_t>();
  ExpectRounded<std::int32_t>();
}

template <typename To>
void ExpectIntegersRounded() {
  std::vector<std::int32_t> from;
  for (std::int32_t i = -300; i <= 300; ++i) from.push_back(i);
  for (int bit = 8; bit < 30; ++bit) {
    for (const std::int32_t near : {-3, -1, 0, 1, 3}) {
      from.push_back((1 << bit) + near);
      from.push_back(-(1 << bit) + near);
    }
  }
  std::vector<To> to(from.size());
  for (const std::int32_t bias : {0, -100, 1 << 29}) {
    RoundRow(from.data(), bias, static_cast<std::int64_t>(from.size()), to.data());
    for (std::size_t i = 0; i < from.size(); ++i) {
      ASSERT_EQ(to[i], RoundTo<To>(from[i] + bias)) << from[i] << " + " << bias;
    }
  }
}

TEST_P(ConvertKernelTest, RoundsIntegersLikeTheRuleForOneElement) {
  ExpectIntegersRounded<float>();
  ExpectIntegersRounded<double>();
  ExpectIntegersRounded<Float16>();
  ExpectIntegersRounded<BFloat16>();
  ExpectIntegersRounded<std::int8_t>();
  ExpectIntegersRounded<std::uint8_t>();
  ExpectIntegersRounded<std::int32_t>();
}

TEST_P(ConvertKernelTest, WritesWhatItIsAskedForAlone) {
  const std::vector<float> from(40, 3.0F);
  const std::vector<std::uint8_t> bytes(40, 3);
  for (std::int64_t count = 0; count <= 40; ++count) {
    for (const std::int64_t step : {1, 3}) {
      std::vector<std::int8_t> to(121, 7);
      RoundRow(from.data(), 1.0F, count, step, to.data());
      for (std::int64_t i = 0; i <= 120; ++i) {
        const bool asked = i % step == 0 && i / step < count;
        ASSERT_EQ(to[static_cast<std::size_t>(i)], asked ? 4 : 7) << count << " of " << step;
      }
    }
    std::vector<float> wide(41, 7.0F);
    WidenRow(bytes.data(), count, wide.data());
    for (std::int64_t i = 0; i <= 40; ++i) {
      ASSERT_EQ(wide[static_cast<std::size_t>(i)], i < count ? 3.0F : 7.0F) << count;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Sets, ConvertKernelTest, ::testing::ValuesIn(Sets()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace convserve
