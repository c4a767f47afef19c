#include "client/cli/literal.h"

#include <cctype>
#include <optional>
#include <string>

#include "client/cli/render.h"
#include "client/cli/text.h"
#include "fmt/format.h"

namespace convserve::cli {
namespace {

constexpr std::size_t kMaxDepth = 8;

bool IsNumberCharacter(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '+' || c == '-';
}

// "[0][2]", or "it" for the literal as a whole.
std::string Path(const Shape& index) {
  std::string path;
  for (const std::int64_t i : index) path += fmt::format("[{}]", i);
  return path.empty() ? "it" : path;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  absl::StatusOr<Literal> Parse() {
    absl::Status status = Element();
    if (!status.ok()) return status;
    SkipSpace();
    if (position_ < text_.size()) return Unexpected("nothing behind it");
    for (const std::optional<std::int64_t>& size : sizes_) literal_.shape.push_back(*size);
    return std::move(literal_);
  }

 private:
  absl::Status Element() {
    SkipSpace();
    const std::size_t depth = index_.size();
    const bool is_list = position_ < text_.size() && text_[position_] == '[';
    if (!is_list && !AtNumber()) return Unexpected("a number or '['");
    if (rank_ && is_list != (depth < *rank_)) {
      return absl::InvalidArgumentError(fmt::format("{}: expected {} like its neighbours, got {}",
                                                    Path(index_), is_list ? "a number" : "a list",
                                                    is_list ? "a list" : "a number"));
    }
    return is_list ? List() : Number();
  }

  absl::Status List() {
    const std::size_t depth = index_.size();
    if (depth == kMaxDepth) {
      return absl::InvalidArgumentError(
          fmt::format("{}: lists go deeper than {} levels", Path(index_), kMaxDepth));
    }
    if (depth == sizes_.size()) sizes_.emplace_back();
    Advance();
    std::int64_t count = 0;
    SkipSpace();
    if (!At(']')) {
      index_.push_back(0);
      while (true) {
        index_.back() = count++;
        absl::Status status = Element();
        if (!status.ok()) return status;
        SkipSpace();
        if (At(']')) break;
        if (!At(',')) return Unexpected("',' or ']'");
        Advance();
      }
      index_.pop_back();
    }
    Advance();
    if (sizes_[depth] && *sizes_[depth] != count) {
      return absl::InvalidArgumentError(
          fmt::format("{}: expected {} elements like the lists before it, got {}", Path(index_),
                      *sizes_[depth], count));
    }
    sizes_[depth] = count;
    if (count == 0 && !rank_) rank_ = depth + 1;
    return absl::OkStatus();
  }

  absl::Status Number() {
    std::size_t end = position_;
    while (end < text_.size() && IsNumberCharacter(text_[end])) ++end;
    const std::optional<double> value = ParseDouble(text_.substr(position_, end - position_));
    if (!value) return Unexpected("a number");
    rank_ = index_.size();
    literal_.values.push_back(*value);
    position_ = end;
    return absl::OkStatus();
  }

  bool At(char c) const { return position_ < text_.size() && text_[position_] == c; }
  bool AtNumber() const { return position_ < text_.size() && IsNumberCharacter(text_[position_]); }
  void Advance() { ++position_; }
  void SkipSpace() {
    while (position_ < text_.size() &&
           std::isspace(static_cast<unsigned char>(text_[position_])) != 0) {
      Advance();
    }
  }

  absl::Status Unexpected(std::string_view expected) const {
    const std::string got =
        position_ == text_.size() ? "the end" : Quoted(text_.substr(position_), 12);
    return absl::InvalidArgumentError(
        fmt::format("character {}: expected {}, got {}", position_ + 1, expected, got));
  }

  std::string_view text_;
  std::size_t position_ = 0;
  Shape index_;                                     // of the element being read
  std::vector<std::optional<std::int64_t>> sizes_;  // by depth, once a list there has closed
  std::optional<std::size_t> rank_;                 // once a number has been read
  Literal literal_;
};

}  // namespace

bool LooksLikeLiteral(std::string_view text) {
  text = Strip(text);
  return text.starts_with('[') || ParseDouble(text).has_value();
}

absl::StatusOr<Literal> ParseLiteral(std::string_view text) { return Parser(text).Parse(); }

absl::StatusOr<Tensor> ToTensor(const Literal& literal, DataType type) {
  Tensor tensor(type, literal.shape);
  for (std::size_t i = 0; i < literal.values.size(); ++i) {
    const double value = literal.values[i];
    if (!Represents(type, value)) {
      return absl::InvalidArgumentError(fmt::format("element {}: expected a value of {}, got {}", i,
                                                    Name(type), FormatNumber(value)));
    }
    StoreFromDouble(type, tensor.data(), static_cast<std::int64_t>(i), value);
  }
  return tensor;
}

}  // namespace convserve::cli
