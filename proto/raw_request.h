// A ConvRequest or ConvTransposeRequest as bytes, whose tensors never pass through a protobuf
// string: what a client sends and what a server receives.
#ifndef CONVSERVE_PROTO_RAW_REQUEST_H_
#define CONVSERVE_PROTO_RAW_REQUEST_H_

#include <cstdint>
#include <memory>
#include <stop_token>
#include <variant>

#include "absl/status/statusor.h"
#include "core/convolve.h"
#include "core/parameters.h"
#include "core/problem.h"
#include "proto/byte_chain.h"
#include "proto/convert.h"
#include "proto/message_writer.h"

namespace convserve {

// The client's side.

// The operation follows from the type of the parameters.
struct TensorRequest {
  Operands operands = {};
  std::variant<ConvParameters, ConvTransposeParameters> parameters = {};
  DataType output_type = DataType::kUnspecified;
};

// The message, which refers to the operands' memory and holds copies of `keeper` while it does:
// until the last of them is gone, the operands must neither change nor end. Operands must have byte
// counts and memory.
grpc::ByteBuffer WriteRequest(const TensorRequest& request, const Keeper& keeper);

// The server's side. Movable. Not thread-safe.
class ReceivedRequest {
 public:
  // INVALID_ARGUMENT where protobuf would not parse the bytes, RESOURCE_EXHAUSTED beyond
  // kMaxFieldBytes. Takes memory in proportion to what is not a tensor's `data`. Throws
  // std::bad_alloc.
  static absl::StatusOr<ReceivedRequest> Read(Operation operation, ByteChain bytes);

  ReceivedRequest(ReceivedRequest&&) noexcept;
  ReceivedRequest& operator=(ReceivedRequest&&) noexcept;
  ~ReceivedRequest();

  // As FromProto of the whole message.
  DecodedProblem Decode() const;
  bool wants_values() const;

  // What it holds: the message as it came, unless all of it was parsed, and `values` as parsed.
  std::int64_t message_bytes() const;

  // The most bytes that this and its tensors take at a time: each piece of the message is given
  // back when its bytes have been moved; tensors are decoded from `values`.
  std::int64_t memory_bytes() const;

  // The tensors, aligned for their types: in place where they came so, otherwise moved, with one
  // copy, into memory of their own, long ones by several threads of the caller's arena. Only for a
  // request that passed MakeProblem, and once; views live as long as this object, a move of it
  // included. Once a stop is requested, elements may be left unspecified. Throws std::bad_alloc.
  Operands TakeOperands(const std::stop_token& stop = {});

 private:
  struct Parts;
  explicit ReceivedRequest(std::unique_ptr<Parts> parts);

  std::unique_ptr<Parts> parts_;
};

}  // namespace convserve

#endif  // CONVSERVE_PROTO_RAW_REQUEST_H_
