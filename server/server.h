// The convserve server: from options to a running service and back to nothing.
//
//   auto server = Server::Start({.listen = {"127.0.0.1:0"}});
//   if (!server.ok()) return server.status();
//   std::puts((*server)->addresses()[0].c_str());  // 127.0.0.1:43121
//   (*server)->Shutdown(std::chrono::seconds(30));
//
// A server without addresses is legal: it is then reached through InProcessChannel() alone.
#ifndef CONVSERVE_SERVER_SERVER_H_
#define CONVSERVE_SERVER_SERVER_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/connection_limits.h"
#include "server/security_options.h"

namespace grpc {
class Channel;
}

namespace convserve {

struct ServerOptions {
  // "HOST:PORT" (port 0: the system chooses one), "[IPV6]:PORT" or "unix:PATH".
  std::vector<std::string> listen = {};

  // Threads that compute; 0 means one for each processor that this process may use. At most 1024.
  int threads = 0;

  // The longest message that is received or sent, in bytes: 64 KiB to kMaxMessageBytes; 0 means
  // 256 MiB, or a tenth of the memory of the machine or of the container where that is less.
  std::int64_t max_message_bytes = 0;

  // The most multiply-adds that one request may ask for: a bound on time.
  std::int64_t max_multiply_adds = std::int64_t{1} << 44;

  // The bytes of tensors and workspaces that all requests in progress may hold together; 0 means
  // half of the memory of the machine or of the container. A request that needs more than all of it
  // is refused.
  std::int64_t memory_limit = 0;

  // Requests that are accepted at a time, computing or waiting; further ones are refused at once.
  int max_requests = 256;

  ConnectionLimits connections = {};

  // Without any, calls are plaintext and everybody may call.
  SecurityOptions security = {};

  // Serves gRPC's channelz, which shows connections and calls. It belongs to the process: servers
  // that start later in it have it too.
  bool channelz = false;

  // "PORT" (on 127.0.0.1), "HOST:PORT" or "[IPV6]:PORT": where operators find /metrics, /livez and
  // /readyz over HTTP (server/operator_port.h). Empty: nowhere.
  std::string metrics_listen = "";

  // What is logged to standard error: the least severity ("trace", "debug", "info", "warning",
  // "error", "critical" or "off"), the form ("text" or "json"), and of the calls that succeed the
  // share, 0 to 1; those that fail are all logged, those without a token that counts ten a second.
  std::string log_level = "off";
  std::string log_format = "text";
  double log_sample = 1;
};

// What a server holds at a moment.
struct ServerLoad {
  std::int64_t requests = 0;   // accepted and not yet answered
  std::int64_t waiting = 0;    // of these: for their turn
  std::int64_t computing = 0;  // of these
  std::int64_t bytes = 0;      // of messages, tensors and workspaces, answers on their way included
};

class Server {
 public:
  // A server that answers on every address of `options.listen`.
  //
  // INVALID_ARGUMENT for an option out of its range, options that contradict each other, an address
  // that does not parse, or a value of CONVSERVE_ALGORITHM or CONVSERVE_ISA that names nothing;
  // FAILED_PRECONDITION when an address cannot be had (in use, no permission, a file in the way), a
  // certificate, key or token file cannot be used, the limit on open files is too low, there
  // are not as many threads to be had, or the machine lacks the forced instruction set. Nothing is
  // left running then, and where it is not an address that fails, none has been listened on.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options);

  // As Shutdown(0).
  ~Server();

  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Where the server answers, in the order of `listen`, with the ports that were chosen.
  const std::vector<std::string>& addresses() const;

  // "HOST:PORT" of `metrics_listen`, with the port that was chosen; empty without one.
  const std::string& metrics_address() const;

  ServerLoad load() const;

  // A channel into this server without a socket. It may outlive the server; calls then fail.
  std::shared_ptr<grpc::Channel> InProcessChannel();

  // Stops. Health turns NOT_SERVING and /readyz 503; for the time of `wait` calls are still served,
  // so that load balancers can take notice. Then no connection is accepted and new requests are
  // refused with UNAVAILABLE; accepted ones have `drain` to finish, and those that remain are
  // cancelled. Returns when nothing runs any more. Thread-safe; calls after the first wait for the
  // same end.
  void Shutdown(std::chrono::milliseconds drain, std::chrono::milliseconds wait = {});

  // Returns once Shutdown is complete. Thread-safe.
  void Wait();

 private:
  struct Parts;
  explicit Server(std::unique_ptr<Parts> parts);

  std::unique_ptr<Parts> parts_;
};

}  // namespace convserve

#endif  // CONVSERVE_SERVER_SERVER_H_
