#include "client/cli/text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <type_traits>

#include "fmt/format.h"

namespace convserve::cli {
namespace {

constexpr std::string_view kSpace = " \t\n\v\f\r";

template <typename T>
std::optional<T> ParseWhole(std::string_view text) {
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  T value{};
  const char* const end = text.data() + text.size();
  const std::from_chars_result result = std::from_chars(text.data(), end, value);
  if (result.ptr != end) return std::nullopt;
  if constexpr (std::is_floating_point_v<T>) {
    // from_chars does not say which end of the range was passed.
    if (result.ec == std::errc::result_out_of_range) {
      value = std::strtod(std::string(text).c_str(), nullptr);
      return std::abs(value) < 1 ? std::optional(value) : std::nullopt;
    }
  }
  return result.ec == std::errc() ? std::optional(value) : std::nullopt;
}

// How many insertions, removals, replacements and swaps of neighbours lead from `a` to `b`.
std::size_t Distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before_last;
  std::vector<std::size_t> last(b.size() + 1);
  std::iota(last.begin(), last.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::vector<std::size_t> row(b.size() + 1, i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before_last[j - 2] + 1);
      }
    }
    before_last = std::move(last);
    last = std::move(row);
  }
  return last.back();
}

}  // namespace

std::optional<std::int64_t> ParseInteger(std::string_view text) {
  return ParseWhole<std::int64_t>(text);
}

std::optional<double> ParseDouble(std::string_view text) { return ParseWhole<double>(text); }

std::string_view Strip(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::string Quoted(std::string_view text, std::size_t most) {
  std::string quoted = "\"";
  for (const char c : text.substr(0, most)) {
    const auto code = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += {'\\', c};
    } else if (code < 0x20 || code >= 0x7f) {
      quoted += fmt::format("\\x{:02x}", code);
    } else {
      quoted += c;
    }
  }
  return quoted + (text.size() > most ? "\"..." : "\"");
}

std::string Printable(std::string_view text) {
  std::string printable;
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    printable += code >= 0x20 && code != 0x7f ? std::string(1, c) : fmt::format("\\x{:02x}", code);
  }
  return printable;
}

std::string_view Nearest(std::string_view text, std::span<const std::string_view> candidates) {
  constexpr std::size_t kLongest = 64;
  if (text.size() > kLongest) return {};
  std::string_view nearest;
  std::size_t best = std::min<std::size_t>(2, text.size() / 2) + 1;
  for (const std::string_view candidate : candidates) {
    const std::size_t distance = Distance(text, candidate);
    if (distance < best) {
      best = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

}  // namespace convserve::cli
