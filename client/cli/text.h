// Small things about text that the readers of arguments and files share.
#ifndef CONVSERVE_CLIENT_CLI_TEXT_H_
#define CONVSERVE_CLIENT_CLI_TEXT_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace convserve::cli {

// The whole of `text` as a number; nothing when there is anything else in it or the type cannot
// hold it. A leading plus sign is allowed; "inf" and "nan" are doubles, and what is nearer to 0
// than every other double is 0.
std::optional<std::int64_t> ParseInteger(std::string_view text);
std::optional<double> ParseDouble(std::string_view text);

// Without white space at both ends.
std::string_view Strip(std::string_view text);

// The parts between separators: always at least one.
std::vector<std::string_view> Split(std::string_view text, char separator);

// At most `most` bytes of `text` in quotes, with what a terminal should not see as \xNN.
std::string Quoted(std::string_view text, std::size_t most = 40);

// The name of a file, or text from a server, fit for a line on a terminal: control characters as
// \xNN.
std::string Printable(std::string_view text);

// The one of `candidates` that `text` was probably meant to be: one or two slips away; empty when
// there is none.
std::string_view Nearest(std::string_view text, std::span<const std::string_view> candidates);

}  // namespace convserve::cli

#endif  // CONVSERVE_CLIENT_CLI_TEXT_H_
