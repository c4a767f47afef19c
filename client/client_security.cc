#include "client/client_security.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "fmt/format.h"
#include "grpcpp/security/credentials.h"

namespace convserve {
namespace {

absl::Status CheckPem(std::string_view name, std::string_view text) {
  if (text.empty() || text.find("-----BEGIN ") != std::string_view::npos) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format("{}: expected PEM, got something else", name));
}

}  // namespace

bool IsLocal(std::string_view target) {
  if (target.starts_with("unix:") || target.starts_with("unix-abstract:")) return true;
  for (const std::string_view scheme : {"dns:///", "ipv4:", "ipv6:"}) {
    if (target.starts_with(scheme)) target.remove_prefix(scheme.size());
  }
  const std::string host(target.substr(0, target.rfind(':')));
  if (host == "localhost" || host == "[::1]") return true;
  // Another machine's name may begin with 127. too.
  in_addr address{};
  return host.starts_with("127.") && inet_pton(AF_INET, host.c_str(), &address) == 1;
}

absl::Status CheckSecurity(const std::string& target, const ClientSecurity& security) {
  if (security.cert_pem.empty() != security.key_pem.empty()) {
    return absl::InvalidArgumentError(
        "security: a client's certificate and its key go together, got one of them");
  }
  const bool files = !security.ca_pem.empty() || !security.cert_pem.empty();
  if (files && !security.tls) {
    return absl::InvalidArgumentError("security: expected TLS with certificates, got plaintext");
  }
  for (const auto& [name, text] :
       {std::pair("ca_pem", &security.ca_pem), std::pair("cert_pem", &security.cert_pem),
        std::pair("key_pem", &security.key_pem)}) {
    if (absl::Status status = CheckPem(name, *text); !status.ok()) return status;
  }
  if (security.token && !security.tls && !security.plaintext_token && !IsLocal(target)) {
    return absl::FailedPreconditionError(
        fmt::format("the token would travel to {} in the clear: use TLS", target));
  }
  return absl::OkStatus();
}

absl::Status CheckToken(std::string_view token) {
  if (std::all_of(token.begin(), token.end(),
                  [](char c) { return absl::ascii_isgraph(static_cast<unsigned char>(c)); })) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      "token: expected printable ASCII without spaces, got something else");
}

std::shared_ptr<grpc::ChannelCredentials> MakeChannelCredentials(const ClientSecurity& security) {
  if (!security.tls) return grpc::InsecureChannelCredentials();
  return grpc::SslCredentials({security.ca_pem, security.key_pem, security.cert_pem});
}

}  // namespace convserve
