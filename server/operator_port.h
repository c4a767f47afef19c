// The port for operators: plain HTTP, apart from that of callers.
//
//   GET /metrics   Prometheus' text format
//   GET /livez     200 while the process answers
//   GET /readyz    200 while calls are welcome, 503 before that and once the server drains
//
// One thread serves all connections; each has five seconds and 8 KiB for its request, and gets one
// answer. Of more than 64 connections the oldest is closed, so that idlers keep no probe out.
#ifndef CONVSERVE_SERVER_OPERATOR_PORT_H_
#define CONVSERVE_SERVER_OPERATOR_PORT_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/listen.h"

namespace convserve {

class OperatorPort {
 public:
  // Called on the port's thread.
  struct Pages {
    std::function<std::string()> metrics;
    std::function<bool()> ready;
  };

  // Listens, and answers nothing yet. INVALID_ARGUMENT unless `address` is "PORT" (on 127.0.0.1),
  // "HOST:PORT" or "[IPV6]:PORT"; FAILED_PRECONDITION, with the system's reason, when it cannot be
  // had.
  static absl::StatusOr<Listening> Bind(const std::string& address);

  OperatorPort(Listening listening, Pages pages);

  // Closes what is open.
  ~OperatorPort();

 private:
  class Loop;
  const std::unique_ptr<Loop> loop_;
};

}  // namespace convserve

#endif  // CONVSERVE_SERVER_OPERATOR_PORT_H_
