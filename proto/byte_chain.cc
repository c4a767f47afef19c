#include "proto/byte_chain.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "core/algorithms/tasks.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/slice.h"

namespace convserve {
namespace {

// Below, a copy takes less time than to share it. More threads than this are no faster than memory.
constexpr std::int64_t kPartBytes = std::int64_t{1} << 20;
constexpr std::int64_t kMaxParts = 4;

std::vector<grpc::Slice> TakePieces(grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> pieces;
  // Fails for a buffer that holds nothing, not even an empty message.
  (void)buffer.Dump(&pieces);
  buffer.Clear();
  return pieces;
}

std::int64_t SizeOf(const grpc::Slice& piece) { return static_cast<std::int64_t>(piece.size()); }

// Gives pieces back. That may wake what waits in gRPC for memory, and gRPC sets up what is woken to
// run when the last reference ends in one of its buffers, but not when it ends in a slice.
void GiveBack(std::span<grpc::Slice> pieces) {
  if (pieces.empty()) return;
  const grpc::ByteBuffer last(pieces.data(), pieces.size());
  std::fill(pieces.begin(), pieces.end(), grpc::Slice());
}

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
ByteChain& ByteChain::operator=(ByteChain&& other) noexcept {
  // `other` gives ours back.
  pieces_.swap(other.pieces_);
  std::swap(size_, other.size_);
  return *this;
}
ByteChain::~ByteChain() { GiveBack(pieces_); }

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
  const std::vector<Part> parts = Parts();
  ForEachTask(std::ssize(parts), stop, [&](std::int64_t part) {
    MoveOut(parts[static_cast<std::size_t>(part)], moves, stop);
  });
}

void ByteChain::MoveOut(const Part& part, std::span<const Move> moves,
                        const std::stop_token& stop) {
  std::int64_t begin = part.begin;
  for (std::size_t i = part.first; i < part.last && !stop.stop_requested(); ++i) {
    const ByteRange whole{begin, begin + SizeOf(pieces_[i])};
    bool stays = false;
    for (const Move& move : moves) {
      const ByteRange common = Common(move.range, whole);
      if (common.size() <= 0) continue;
      if (move.to == nullptr) {
        stays = true;
      } else {
        std::memcpy(move.to + (common.begin - move.range.begin),
                    piece(i).data() + (common.begin - whole.begin),
                    static_cast<std::size_t>(common.size()));
      }
    }
    if (!stays) GiveBack({&pieces_[i], 1});
    begin = whole.end;
  }
}

std::vector<ByteChain::Part> ByteChain::Parts() const {
  const std::int64_t count = std::clamp<std::int64_t>(size_ / kPartBytes, 1, kMaxParts);
  std::vector<Part> parts(1);
  std::int64_t begin = 0;
  for (const grpc::Slice& piece : pieces_) {
    const Part last = parts.back();
    if (begin - last.begin >= size_ / count) parts.push_back({last.last, last.last, begin});
    ++parts.back().last;
    begin += SizeOf(piece);
  }
  return parts;
}

std::int64_t ByteChain::BytesInMotion() const {
  std::int64_t sum = 0;
  for (const Part& part : Parts()) {
    std::int64_t largest = 0;
    for (std::size_t i = part.first; i < part.last; ++i) {
      largest = std::max(largest, SizeOf(pieces_[i]));
    }
    sum += largest;
  }
  return sum;
}

}  // namespace convserve
