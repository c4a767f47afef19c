#include "core/data_type.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "core/convert.h"

namespace convserve {
namespace {

struct TypeInfo {
  DataType type;
  std::string_view name;
  std::int64_t size;
};

constexpr std::array<TypeInfo, 7> kTypes = {{
    {DataType::kFloat32, "float32", 4},
    {DataType::kFloat64, "float64", 8},
    {DataType::kFloat16, "float16", 2},
    {DataType::kBFloat16, "bfloat16", 2},
    {DataType::kInt8, "int8", 1},
    {DataType::kUInt8, "uint8", 1},
    {DataType::kInt32, "int32", 4},
}};

const TypeInfo* Find(DataType type) {
  for (const TypeInfo& info : kTypes) {
    if (info.type == type) return &info;
  }
  return nullptr;
}

// A float that rounds like `value` to any format with at least two bits less: rounded towards zero,
// with the lowest bit set when anything was lost ("round to odd"), so that a second rounding is not
// a double rounding.
float RoundToOdd(double value) {
  const float nearest = static_cast<float>(value);
  if (std::isnan(value) || std::isinf(nearest) || static_cast<double>(nearest) == value) {
    return nearest;
  }
  auto bits = std::bit_cast<std::uint32_t>(nearest);
  if (std::fabs(static_cast<double>(nearest)) > std::fabs(value)) --bits;
  return std::bit_cast<float>(bits | 1U);
}

}  // namespace

Float16 ToFloat16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000U);
  const std::uint32_t magnitude = bits & 0x7fffffffU;
  std::uint32_t half = 0;
  if (magnitude > 0x7f800000U) {  // NaN: quiet, upper payload bits kept
    half = 0x7e00U | ((magnitude >> 13) & 0x3ffU);
  } else if (magnitude >= 0x477ff000U) {  // 65520 and above round to infinity
    half = 0x7c00U;
  } else if (magnitude < 0x38800000U) {  // below 2^-14: subnormal, in units of 2^-24
    // Adding 0.5 lets the float adder round to nearest even at exactly the unit 2^-24.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5F;
    half = std::bit_cast<std::uint32_t>(shifted) - std::bit_cast<std::uint32_t>(0.5F);
  } else {
    const std::uint32_t odd = (magnitude >> 13) & 1U;
    half = (magnitude - 0x38000000U + 0xfffU + odd) >> 13;
  }
  return {static_cast<std::uint16_t>(sign | half)};
}

Float16 ToFloat16(double value) { return ToFloat16(RoundToOdd(value)); }

BFloat16 ToBFloat16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if (std::isnan(value)) return {static_cast<std::uint16_t>((bits >> 16) | 0x40U)};
  return {static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16)};
}

BFloat16 ToBFloat16(double value) { return ToBFloat16(RoundToOdd(value)); }

std::string_view Name(DataType type) {
  if (type == DataType::kUnspecified) return "unspecified";
  const TypeInfo* info = Find(type);
  return info == nullptr ? "unknown" : info->name;
}

std::optional<DataType> ParseDataType(std::string_view name) {
  for (const TypeInfo& info : kTypes) {
    if (info.name == name) return info.type;
  }
  return std::nullopt;
}

std::string_view DataTypeNames() {
  return "float32, float64, float16, bfloat16, int8, uint8, int32";
}

std::int64_t SizeOf(DataType type) {
  const TypeInfo* info = Find(type);
  return info == nullptr ? 0 : info->size;
}

bool IsInteger(DataType type) {
  return type == DataType::kInt8 || type == DataType::kUInt8 || type == DataType::kInt32;
}

double LoadAsDouble(DataType type, const void* data, std::int64_t index) {
  return VisitDataType(type, [&](auto zero) {
    using T = decltype(zero);
    T element;
    std::memcpy(&element, static_cast<const char*>(data) + index * std::int64_t{sizeof(T)},
                sizeof(T));
    return Widen<double>(element);
  });
}

void StoreFromDouble(DataType type, void* data, std::int64_t index, double value) {
  VisitDataType(type, [&](auto zero) {
    using T = decltype(zero);
    const T element = RoundTo<T>(value);
    std::memcpy(static_cast<char*>(data) + index * std::int64_t{sizeof(T)}, &element, sizeof(T));
  });
}

bool Represents(DataType type, double value) {
  return VisitDataType(type, [&](auto zero) {
    using T = decltype(zero);
    const T element = RoundTo<T>(value);
    if constexpr (std::is_integral_v<T>) {
      return static_cast<double>(element) == value;
    } else {
      return std::isfinite(value) ? std::isfinite(Widen<double>(element)) : true;
    }
  });
}

}  // namespace convserve
