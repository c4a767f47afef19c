// One call's deadline, and when it may be tried once more.
#ifndef CONVSERVE_CLIENT_ATTEMPTS_H_
#define CONVSERVE_CLIENT_ATTEMPTS_H_

#include <chrono>
#include <optional>
#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "client/convolution_client.h"
#include "grpcpp/client_context.h"

namespace convserve {

// All attempts are made here: gRPC would repeat what fails with UNAVAILABLE before an answer has
// begun, and say the same of one that broke off, so that nobody could count. What fails with
// RESOURCE_EXHAUSTED is tried again where a busy server said when to come back: for any other
// reason (a message that is too large, by the server's word or by gRPC's own) it would fail again.
class Attempts {
 public:
  using TimePoint = std::chrono::system_clock::time_point;

  Attempts(const ClientOptions& options, const CallOptions& call);

  // Not OK: the token cannot be sent, and no attempt may be made.
  const absl::Status& status() const { return status_; }

  // Prepares an attempt.
  void SetUp(grpc::ClientContext& context) const;

  // When to make another attempt after one that ended like this: after the server's hint, without
  // one after a pause that grows from ClientOptions::initial_backoff, and only where the deadline
  // and the number of attempts leave room for it. Nothing: the status is final.
  std::optional<TimePoint> NextAfter(const absl::Status& status);

 private:
  TimePoint deadline_;
  bool wait_for_ready_;
  std::string token_;
  absl::Status status_;
  std::chrono::milliseconds pause_;
  int left_;
};

// False when a stop came first.
bool SleepUntil(Attempts::TimePoint time, const std::stop_token& stop);

}  // namespace convserve

#endif  // CONVSERVE_CLIENT_ATTEMPTS_H_
