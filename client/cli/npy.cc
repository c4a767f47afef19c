#include "client/cli/npy.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include "client/cli/text.h"
#include "fmt/format.h"

namespace convserve::cli {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::string_view kMagic("\x93NUMPY", 6);
constexpr std::size_t kMaxRank = 32;

struct Header {
  std::string descr;
  bool fortran_order = false;
  Shape shape;
};

// The header is a Python dictionary; this reads the part of the language that NumPy writes there.
class HeaderParser {
 public:
  explicit HeaderParser(std::string_view text) : text_(text) {}

  std::optional<Header> Parse() {
    Header header;
    bool seen_descr = false;
    bool seen_order = false;
    bool seen_shape = false;
    if (!Take('{')) return std::nullopt;
    while (!Take('}')) {
      const std::optional<std::string> key = String();
      if (!key || !Take(':')) return std::nullopt;
      if (*key == "descr" && !seen_descr) {
        seen_descr = Descr(header.descr);
        if (!seen_descr) return std::nullopt;
      } else if (*key == "fortran_order" && !seen_order) {
        seen_order = Bool(header.fortran_order);
        if (!seen_order) return std::nullopt;
      } else if (*key == "shape" && !seen_shape) {
        seen_shape = Tuple(header.shape);
        if (!seen_shape) return std::nullopt;
      } else {
        return std::nullopt;
      }
      if (!Take(',') && Peek() != '}') return std::nullopt;
    }
    SkipSpace();
    if (!text_.empty() || !seen_descr || !seen_order || !seen_shape) return std::nullopt;
    return header;
  }

 private:
  void SkipSpace() {
    text_.remove_prefix(std::min(text_.find_first_not_of(" \t\n"), text_.size()));
  }

  bool TakeWord(std::string_view word) {
    if (!text_.starts_with(word)) return false;
    text_.remove_prefix(word.size());
    return true;
  }

  char Peek() {
    SkipSpace();
    return text_.empty() ? '\0' : text_.front();
  }

  bool Take(char c) {
    if (text_.empty() || Peek() != c) return false;
    text_.remove_prefix(1);
    return true;
  }

  std::optional<std::string> String() {
    const char quote = Peek();
    if (quote != '\'' && quote != '"') return std::nullopt;
    const std::size_t end = text_.find(quote, 1);
    if (end == std::string_view::npos) return std::nullopt;
    std::string value(text_.substr(1, end - 1));
    text_.remove_prefix(end + 1);
    return value;
  }

  // A structured type is a list of fields. It is kept as text, for the refusal to show.
  bool Descr(std::string& descr) {
    if (Peek() == '[') {
      const std::size_t end = text_.find(']');
      if (end == std::string_view::npos) return false;
      descr = std::string(text_.substr(0, end + 1));
      text_.remove_prefix(end + 1);
      return true;
    }
    std::optional<std::string> text = String();
    if (!text) return false;
    descr = *std::move(text);
    return true;
  }

  bool Bool(bool& value) {
    SkipSpace();
    value = TakeWord("True");
    return value || TakeWord("False");
  }

  bool Tuple(Shape& shape) {
    if (!Take('(')) return false;
    while (!Take(')')) {
      SkipSpace();
      const std::size_t digits = std::min(text_.find_first_not_of("0123456789"), text_.size());
      const std::optional<std::int64_t> size = ParseInteger(text_.substr(0, digits));
      if (!size || shape.size() == kMaxRank) return false;
      shape.push_back(*size);
      text_.remove_prefix(digits);
      TakeWord("L");
      if (!Take(',') && Peek() != ')') return false;
    }
    return true;
  }

