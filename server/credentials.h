// The server's end of TLS and of the guard, over gRPC's C interface: gRPC 1.51's C++ interface
// neither takes certificates from memory that change, nor guards plaintext connections.
#ifndef CONVSERVE_SERVER_CREDENTIALS_H_
#define CONVSERVE_SERVER_CREDENTIALS_H_

#include <cstdint>
#include <memory>
#include <mutex>

#include "server/guard.h"
#include "server/tls.h"

namespace grpc {
class ServerCredentials;
}

namespace convserve {

// The certificate that handshakes use from now on. Thread-safe.
class CurrentTls {
 public:
  explicit CurrentTls(TlsMaterial material) { Replace(std::move(material)); }

  void Replace(TlsMaterial material) {
    auto replacement = std::make_shared<const TlsMaterial>(std::move(material));
    const std::lock_guard lock(mutex_);
    material_ = std::move(replacement);
  }

  std::shared_ptr<const TlsMaterial> get() const {
    const std::lock_guard lock(mutex_);
    return material_;
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const TlsMaterial> material_;
};

// Without `tls` connections are plaintext; without `guard` all calls are allowed. Whether callers
// must present a certificate is settled here, by the material of the moment.
std::shared_ptr<grpc::ServerCredentials> MakeCredentials(std::shared_ptr<const CurrentTls> tls,
                                                         std::shared_ptr<const Guard> guard);

}  // namespace convserve

#endif  // CONVSERVE_SERVER_CREDENTIALS_H_
