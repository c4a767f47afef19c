// When an answer has waited long enough for its caller.
#ifndef CONVSERVE_SERVER_PATIENCE_H_
#define CONVSERVE_SERVER_PATIENCE_H_

#include <chrono>
#include <cstddef>
#include <memory>

#include "grpcpp/alarm.h"
#include "grpcpp/grpcpp.h"

namespace convserve {

// For its life, cancels the call of `context` once its answer of `bytes` has had `time`, and a
// second for every 128 KiB, to be taken. Throws std::bad_alloc where memory does not suffice.
class Patience {
 public:
  Patience(const grpc::CallbackServerContext& context, std::chrono::milliseconds time,
           std::size_t bytes);
  ~Patience();

  // Whether the time is over.
  bool ended() const;

 private:
  struct Call;

  const std::shared_ptr<Call> call_;  // which an alarm that is on its way may outlive us with
  grpc::Alarm alarm_;
};

}  // namespace convserve

#endif  // CONVSERVE_SERVER_PATIENCE_H_
