// The bearer tokens that callers may present.
//
//   # one a line; empty lines and lines that begin with # are passed over
//   correct-horse-battery-staple
//   sha256:e2217d3e4e120c6a3372a1890f03e232b35ad659d71f7a62501a4ee204a3e66d
//
// A token is 16 to 512 characters of RFC 6750 (letters, digits, `-._~+/` and `=` at the end). The
// second form is its SHA-256 in hexadecimal, as `printf %s TOKEN | sha256sum` prints it: a file of
// these alone gives nobody a token. Several tokens at a time let each caller have its own, and
// change it without a gap: add the new one, change the caller, remove the old one.
#ifndef CONVSERVE_SERVER_TOKENS_H_
#define CONVSERVE_SERVER_TOKENS_H_

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace convserve {

class Tokens {
 public:
  // FAILED_PRECONDITION, with the number of the line and never its text, for one that is no token;
  // and for a text without any, which would keep everybody out.
  static absl::StatusOr<Tokens> Parse(std::string_view text);

  // Takes the same time whichever token it is, and whether or not it is one. Thread-safe.
  bool Contain(std::string_view token) const;

 private:
  using Digest = std::array<unsigned char, 32>;
  static Digest DigestOf(std::string_view token);

  std::vector<Digest> digests_;
};

}  // namespace convserve

#endif  // CONVSERVE_SERVER_TOKENS_H_
