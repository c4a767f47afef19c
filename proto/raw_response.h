// A ConvResponse or ConvTransposeResponse (their fields are the same) as bytes, whose tensor never
// passes through a protobuf string: what a server sends and what a client receives.
#ifndef CONVSERVE_PROTO_RAW_RESPONSE_H_
#define CONVSERVE_PROTO_RAW_RESPONSE_H_

#include "absl/status/statusor.h"
#include "proto/byte_chain.h"
#include "proto/results.h"

namespace grpc {
class ByteBuffer;
}

namespace convserve {

// The message; it owns the tensor that its bytes refer to. Throws std::bad_alloc.
grpc::ByteBuffer WriteResponse(ConvResult result, bool as_values);

// The inverse: each piece of `bytes` is given back when its part of the tensor has been copied.
// INVALID_ARGUMENT where protobuf would not parse the bytes, or where the tensor contradicts
// itself. Throws std::bad_alloc.
absl::StatusOr<ConvResult> ReadResponse(ByteChain bytes);

}  // namespace convserve

#endif  // CONVSERVE_PROTO_RAW_RESPONSE_H_
