// How a client proves who it is, and makes sure of the server.
#ifndef CONVSERVE_CLIENT_CLIENT_SECURITY_H_
#define CONVSERVE_CLIENT_CLIENT_SECURITY_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace grpc {
class ChannelCredentials;
}

namespace convserve {

struct ClientSecurity {
  // TLS; otherwise plaintext, and all of the PEM texts below must be empty.
  bool tls = false;

  // The authorities of the server's certificate, PEM. Empty: those of the system.
  std::string ca_pem = "";

  // The client's own certificate with its chain, and its key, PEM: both or neither.
  std::string cert_pem = "";
  std::string key_pem = "";

  // The name that the server's certificate must be for. Empty: that of the target.
  std::string server_name = "";

  // Asked for each call, from the thread that calls: the bearer token to send; nothing is sent
  // where it is empty, and the call fails with CheckToken's status where that is not OK. It may
  // change between calls. Must not throw.
  std::function<std::string()> token = {};

  // Without TLS a token is sent to this machine alone, unless this says that something else
  // encrypts it.
  bool plaintext_token = false;
};

// Whether calls to `target` stay on this machine: loopback addresses, localhost and Unix sockets.
bool IsLocal(std::string_view target);

// INVALID_ARGUMENT for options that contradict each other or are no PEM, FAILED_PRECONDITION for a
// token that would travel to `target` in the clear. Every call of a client made from such options
// fails with this status, and nothing is sent.
absl::Status CheckSecurity(const std::string& target, const ClientSecurity& security);

// INVALID_ARGUMENT for a token that gRPC could not send: it takes printable ASCII alone, and a
// space would end the token.
absl::Status CheckToken(std::string_view token);

// For options that passed CheckSecurity.
std::shared_ptr<grpc::ChannelCredentials> MakeChannelCredentials(const ClientSecurity& security);

}  // namespace convserve

#endif  // CONVSERVE_CLIENT_CLIENT_SECURITY_H_
