// Writes a protobuf message as pieces, of which large ones refer to memory that somebody else owns.
#ifndef CONVSERVE_PROTO_MESSAGE_WRITER_H_
#define CONVSERVE_PROTO_MESSAGE_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace grpc {
class ByteBuffer;
class Slice;
}  // namespace grpc

namespace convserve {

namespace v1 {
class Tensor;
}

// Keeps memory alive: whoever sends bytes holds a copy as long as it may read them.
using Keeper = std::shared_ptr<const void>;

class MessageWriter {
 public:
  // Shorter bytes are copied: a reference would cost more.
  static constexpr std::size_t kCopiedBytes = 16 << 10;

  MessageWriter();
  ~MessageWriter();
  MessageWriter(const MessageWriter&) = delete;
  MessageWriter& operator=(const MessageWriter&) = delete;

  // Fields already encoded.
  void Append(std::string_view fields);

  // A field that holds an encoded message.
  void AppendMessage(std::uint32_t field, std::string_view message);

  // A field that holds a tensor: `head` is all of it but its elements, `elements` the number of the
  // field that takes them, `data` or `values`.
  struct TensorFields {
    const v1::Tensor& head;
    int elements;
  };
  void AppendTensor(std::uint32_t field, const TensorFields& tensor,
                    std::span<const std::byte> bytes, const Keeper& keeper);

  // The message. The writer is empty afterwards.
  grpc::ByteBuffer Finish();

 private:
  void AppendVarint(std::uint64_t value);
  void AppendBytes(std::span<const std::byte> bytes, const Keeper& keeper);
  void EndPiece();

  std::string text_;  // the piece that is being written
  std::vector<grpc::Slice> pieces_;
};

}  // namespace convserve

#endif  // CONVSERVE_PROTO_MESSAGE_WRITER_H_
