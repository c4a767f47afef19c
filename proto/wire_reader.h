// Reads protobuf's wire format wherever its bytes are cut into pieces.
//
//   message = { tag value }
//   tag     = varint of (field number << 3 | wire type), at most 5 bytes
//   value   = varint (0), 8 bytes (1), length and bytes (2), fields up to an end group (3), 4 bytes
//   (5)
//
// Accepts what protobuf 3.21 accepts, with two exceptions that it leaves to protobuf: whether
// groups are closed in order, and how deep they nest. Sees no values, only where fields lie.
//
// Copyable: a copy remembers a place.
#ifndef CONVSERVE_PROTO_WIRE_READER_H_
#define CONVSERVE_PROTO_WIRE_READER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "proto/byte_chain.h"

namespace convserve {

enum class WireType : std::uint32_t {
  kVarint = 0,
  kFixed64 = 1,
  kBytes = 2,
  kGroup = 3,
  kEndGroup = 4,
  kFixed32 = 5,
};

constexpr std::uint32_t MakeTag(std::uint32_t field, WireType type) {
  return field << 3 | static_cast<std::uint32_t>(type);
}

class WireReader {
 public:
  // Stands at the first byte. The chain must outlive the reader and keep its pieces meanwhile.
  explicit WireReader(const ByteChain& bytes) : bytes_(&bytes) {}

  std::int64_t position() const { return position_; }

  // Each reads up to `end` and no further, a position within the bytes; nothing, or false, means
  // malformed, and the reader is then of no further use.
  std::optional<std::uint32_t> ReadTag(std::int64_t end);
  std::optional<ByteRange> ReadLength(std::int64_t end);
  bool SkipValue(std::uint32_t tag, std::int64_t end);

  void SkipTo(std::int64_t position);

  // Moves to `end` and appends what lies between.
  void AppendTo(std::int64_t end, std::string& text);

 private:
  std::optional<std::uint8_t> ReadByte(std::int64_t end);
  std::optional<std::uint32_t> ReadVarint32(std::int64_t end);
  bool SkipVarint(std::int64_t end);
  bool SkipBytes(std::int64_t count, std::int64_t end);
  bool SkipGroup(std::int64_t end);
  // To the piece that holds the next byte.
  void EnterPiece();

  const ByteChain* bytes_;
  std::int64_t position_ = 0;
  std::size_t piece_ = 0;
  std::size_t offset_ = 0;  // within the piece
};

}  // namespace convserve

#endif  // CONVSERVE_PROTO_WIRE_READER_H_
