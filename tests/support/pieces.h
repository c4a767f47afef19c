// Messages in pieces, as a network may deliver them.
#ifndef CONVSERVE_TESTS_SUPPORT_PIECES_H_
#define CONVSERVE_TESTS_SUPPORT_PIECES_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "google/protobuf/message_lite.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/slice.h"
#include "proto/byte_chain.h"

namespace convserve {

// `bytes`, a new piece beginning at each of `cuts`, which ascend.
inline ByteChain InPieces(std::string_view bytes, const std::vector<std::size_t>& cuts = {}) {
  std::vector<grpc::Slice> pieces;
  std::size_t begin = 0;
  const auto add = [&](std::size_t end) {
    pieces.emplace_back(bytes.data() + begin, end - begin);
    begin = end;
  };
  for (const std::size_t cut : cuts) add(cut);
  add(bytes.size());
  return ByteChain(std::move(pieces));
}

// Every byte a piece of its own.
inline ByteChain InBytes(std::string_view bytes) {
  std::vector<std::size_t> cuts;
  for (std::size_t i = 1; i < bytes.size(); ++i) cuts.push_back(i);
  return InPieces(bytes, cuts);
}

inline std::string Joined(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> pieces;
  std::string bytes;
  if (!buffer.Dump(&pieces).ok()) return bytes;
  for (const grpc::Slice& piece : pieces) {
    bytes.append(reinterpret_cast<const char*>(piece.begin()), piece.size());
  }
  return bytes;
}

inline ByteChain Sent(const google::protobuf::MessageLite& message) {
  return InPieces(message.SerializeAsString());
}

}  // namespace convserve

#endif  // CONVSERVE_TESTS_SUPPORT_PIECES_H_
