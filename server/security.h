// The server's certificates and tokens: read and checked at the start, and again whenever their
// files change. While they are broken then, what was good before goes on.
#ifndef CONVSERVE_SERVER_SECURITY_H_
#define CONVSERVE_SERVER_SECURITY_H_

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "server/security_options.h"

namespace grpc {
class ServerCredentials;
}

namespace convserve {

class CurrentTls;
class Guard;

class Security {
 public:
  struct Observer {
    // Files ("tls" or "tokens") that changed were read again; not OK: and are not used.
    std::function<void(std::string_view file, const absl::Status& status)> reloaded;
    // A call of this path came without a token that counts. From many threads.
    std::function<void(std::string_view path)> refused;
  };

  // INVALID_ARGUMENT for options that contradict each other; FAILED_PRECONDITION, with option, path
  // and reason, for files that cannot be used, and for tokens that would travel in the clear on one
  // of the addresses in `listen`.
  static absl::StatusOr<std::unique_ptr<Security>> Open(const SecurityOptions& options,
                                                        const std::vector<std::string>& listen,
                                                        Observer observer);

  // Ends the watch over the files.
  ~Security();

  std::shared_ptr<grpc::ServerCredentials> credentials() const { return credentials_; }

  // Of the certificate in use, seconds since 1970; 0 without TLS.
  std::int64_t certificate_expires_at() const;

  bool has_tls() const { return tls_ != nullptr; }
  bool has_tokens() const { return guard_ != nullptr; }

 private:
  struct Watched;

  Security(SecurityOptions options, Observer observer);
  absl::Status LoadTls();
  absl::Status LoadTokens();
  void Watch();
  void LookAt(Watched& files);

  const SecurityOptions options_;
  const Observer observer_;
  std::shared_ptr<CurrentTls> tls_;
  std::shared_ptr<Guard> guard_;
  std::shared_ptr<grpc::ServerCredentials> credentials_;

  std::vector<Watched> watched_;
  std::mutex mutex_;
  std::condition_variable end_;
  bool ended_ = false;
  std::thread watcher_;
};

}  // namespace convserve

#endif  // CONVSERVE_SERVER_SECURITY_H_
