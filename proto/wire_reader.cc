#include "proto/wire_reader.h"

#include <algorithm>
#include <limits>
#include <span>

namespace convserve {
namespace {

constexpr int kMaxVarintBytes = 10;
constexpr int kMaxVarint32Bytes = 5;

// protobuf keeps 16 bytes below the limit of an int.
constexpr std::uint32_t kMaxLength = std::numeric_limits<std::int32_t>::max() - 16;

}  // namespace

void WireReader::EnterPiece() {
  while (piece_ < bytes_->pieces() && offset_ == bytes_->piece(piece_).size()) {
    ++piece_;
    offset_ = 0;
  }
}

std::optional<std::uint8_t> WireReader::ReadByte(std::int64_t end) {
  if (position_ >= end) return std::nullopt;
  EnterPiece();
  ++position_;
  return static_cast<std::uint8_t>(bytes_->piece(piece_)[offset_++]);
}

// As protobuf does, lets what exceeds 32 bits fall away.
std::optional<std::uint32_t> WireReader::ReadVarint32(std::int64_t end) {
  std::uint32_t value = 0;
  for (int i = 0; i < kMaxVarint32Bytes; ++i) {
    const auto byte = ReadByte(end);
    if (!byte) return std::nullopt;
    value |= static_cast<std::uint32_t>(*byte & 0x7F) << (7 * i);
    if (*byte < 0x80) return value;
  }
  return std::nullopt;
}

std::optional<std::uint32_t> WireReader::ReadTag(std::int64_t end) {
  const auto tag = ReadVarint32(end);
  if (!tag || *tag >> 3 == 0) return std::nullopt;
  return tag;
}

std::optional<ByteRange> WireReader::ReadLength(std::int64_t end) {
  std::uint64_t length = 0;
  for (int i = 0; i < kMaxVarint32Bytes; ++i) {
    const auto byte = ReadByte(end);
    if (!byte) return std::nullopt;
    length |= static_cast<std::uint64_t>(*byte & 0x7F) << (7 * i);
    if (*byte >= 0x80) continue;
    if (length > kMaxLength || static_cast<std::int64_t>(length) > end - position_) {
      return std::nullopt;
    }
    return ByteRange{position_, position_ + static_cast<std::int64_t>(length)};
  }
  return std::nullopt;
}

bool WireReader::SkipVarint(std::int64_t end) {
  for (int i = 0; i < kMaxVarintBytes; ++i) {
    const auto byte = ReadByte(end);
    if (!byte) return false;
    if (*byte < 0x80) return true;
  }
  return false;
}

bool WireReader::SkipBytes(std::int64_t count, std::int64_t end) {
  if (count > end - position_) return false;
  SkipTo(position_ + count);
  return true;
}

bool WireReader::SkipGroup(std::int64_t end) {
  std::int64_t open = 1;
  while (open > 0) {
    const auto tag = ReadTag(end);
    if (!tag) return false;
    switch (static_cast<WireType>(*tag & 7)) {
      case WireType::kGroup:
        ++open;
        break;
      case WireType::kEndGroup:
        --open;
        break;
      default:
        if (!SkipValue(*tag, end)) return false;
    }
  }
  return true;
}

bool WireReader::SkipValue(std::uint32_t tag, std::int64_t end) {
  switch (static_cast<WireType>(tag & 7)) {
    case WireType::kVarint:
      return SkipVarint(end);
    case WireType::kFixed64:
      return SkipBytes(8, end);
    case WireType::kBytes: {
      const auto range = ReadLength(end);
      if (range) SkipTo(range->end);
      return range.has_value();
    }
    case WireType::kGroup:
      return SkipGroup(end);
    case WireType::kFixed32:
      return SkipBytes(4, end);
    case WireType::kEndGroup:
    default:
      return false;
  }
}

void WireReader::SkipTo(std::int64_t position) {
  while (position_ < position) {
    EnterPiece();
    const std::size_t left = bytes_->piece(piece_).size() - offset_;
    const std::size_t step = std::min(left, static_cast<std::size_t>(position - position_));
    offset_ += step;
    position_ += static_cast<std::int64_t>(step);
  }
}

void WireReader::AppendTo(std::int64_t end, std::string& text) {
  while (position_ < end) {
    EnterPiece();
    const std::span<const std::byte> left = bytes_->piece(piece_).subspan(offset_);
    const std::size_t step = std::min(left.size(), static_cast<std::size_t>(end - position_));
    text.append(reinterpret_cast<const char*>(left.data()), step);
    offset_ += step;
    position_ += static_cast<std::int64_t>(step);
  }
}

}  // namespace convserve
