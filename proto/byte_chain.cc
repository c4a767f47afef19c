#include "proto/byte_chain.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/slice.h"

namespace convserve {
namespace {

std::vector<grpc::Slice> TakePieces(grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> pieces;
  // Fails for a buffer that holds nothing, not even an empty message.
  (void)buffer.Dump(&pieces);
  buffer.Clear();
  return pieces;
}

std::int64_t SizeOf(const grpc::Slice& piece) { return static_cast<std::int64_t>(piece.size()); }

ByteRange Common(ByteRange a, ByteRange b) {
  return {std::max(a.begin, b.begin), std::min(a.end, b.end)};
}

}  // namespace

ByteChain::ByteChain() = default;
ByteChain::ByteChain(grpc::ByteBuffer& buffer) : ByteChain(TakePieces(buffer)) {}

ByteChain::ByteChain(std::vector<grpc::Slice> pieces) : pieces_(std::move(pieces)) {
  for (const grpc::Slice& piece : pieces_) size_ += SizeOf(piece);
}

ByteChain::ByteChain(ByteChain&&) noexcept = default;
ByteChain& ByteChain::operator=(ByteChain&&) noexcept = default;
ByteChain::~ByteChain() = default;

std::size_t ByteChain::pieces() const { return pieces_.size(); }

std::span<const std::byte> ByteChain::piece(std::size_t index) const {
  return std::as_bytes(std::span(pieces_[index].begin(), pieces_[index].size()));
}

const std::byte* ByteChain::Contiguous(ByteRange range) const {
  std::int64_t begin = 0;
  for (std::size_t i = 0; i < pieces_.size(); ++i) {
    const std::int64_t end = begin + SizeOf(pieces_[i]);
    if (range.begin < end) {
      return range.end <= end ? piece(i).data() + (range.begin - begin) : nullptr;
    }
    begin = end;
  }
  return nullptr;
}

void ByteChain::MoveOut(std::span<const Move> moves, const std::stop_token& stop) {
  std::int64_t begin = 0;
  for (std::size_t i = 0; i < pieces_.size() && !stop.stop_requested(); ++i) {
    const ByteRange whole{begin, begin + SizeOf(pieces_[i])};
    bool stays = false;
    for (const Move& move : moves) {
      const ByteRange part = Common(move.range, whole);
      if (part.size() <= 0) continue;
      if (move.to == nullptr) {
        stays = true;
      } else {
        std::memcpy(move.to + (part.begin - move.range.begin),
                    piece(i).data() + (part.begin - whole.begin),
                    static_cast<std::size_t>(part.size()));
      }
    }
    if (!stays) pieces_[i] = grpc::Slice();
    begin = whole.end;
  }
}

}  // namespace convserve
