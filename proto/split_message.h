// Cuts the bytes of tensors out of a message, so that protobuf parses only what is left.
//
// What a tensor's `data` field holds stays in the pieces that the network delivered; everything
// else, fields that this version does not know included, is left to the generated parser, which
// decides what it means. Together they say what parsing the whole message would have said:
//
//   fields of a message that comes several times are merged; of `data` the last one counts
//   a malformed message is refused
#ifndef CONVSERVE_PROTO_SPLIT_MESSAGE_H_
#define CONVSERVE_PROTO_SPLIT_MESSAGE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/byte_chain.h"

namespace convserve {

struct SplitMessage {
  static constexpr std::size_t kMaxTensors = 3;

  // A message of the same type without the `data` of its tensors.
  std::string rest;

  // Where the data of the tensor with field number i + 1 lies. Empty: it has none.
  std::array<ByteRange, kMaxTensors> data;
};

// What a message may hold beside the elements of its tensors. Parsed, such bytes can take many
// times their size, and none of this is admitted before it was parsed.
inline constexpr std::int64_t kMaxFieldBytes = std::int64_t{1} << 20;

// `tensors`: the fields 1 to `tensors` of the message are of type Tensor.
//
// INVALID_ARGUMENT for a message that protobuf would refuse (few kinds of malformed groups pass,
// and protobuf refuses `rest`); RESOURCE_EXHAUSTED beyond kMaxFieldBytes. Takes time in proportion
// to the pieces, not to the bytes of tensors.
absl::StatusOr<SplitMessage> Split(const ByteChain& bytes, std::size_t tensors);

// The memory that reading a ConvRequest or ConvTransposeRequest takes, beside the message and some
// kMaxFieldBytes: its `values`, copied with the rest and then parsed. Or the refusals of Split.
absl::StatusOr<std::int64_t> BytesToReadRequest(const ByteChain& bytes);

// The same for an ExplainRequest, which protobuf parses as a whole, `data` included.
absl::StatusOr<std::int64_t> BytesToReadExplainRequest(const ByteChain& bytes);

}  // namespace convserve

#endif  // CONVSERVE_PROTO_SPLIT_MESSAGE_H_
