// What became of a call, and who wants to know: metrics and logs take what they tell from here.
#ifndef CONVSERVE_SERVER_CALL_RECORD_H_
#define CONVSERVE_SERVER_CALL_RECORD_H_

#include <chrono>
#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "core/planner.h"

namespace convserve {

// The method of calls whose method there is not.
inline constexpr std::string_view kUnknownMethod = "unknown";

// Valid while an observer is told of it and no longer.
struct CallRecord {
  std::string_view method;  // "Conv", one of the service's own names, or kUnknownMethod
  std::string_view request_id;
  std::string_view peer;

  const absl::Status& status;

  // Null where the request was turned away before it had one.
  const Plan* plan = nullptr;

  // From the arrival to the answer, and the parts of it before and during the computation. A call
  // that was not computed was queued throughout.
  std::chrono::nanoseconds whole{};
  std::chrono::nanoseconds queued{};
  std::chrono::nanoseconds computed{};

  // The messages as they travel, without framing; an error has no response.
  std::int64_t request_bytes = 0;
  std::int64_t response_bytes = 0;
};

// Called on the threads that serve: quick, and safe to be called from many at once.
class CallObserver {
 public:
  virtual ~CallObserver() = default;

  virtual void Started(std::string_view method) = 0;

  // Once for each call that started, just before its answer is sent.
  virtual void Finished(const CallRecord& record) = 0;

  // After that, of a call whose answer nobody took in time: it was ended.
  virtual void NotTaken(std::string_view /*method*/, std::string_view /*request_id*/,
                        std::string_view /*peer*/) {}
};

}  // namespace convserve

#endif  // CONVSERVE_SERVER_CALL_RECORD_H_
