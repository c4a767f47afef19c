// The name under which a caller and an operator find the same call: the caller's `x-request-id`, or
// one made here.
#ifndef CONVSERVE_SERVER_REQUEST_ID_H_
#define CONVSERVE_SERVER_REQUEST_ID_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace convserve {

// The metadata key, in requests and in the trailing metadata of answers.
inline constexpr char kRequestIdKey[] = "x-request-id";

inline constexpr std::size_t kMaxRequestIdBytes = 64;

// `given` where it is an id: 1 to 64 letters, digits and `-_.:/+=`. Otherwise 16 hexadecimal digits
// by chance.
std::string RequestId(std::string_view given);

}  // namespace convserve

#endif  // CONVSERVE_SERVER_REQUEST_ID_H_
