// Element types of tensors, and the storage-only 16-bit floats.
#ifndef CONVSERVE_CORE_DATA_TYPE_H_
#define CONVSERVE_CORE_DATA_TYPE_H_

#include <bit>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

namespace convserve {

// The numbers are those of `convserve.v1.DataType` on the wire. A value that is none of these can
// arrive there; it is carried as it came and refused by MakeProblem, which names the field.
enum class DataType : int {
  kUnspecified = 0,
  kFloat32 = 1,
  kFloat64 = 2,
  kFloat16 = 3,
  kBFloat16 = 4,
  kInt8 = 5,
  kUInt8 = 6,
  kInt32 = 7,
};

// IEEE 754 binary16 and bfloat16 (the upper half of a binary32). Storage only: arithmetic happens
// in float. Conversions to them round once, to nearest, ties to even; what is too large becomes
// infinity; a NaN stays a NaN, and becomes a quiet one.
struct Float16 {
  std::uint16_t bits = 0;
  bool operator==(const Float16&) const = default;
};
struct BFloat16 {
  std::uint16_t bits = 0;
  bool operator==(const BFloat16&) const = default;
};

inline float ToFloat(Float16 value) {
  const std::uint32_t sign = static_cast<std::uint32_t>(value.bits & 0x8000U) << 16;
  const std::uint32_t magnitude = value.bits & 0x7fffU;
  const std::uint32_t normal = (magnitude << 13) + (std::uint32_t{127 - 15} << 23);
  const float subnormal = static_cast<float>(magnitude) * 0x1p-24F;
  const std::uint32_t quiet = magnitude > 0x7c00U ? 0x400000U : 0U;
  const std::uint32_t bits = magnitude < 0x0400U    ? std::bit_cast<std::uint32_t>(subnormal)
                             : magnitude >= 0x7c00U ? 0x7f800000U | (magnitude << 13) | quiet
                                                    : normal;
  return std::bit_cast<float>(sign | bits);
}
inline float ToFloat(BFloat16 value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16);
}
Float16 ToFloat16(float value);
Float16 ToFloat16(double value);
BFloat16 ToBFloat16(float value);
BFloat16 ToBFloat16(double value);

// "float32", "int8", ...; "unspecified" for 0 and "unknown" for any other number.
std::string_view Name(DataType type);

// The inverse of Name for the seven real types; nothing for any other text.
std::optional<DataType> ParseDataType(std::string_view name);

// All seven names, "float32, float64, ...", for messages.
std::string_view DataTypeNames();

// Bytes of one element; 0 for what is not one of the seven types.
std::int64_t SizeOf(DataType type);

inline bool IsKnown(DataType type) { return SizeOf(type) != 0; }

// True for int8, uint8 and int32.
bool IsInteger(DataType type);

// The DataType of a C++ element type: DataTypeOf<float> == DataType::kFloat32.
template <typename T>
inline constexpr DataType DataTypeOf = DataType::kUnspecified;
template <>
inline constexpr DataType DataTypeOf<float> = DataType::kFloat32;
template <>
inline constexpr DataType DataTypeOf<double> = DataType::kFloat64;
template <>
inline constexpr DataType DataTypeOf<Float16> = DataType::kFloat16;
template <>
inline constexpr DataType DataTypeOf<BFloat16> = DataType::kBFloat16;
template <>
inline constexpr DataType DataTypeOf<std::int8_t> = DataType::kInt8;
template <>
inline constexpr DataType DataTypeOf<std::uint8_t> = DataType::kUInt8;
template <>
inline constexpr DataType DataTypeOf<std::int32_t> = DataType::kInt32;

// Calls `visitor(T{})` with the C++ type behind `type`. The type must be known (see IsKnown).
template <typename Visitor>
decltype(auto) VisitDataType(DataType type, Visitor&& visitor) {
  switch (type) {
    case DataType::kFloat64:
      return visitor(double{});
    case DataType::kFloat16:
      return visitor(Float16{});
    case DataType::kBFloat16:
      return visitor(BFloat16{});
    case DataType::kInt8:
      return visitor(std::int8_t{});
    case DataType::kUInt8:
      return visitor(std::uint8_t{});
    case DataType::kInt32:
      return visitor(std::int32_t{});
    default:
      return visitor(float{});
  }
}

// One element as a double, exactly: every element type fits.
double LoadAsDouble(DataType type, const void* data, std::int64_t index);

// Stores `value` converted by the output rules: floats round to nearest even; integers round half
// to even and saturate, NaN becomes 0.
void StoreFromDouble(DataType type, void* data, std::int64_t index, double value);

// Whether `type` holds exactly this value. Floats: NaN and infinities are held, and a finite value
// is held when rounding to the type does not overflow (decimal fractions are rounded, as every
// reader of JSON does); integers: whole numbers within range.
bool Represents(DataType type, double value);

}  // namespace convserve

#endif  // CONVSERVE_CORE_DATA_TYPE_H_
