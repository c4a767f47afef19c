// A message as the network delivered it: bytes in pieces, each of which is given back on its own.
//
// Movable. Not thread-safe.
#ifndef CONVSERVE_PROTO_BYTE_CHAIN_H_
#define CONVSERVE_PROTO_BYTE_CHAIN_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <stop_token>
#include <vector>

namespace grpc {
class ByteBuffer;
class Slice;
}  // namespace grpc

namespace convserve {

// Bytes [begin, end) of a chain, counted from the first byte of its first piece.
struct ByteRange {
  std::int64_t begin = 0;
  std::int64_t end = 0;

  std::int64_t size() const { return end - begin; }
  bool operator==(const ByteRange&) const = default;
};

class ByteChain {
 public:
  ByteChain();
  // Takes the pieces out of `buffer`, which is empty afterwards. No byte is copied.
  explicit ByteChain(grpc::ByteBuffer& buffer);
  explicit ByteChain(std::vector<grpc::Slice> pieces);
  ByteChain(ByteChain&&) noexcept;
  ByteChain& operator=(ByteChain&&) noexcept;
  ~ByteChain();

  // The bytes of all pieces, those that were given back included.
  std::int64_t size() const { return size_; }

  std::size_t pieces() const;
  // Empty once it was given back.
  std::span<const std::byte> piece(std::size_t index) const;

  // The bytes of `range` where they lie in one piece, otherwise nullptr. They stay until the piece
  // is given back or the chain ends.
  const std::byte* Contiguous(ByteRange range) const;

  // One range that is wanted elsewhere.
  struct Move {
    ByteRange range;
    std::byte* to = nullptr;  // nullptr: stays where it is, which must be in one piece
  };

  // Copies every range to its place, and gives each piece back as soon as it was read, all but
  // those in which a range stays. A long chain is copied by several threads of the arena that the
  // caller is in. Once for a chain. Ends early when a stop is requested: the bytes that are left
  // are then not copied. Throws std::bad_alloc.
  void MoveOut(std::span<const Move> moves, const std::stop_token& stop = {});

  // The most bytes that were copied already and not yet given back while MoveOut runs.
  std::int64_t BytesInMotion() const;

 private:
  // Pieces [first, last), whose bytes begin at `begin`.
  struct Part {
    std::size_t first = 0;
    std::size_t last = 0;
    std::int64_t begin = 0;
  };
  // About equally long.
  std::vector<Part> Parts() const;
  void MoveOut(const Part& part, std::span<const Move> moves, const std::stop_token& stop);

  std::vector<grpc::Slice> pieces_;
  std::int64_t size_ = 0;
};

}  // namespace convserve

#endif  // CONVSERVE_PROTO_BYTE_CHAIN_H_
