// What a client checks before it sends and after it received.
#ifndef CONVSERVE_CLIENT_MESSAGES_H_
#define CONVSERVE_CLIENT_MESSAGES_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/convolve.h"
#include "proto/results.h"

namespace grpc {
class ByteBuffer;
}

namespace convserve {

// gRPC aborts a process that sends 2 GiB or more, so what is too large is refused before it gets
// there: RESOURCE_EXHAUSTED. INVALID_ARGUMENT, field by field, for operands without elements.
absl::Status CheckOperands(const Operands& operands, std::int64_t allowed_bytes);

// The same for everything else that a request may hold.
absl::Status CheckMessageSize(std::size_t bytes, std::int64_t allowed_bytes);

// Takes the bytes out of the buffer. INTERNAL when they are no answer, RESOURCE_EXHAUSTED when
// there is no memory for it: whoever calls from gRPC's threads has nobody to throw to.
absl::StatusOr<ConvResult> ReadAnswer(grpc::ByteBuffer& answer);

}  // namespace convserve

#endif  // CONVSERVE_CLIENT_MESSAGES_H_
