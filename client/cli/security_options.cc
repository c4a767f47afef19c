#include "client/cli/security_options.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "client/cli/exit_code.h"
#include "fmt/format.h"

namespace convserve::cli {
namespace {

absl::StatusOr<std::string> Read(std::string_view option, const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file.is_open()) {
    errno = 0;
    text << file.rdbuf();  // fails where there is nothing to read, without an error
  }
  if (!file.is_open() || text.fail()) {
    const char* reason = errno == 0 ? "the file is empty" : std::strerror(errno);
    return UsageError(fmt::format("{}: {}: {}", option, path, reason));
  }
  return text.str();
}

// What is typed but empty is mostly a shell's variable that is not set. An empty variable of the
// environment never comes here: it counts as not set.
std::string CheckNotEmpty(const std::string& text) {
  return text.empty() ? "expected a name, got nothing" : "";
}

}  // namespace

void AddSecurityOptions(CLI::App& app, SecurityOptions& options) {
  app.add_flag("--tls", options.tls, "encrypt, and make sure of the server")
      ->envname("CONVCTL_TLS");
  app.add_option("--tls-ca", options.ca,
                 "authorities of the server's certificate, PEM; default those of the system")
      ->type_name("FILE")
      ->check(CheckNotEmpty)
      ->envname("CONVCTL_TLS_CA");
  app.add_option("--tls-cert", options.cert, "own certificate, PEM, where the server wants one")
      ->type_name("FILE")
      ->check(CheckNotEmpty)
      ->envname("CONVCTL_TLS_CERT");
  app.add_option("--tls-key", options.key, "private key of --tls-cert, PEM")
      ->type_name("FILE")
      ->check(CheckNotEmpty)
      ->envname("CONVCTL_TLS_KEY");
  app.add_option("--tls-server-name", options.server_name,
                 "name in the server's certificate; default that of --server")
      ->type_name("NAME")
      ->check(CheckNotEmpty)
      ->envname("CONVCTL_TLS_SERVER_NAME");
  app.add_option("--token-file", options.token_file, "file with the bearer token to send")
      ->type_name("FILE")
      ->check(CheckNotEmpty)
      ->envname("CONVCTL_TOKEN_FILE");
  app.add_flag("--plaintext-token", options.plaintext_token,
               "send the token without TLS to another machine too")
      ->envname("CONVCTL_PLAINTEXT_TOKEN");
}

absl::StatusOr<ClientSecurity> ReadSecurity(const SecurityOptions& options) {
  ClientSecurity security;
  security.plaintext_token = options.plaintext_token;
  security.server_name = options.server_name;
  security.tls = options.tls || !options.server_name.empty();
  for (const auto& [option, path, text] :
       {std::tuple("--tls-ca", &options.ca, &security.ca_pem),
        std::tuple("--tls-cert", &options.cert, &security.cert_pem),
        std::tuple("--tls-key", &options.key, &security.key_pem)}) {
    if (path->empty()) continue;
    auto content = Read(option, *path);
    if (!content.ok()) return content.status();
    if (content->find("-----BEGIN ") == std::string::npos) {
      return UsageError(fmt::format("{}: {}: expected PEM", option, *path));
    }
    *text = *std::move(content);
    security.tls = true;
  }
  if (security.cert_pem.empty() != security.key_pem.empty()) {
    return UsageError("--tls-cert and --tls-key go together");
  }
  if (!options.token_file.empty()) {
    auto content = Read("--token-file", options.token_file);
    if (!content.ok()) return content.status();
    std::string token(absl::StripAsciiWhitespace(*content));
    if (token.empty() || !CheckToken(token).ok()) {
      return UsageError(fmt::format("--token-file: {}: expected one token of printable ASCII",
                                    options.token_file));
    }
    security.token = [token = std::move(token)] { return token; };
  }
  return security;
}

}  // namespace convserve::cli
