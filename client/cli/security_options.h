// The options by which convctl proves who it is: files, as operators have them.
#ifndef CONVSERVE_CLIENT_CLI_SECURITY_OPTIONS_H_
#define CONVSERVE_CLIENT_CLI_SECURITY_OPTIONS_H_

#include <string>

#include "CLI/App.hpp"
#include "absl/status/statusor.h"
#include "client/client_security.h"

namespace convserve::cli {

struct SecurityOptions {
  bool tls = false;
  std::string ca;
  std::string cert;
  std::string key;
  std::string server_name;
  std::string token_file;
  bool plaintext_token = false;
};

// --tls, --tls-ca, ...; also from the environment, as CONVCTL_TLS, CONVCTL_TLS_CA, ...
void AddSecurityOptions(CLI::App& app, SecurityOptions& options);

// Reads the files. A usage error, with option and path, for one that cannot be read. Any option
// about TLS means TLS.
absl::StatusOr<ClientSecurity> ReadSecurity(const SecurityOptions& options);

}  // namespace convserve::cli

#endif  // CONVSERVE_CLIENT_CLI_SECURITY_OPTIONS_H_
