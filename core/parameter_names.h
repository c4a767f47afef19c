// The names that the wire gives to the enumerators of parameters, by number.
#ifndef CONVSERVE_CORE_PARAMETER_NAMES_H_
#define CONVSERVE_CORE_PARAMETER_NAMES_H_

#include <array>
#include <string_view>

namespace convserve {

inline constexpr std::array<std::string_view, 4> kAutoPadNames = {"UNSPECIFIED", "VALID",
                                                                  "SAME_UPPER", "SAME_LOWER"};
inline constexpr std::array<std::string_view, 5> kPaddingModeNames = {
    "UNSPECIFIED", "ZEROS", "REFLECT", "REPLICATE", "CIRCULAR"};
inline constexpr std::array<std::string_view, 3> kLayoutNames = {"UNSPECIFIED", "CHANNELS_FIRST",
                                                                 "CHANNELS_LAST"};

}  // namespace convserve

#endif  // CONVSERVE_CORE_PARAMETER_NAMES_H_
