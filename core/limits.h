// The bounds that a problem may not exceed, whatever its shapes say.
#ifndef CONVSERVE_CORE_LIMITS_H_
#define CONVSERVE_CORE_LIMITS_H_

#include <cstdint>
#include <limits>

namespace convserve {

// The most bytes one message on the wire may hold: gRPC aborts the process that sends 2 GiB or
// more, so this stays a little below, with room for the fields around the tensor.
inline constexpr std::int64_t kMaxMessageBytes = (std::int64_t{1} << 31) - (std::int64_t{1} << 16);

struct Limits {
  // Output tensor, in bytes.
  std::int64_t max_output_bytes = kMaxMessageBytes;
  // Products that are added up. A bound on time: 2 GiB of request can ask for centuries.
  std::int64_t max_multiply_adds = std::numeric_limits<std::int64_t>::max();
};

}  // namespace convserve

#endif  // CONVSERVE_CORE_LIMITS_H_