  std::string_view text_;
};

absl::Status Damaged(std::string_view what) {
  return absl::DataLossError(fmt::format("is a damaged .npy file: {}", what));
}

absl::Status ReadExactly(ByteReader& reader, std::span<std::byte> buffer, std::string_view what) {
  absl::StatusOr<std::size_t> count = reader.Read(buffer);
  if (!count.ok()) return count.status();
  if (*count == buffer.size()) return absl::OkStatus();
  return Damaged(
      fmt::format("it ends within {}, after {} of {} bytes", what, *count, buffer.size()));
}

absl::StatusOr<Header> ReadHeader(ByteReader& reader) {
  std::array<char, 8> start{};
  absl::StatusOr<std::size_t> count = reader.Read(std::as_writable_bytes(std::span(start)));
  if (!count.ok()) return count.status();
  const std::string_view begin(start.data(), *count);
  if (!begin.starts_with(kMagic)) {
    return absl::DataLossError(
        fmt::format("is not a .npy file: expected it to begin with {}, got {}", Quoted(kMagic),
                    begin.empty() ? "nothing" : Quoted(begin)));
  }
  if (begin.size() < start.size()) return Damaged("it ends within its first 8 bytes");
  const int version = static_cast<unsigned char>(start[6]);
  if (version < 1 || version > 3) {
    return absl::UnimplementedError(
        fmt::format("is a .npy file of version {}: expected 1, 2 or 3", version));
  }

  std::array<unsigned char, 4> length_bytes{};
  absl::Status status = ReadExactly(
      reader, std::as_writable_bytes(std::span(length_bytes).first(version == 1 ? 2 : 4)),
      "the header's length");
  if (!status.ok()) return status;
  const std::int64_t length = std::bit_cast<std::uint32_t>(length_bytes);
  if (length > kMaxNpyHeaderBytes) {
    return Damaged(fmt::format("its header would take {} bytes: expected at most {}", length,
                               kMaxNpyHeaderBytes));
  }
  std::string text(static_cast<std::size_t>(length), '\0');
  status = ReadExactly(reader, std::as_writable_bytes(std::span(text)), "the header");
  if (!status.ok()) return status;
  std::optional<Header> header = HeaderParser(text).Parse();
  if (!header) {
    return Damaged(fmt::format(
        "expected a header with 'descr', 'fortran_order' and 'shape', got {}", Quoted(text)));
  }
  return *std::move(header);
}

struct ElementType {
  DataType type;
  bool big_endian;
};

std::optional<ElementType> ParseDescr(std::string_view descr) {
  if (descr.size() != 3) return std::nullopt;
  const char order = descr[0];
  const std::string_view kind = descr.substr(1);
  const bool one_byte = kind == "i1" || kind == "u1";
  if (order != '<' && order != '>' && order != '=' && !(order == '|' && one_byte)) {
    return std::nullopt;
  }
  constexpr std::pair<std::string_view, DataType> kKinds[] = {
      {"f2", DataType::kFloat16}, {"f4", DataType::kFloat32}, {"f8", DataType::kFloat64},
      {"i1", DataType::kInt8},    {"u1", DataType::kUInt8},   {"i4", DataType::kInt32}};
  for (const auto& [name, type] : kKinds) {
    if (name == kind) return ElementType{type, order == '>'};
  }
  return std::nullopt;
}

absl::Status UnknownType(std::string_view descr) {
  return absl::UnimplementedError(
      fmt::format("holds elements of type {}: expected float32 (f4), float64 (f8), "
                  "float16 (f2), int8 (i1), uint8 (u1) or, for a --bias, int32 (i4); convert it "
                  "before saving, for example array.astype('float32')",
                  Quoted(descr, 64)));
}

void SwapBytes(Tensor& tensor) {
  const auto size = static_cast<std::size_t>(SizeOf(tensor.data_type()));
  std::byte* const end = tensor.data() + tensor.byte_count();
  for (std::byte* element = tensor.data(); element != end; element += size) {
    std::reverse(element, element + size);
  }
}

// `tensor` holds its elements with the first index running fastest. Returns them in row-major
// order.
Tensor FromFortranOrder(const Tensor& tensor) {
  const Shape& shape = tensor.shape();
  const auto element_size = static_cast<std::size_t>(SizeOf(tensor.data_type()));
  Tensor result(tensor.data_type(), shape);
  Shape index(shape.size(), 0);
  Shape stride(shape.size(), 1);
  for (std::size_t i = 1; i < shape.size(); ++i) stride[i] = stride[i - 1] * shape[i - 1];
  std::int64_t source = 0;
  for (std::int64_t target = 0; target < tensor.size(); ++target) {
    std::memcpy(result.data() + static_cast<std::size_t>(target) * element_size,
                tensor.data() + static_cast<std::size_t>(source) * element_size, element_size);
    for (std::size_t i = shape.size(); i-- > 0;) {
      source += stride[i];
      if (++index[i] < shape[i]) break;
      source -= stride[i] * shape[i];
      index[i] = 0;
    }
  }
  return result;
}

}  // namespace

absl::StatusOr<Tensor> ReadNpy(ByteReader& reader) {
  absl::StatusOr<Header> header = ReadHeader(reader);
  if (!header.ok()) return header.status();
  const std::optional<ElementType> element = ParseDescr(header->descr);
  if (!element) return UnknownType(header->descr);

  const std::optional<std::int64_t> bytes = ByteCount(element->type, header->shape);
  if (!bytes || *bytes != reader.remaining()) {
    return Damaged(fmt::format(
        "shape {} of {} takes {} bytes, got {}", ToString(header->shape), Name(element->type),
        bytes ? fmt::format("{}", *bytes) : "more than 2^63", reader.remaining()));
  }
  Tensor tensor(element->type, header->shape);
  absl::Status status = ReadExactly(
      reader, std::span(tensor.data(), static_cast<std::size_t>(*bytes)), "the elements");
  if (!status.ok()) return status;
  if (element->big_endian) SwapBytes(tensor);
  if (header->fortran_order && header->shape.size() > 1) return FromFortranOrder(tensor);
  return tensor;
}

std::string NpyHeader(DataType type, const Shape& shape) {
  const std::string_view descr = [type] {
    switch (type) {
      case DataType::kFloat64:
        return "<f8";
      case DataType::kFloat16:
        return "<f2";
      case DataType::kInt8:
        return "|i1";
      case DataType::kUInt8:
        return "|u1";
      case DataType::kInt32:
        return "<i4";
      default:
        return "<f4";
    }
  }();
  std::string text = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}{}), }}",
                                 descr, fmt::join(shape, ", "), shape.size() == 1 ? "," : "");
  constexpr std::size_t kAlignment = 64;
  const std::size_t used = kMagic.size() + 4 + text.size() + 1;
  text.append((kAlignment - used % kAlignment) % kAlignment, ' ');
  text.push_back('\n');
  std::string header(kMagic);
  header.append(
      {'\x01', '\x00', static_cast<char>(text.size() & 0xff), static_cast<char>(text.size() >> 8)});
  return header + text;
}

Tensor WidenBFloat16(const TensorView& tensor) {
  Tensor result(DataType::kFloat32, tensor.shape);
  std::transform(tensor.As<BFloat16>(), tensor.As<BFloat16>() + result.size(), result.As<float>(),
                 [](BFloat16 value) { return ToFloat(value); });
  return result;
}

}  // namespace convserve::cli
