// Certificates and keys, checked before anything relies on them: gRPC 1.51 takes files that are
// missing or do not fit together, and then fails each handshake.
#ifndef CONVSERVE_SERVER_TLS_H_
#define CONVSERVE_SERVER_TLS_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "server/security_options.h"

namespace convserve {

// PEM texts that belong together.
struct TlsMaterial {
  std::string certificate_chain;
  std::string key;
  std::string client_ca;        // empty: callers need no certificate
  std::int64_t expires_at = 0;  // of the server's certificate, seconds since 1970
};

// Reads the files of `options` and checks them as a handshake would. FAILED_PRECONDITION, with
// option, path and reason, for a file that cannot be read, is no PEM of its kind, needs a
// passphrase, for a key that is not the certificate's, a certificate that is out of date or weaker
// than OpenSSL's security level allows. Thread-safe.
absl::StatusOr<TlsMaterial> ReadTls(const SecurityOptions& options);

}  // namespace convserve

#endif  // CONVSERVE_SERVER_TLS_H_
