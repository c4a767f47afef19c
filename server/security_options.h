// Who may call, and how calls travel: by files that are read again when they change.
#ifndef CONVSERVE_SERVER_SECURITY_OPTIONS_H_
#define CONVSERVE_SERVER_SECURITY_OPTIONS_H_

#include <chrono>
#include <string>

namespace convserve {

struct SecurityOptions {
  // PEM files: the server's certificate with its chain, and the private key that belongs to it.
  // Both or neither; with them every address takes TLS 1.2 and 1.3, and nothing else.
  std::string tls_cert = "";
  std::string tls_key = "";

  // PEM file of authorities. With it callers must present a certificate that one of them signed.
  std::string tls_client_ca = "";

  // File of bearer tokens (server/tokens.h). With it every method but health needs one.
  std::string token_file = "";

  // Tokens without TLS are refused on addresses that other machines reach, unless this says that
  // something else encrypts them.
  bool plaintext_tokens = false;

  // How often the files are looked at.
  std::chrono::milliseconds reload_interval = std::chrono::seconds(1);
};

}  // namespace convserve

#endif  // CONVSERVE_SERVER_SECURITY_OPTIONS_H_
