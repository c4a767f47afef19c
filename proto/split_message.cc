#include "proto/split_message.h"

#include "fmt/format.h"
#include "proto/status.h"
#include "proto/wire_reader.h"

namespace convserve {
namespace {

constexpr std::uint32_t kDataTag = MakeTag(3, WireType::kBytes);
constexpr std::uint32_t kPackedValuesTag = MakeTag(4, WireType::kBytes);
constexpr std::uint32_t kOneValueTag = MakeTag(4, WireType::kFixed64);

// A length that is written before it is known always takes this many bytes.
constexpr std::size_t kLengthBytes = 5;

absl::Status Malformed(std::int64_t size, std::int64_t position) {
  return absl::InvalidArgumentError(fmt::format(
      "expected a protobuf message, got {} bytes whose field at byte {} is malformed or "
      "incomplete",
      size, position));
}

absl::Status TooMuch() {
  absl::Status status = absl::ResourceExhaustedError(fmt::format(
      "expected at most {} bytes beside the elements of tensors, got more", kMaxFieldBytes));
  SetReason(status, "REQUEST_LIMIT");
  return status;
}

bool IsElements(std::uint32_t tag) {
  return tag == kDataTag || tag == kPackedValuesTag || tag == kOneValueTag;
}

// Messages within messages: an ExplainRequest has requests as its first fields, a request tensors.
enum class Level { kTensor, kRequest, kExplainRequest };

std::uint32_t Nested(Level level) {
  switch (level) {
    case Level::kTensor:
      return 0;
    case Level::kRequest:
      return SplitMessage::kMaxTensors;
    case Level::kExplainRequest:
    default:
      return 2;
  }
}

// Bytes of a message: of `data` and of `values` of its tensors, and all others.
struct Contents {
  std::int64_t fields = 0;
  std::int64_t data = 0;
  std::int64_t values = 0;
};

// Moves `reader` to `end`, through fields of a message of this level, and counts them. False for
// malformed fields.
bool Count(WireReader& reader, std::int64_t end, Level level, Contents& contents) {
  while (reader.position() < end && contents.fields <= kMaxFieldBytes) {
    const std::int64_t start = reader.position();
    const auto tag = reader.ReadTag(end);
    if (!tag) return false;
    const bool nested = *tag >> 3 <= Nested(level) && (*tag & 7) == 2;
    const bool elements = level == Level::kTensor && IsElements(*tag);
    const std::int64_t value = reader.position();
    if (nested) {
      const auto message = reader.ReadLength(end);
      if (!message) return false;
      contents.fields += message->begin - start;
      const Level inner = static_cast<Level>(static_cast<int>(level) - 1);
      if (!Count(reader, message->end, inner, contents)) return false;
      continue;
    }
    if (!reader.SkipValue(*tag, end)) return false;
    contents.fields += (elements ? value : reader.position()) - start;
    if (elements) {
      (*tag == kDataTag ? contents.data : contents.values) += reader.position() - value;
    }
  }
  return true;
}

absl::StatusOr<Contents> ContentsOf(const ByteChain& bytes, Level level) {
  WireReader reader(bytes);
  Contents contents;
  if (!Count(reader, bytes.size(), level, contents)) {
    return Malformed(bytes.size(), reader.position());
  }
  if (contents.fields > kMaxFieldBytes) return TooMuch();
  return contents;
}

// A repeated field grows by doubling.
std::int64_t ParsedBytes(std::int64_t values) { return 2 * values; }

class Splitter {
 public:
  explicit Splitter(const ByteChain& bytes) : size_(bytes.size()), reader_(bytes) {}

  absl::StatusOr<SplitMessage> Split(std::size_t tensors) {
    while (reader_.position() < size_) {
      const WireReader start = reader_;
      const auto tag = reader_.ReadTag(size_);
      if (!tag) return Malformed(start);
      const std::size_t field = *tag >> 3;
      bool read = false;
      if (field <= tensors &&
          *tag == MakeTag(static_cast<std::uint32_t>(field), WireType::kBytes)) {
        read = Tensor(start, split_.data[field - 1]);
      } else {
        read = reader_.SkipValue(*tag, size_);
        if (read) Keep(start, 0);
      }
      if (!read) return Malformed(start);
      if (field_bytes_ > kMaxFieldBytes) return TooMuch();
    }
    return std::move(split_);
  }

 private:
  bool Tensor(const WireReader& start, ByteRange& data) {
    const WireReader length = reader_;
    const auto range = reader_.ReadLength(size_);
    if (!range) return false;
    WireReader(start).AppendTo(length.position(), split_.rest);
    field_bytes_ += reader_.position() - start.position();
    const std::size_t length_at = split_.rest.size();
    split_.rest.append(kLengthBytes, '\0');
    while (reader_.position() < range->end && field_bytes_ <= kMaxFieldBytes) {
      if (!TensorField(range->end, data)) return false;
    }
    SetLength(length_at, split_.rest.size() - length_at - kLengthBytes);
    return true;
  }

  bool TensorField(std::int64_t end, ByteRange& data) {
    const WireReader start = reader_;
    const auto tag = reader_.ReadTag(end);
    if (!tag) return false;
    if (*tag == kDataTag) {
      const auto range = reader_.ReadLength(end);
      if (!range) return false;
      data = *range;
      field_bytes_ += range->begin - start.position();
      reader_.SkipTo(range->end);
      return true;
    }
    std::int64_t elements = 0;
    if (*tag == kPackedValuesTag) {
      WireReader ahead = reader_;
      const auto range = ahead.ReadLength(end);
      if (range) elements = range->size();
    } else if (*tag == kOneValueTag) {
      elements = sizeof(double);
    }
    if (!reader_.SkipValue(*tag, end)) return false;
    Keep(start, elements);
    return true;
  }

  // What was read since `start` is protobuf's; `elements` bytes of it are values of a tensor.
  void Keep(WireReader start, std::int64_t elements) {
    field_bytes_ += reader_.position() - start.position() - elements;
    if (field_bytes_ <= kMaxFieldBytes) start.AppendTo(reader_.position(), split_.rest);
  }

  void SetLength(std::size_t at, std::size_t length) {
    for (std::size_t i = 0; i < kLengthBytes; ++i) {
      const bool last = i + 1 == kLengthBytes;
      split_.rest[at + i] = static_cast<char>((length >> (7 * i) & 0x7F) | (last ? 0 : 0x80));
    }
  }

  absl::Status Malformed(const WireReader& start) const {
    return convserve::Malformed(size_, start.position());
  }

  const std::int64_t size_;
  WireReader reader_;
  SplitMessage split_;
  std::int64_t field_bytes_ = 0;
};

}  // namespace

absl::StatusOr<std::int64_t> BytesToReadRequest(const ByteChain& bytes) {
  const auto contents = ContentsOf(bytes, Level::kRequest);
  if (!contents.ok()) return contents.status();
  return contents->values + ParsedBytes(contents->values);
}

absl::StatusOr<std::int64_t> BytesToReadExplainRequest(const ByteChain& bytes) {
  const auto contents = ContentsOf(bytes, Level::kExplainRequest);
  if (!contents.ok()) return contents.status();
  return contents->data + ParsedBytes(contents->values);
}

absl::StatusOr<SplitMessage> Split(const ByteChain& bytes, std::size_t tensors) {
  return Splitter(bytes).Split(tensors);
}

}  // namespace convserve
