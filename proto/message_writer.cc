#include "proto/message_writer.h"

#include <utility>

#include "convserve/v1/convolution.pb.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/slice.h"
#include "proto/wire_reader.h"

namespace convserve {
namespace {

std::size_t VarintSize(std::uint64_t value) {
  std::size_t size = 1;
  for (; value >= 0x80; value >>= 7) ++size;
  return size;
}

grpc::Slice Refer(std::span<const std::byte> bytes, const Keeper& keeper) {
  auto copy = std::make_unique<Keeper>(keeper);
  // gRPC only reads what it sends.
  grpc::Slice slice(
      const_cast<std::byte*>(bytes.data()), bytes.size(),
      [](void* held) { delete static_cast<Keeper*>(held); }, copy.get());
  (void)copy.release();
  return slice;
}

}  // namespace

MessageWriter::MessageWriter() = default;
MessageWriter::~MessageWriter() = default;

void MessageWriter::Append(std::string_view fields) { text_.append(fields); }

void MessageWriter::AppendVarint(std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) text_.push_back(static_cast<char>(value | 0x80));
  text_.push_back(static_cast<char>(value));
}

void MessageWriter::AppendMessage(std::uint32_t field, std::string_view message) {
  AppendVarint(MakeTag(field, WireType::kBytes));
  AppendVarint(message.size());
  Append(message);
}

void MessageWriter::AppendTensor(std::uint32_t field, const TensorFields& tensor,
                                 std::span<const std::byte> bytes, const Keeper& keeper) {
  const std::size_t head = tensor.head.ByteSizeLong();
  // As proto3 has it: no field for no bytes.
  const std::size_t elements = bytes.empty() ? 0 : 1 + VarintSize(bytes.size()) + bytes.size();
  AppendVarint(MakeTag(field, WireType::kBytes));
  AppendVarint(head + elements);
  tensor.head.AppendToString(&text_);
  if (bytes.empty()) return;
  AppendVarint(MakeTag(static_cast<std::uint32_t>(tensor.elements), WireType::kBytes));
  AppendVarint(bytes.size());
  AppendBytes(bytes, keeper);
}

void MessageWriter::AppendBytes(std::span<const std::byte> bytes, const Keeper& keeper) {
  if (bytes.size() < kCopiedBytes) {
    text_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return;
  }
  EndPiece();
  pieces_.push_back(Refer(bytes, keeper));
}

void MessageWriter::EndPiece() {
  if (text_.empty()) return;
  pieces_.emplace_back(text_);
  text_.clear();
}

grpc::ByteBuffer MessageWriter::Finish() {
  EndPiece();
  grpc::ByteBuffer buffer(pieces_.data(), pieces_.size());
  pieces_.clear();
  return buffer;
}

}  // namespace convserve
