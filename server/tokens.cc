#include "server/tokens.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "fmt/format.h"

namespace convserve {
namespace {

constexpr std::size_t kMinBytes = 16;
constexpr std::size_t kMaxBytes = 512;

absl::Status Refuse(std::size_t line, std::string_view expected) {
  return absl::FailedPreconditionError(fmt::format("line {}: expected {}", line, expected));
}

bool IsToken(std::string_view text) {
  const std::string_view body = text.substr(0, text.find_last_not_of('=') + 1);
  return text.size() >= kMinBytes && text.size() <= kMaxBytes && !body.empty() &&
         std::all_of(body.begin(), body.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
                  std::string_view("-._~+/").find(c) != std::string_view::npos;
         });
}

bool IsHexadecimal(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return absl::ascii_isxdigit(static_cast<unsigned char>(c)); });
}

}  // namespace

Tokens::Digest Tokens::DigestOf(std::string_view token) {
  Digest digest;
  SHA256(reinterpret_cast<const unsigned char*>(token.data()), token.size(), digest.data());
  return digest;
}

absl::StatusOr<Tokens> Tokens::Parse(std::string_view text) {
  Tokens tokens;
  std::size_t number = 0;
  for (absl::string_view line : absl::StrSplit(absl::string_view(text.data(), text.size()), '\n')) {
    ++number;
    line = absl::StripAsciiWhitespace(line);
    if (line.empty() || line[0] == '#') continue;
    if (absl::ConsumePrefix(&line, "sha256:")) {
      Digest digest;
      if (line.size() != 2 * digest.size() || !IsHexadecimal({line.data(), line.size()})) {
        return Refuse(number, "64 hexadecimal digits after sha256:");
      }
      const std::string bytes = absl::HexStringToBytes(line);
      std::copy(bytes.begin(), bytes.end(), digest.begin());
      tokens.digests_.push_back(digest);
    } else if (IsToken({line.data(), line.size()})) {
      tokens.digests_.push_back(DigestOf({line.data(), line.size()}));
    } else {
      return Refuse(number, "a token of 16 to 512 letters, digits and -._~+/=, or sha256:HEX");
    }
  }
  if (tokens.digests_.empty()) return absl::FailedPreconditionError("expected a token, got none");
  return tokens;
}

bool Tokens::Contain(std::string_view token) const {
  const Digest asked = DigestOf(token);
  int found = 0;
  for (const Digest& digest : digests_) {
    found |= CRYPTO_memcmp(asked.data(), digest.data(), asked.size()) == 0 ? 1 : 0;
  }
  return found != 0;
}

}  // namespace convserve
