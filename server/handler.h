// The pipeline of a request, without gRPC: decode, validate, plan; then, once admission granted the
// bytes, execute. Each RPC has the same two steps, chosen by the type of its request.
//
// Thread-safe. Both steps may throw std::bad_alloc.
#ifndef CONVSERVE_SERVER_HANDLER_H_
#define CONVSERVE_SERVER_HANDLER_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/limits.h"
#include "core/planner.h"
#include "proto/raw_request.h"
#include "proto/results.h"

namespace convserve {

namespace v1 {
class DescribeRequest;
class DescribeResponse;
class ExplainRequest;
class ExplainResponse;
}  // namespace v1

// A request that passed every check.
struct Work {
  Plan plan;
  // What serving it takes: the message, tensors decoded from `values`, the output in its encoding,
  // the workspace.
  std::int64_t bytes = 0;
  // Of these: the message, which is there already.
  std::int64_t message_bytes = 0;
};

struct RunContext {
  std::chrono::steady_clock::time_point arrival;
  std::stop_token stop;
  // Told the size of the message when its tensors have been moved out of it. Must not throw.
  std::function<void(std::int64_t bytes)> message_freed = {};
};

class Handler {
 public:
  struct Options {
    // A response whose size would exceed this is refused before it is computed.
    std::int64_t max_message_bytes = kMaxMessageBytes;
    std::int64_t max_multiply_adds = Limits().max_multiply_adds;
    std::string algorithm;  // forces one; empty: the planner's choice
  };

  explicit Handler(Options options);

  // INVALID_ARGUMENT with all violations; RESOURCE_EXHAUSTED, with figures, beyond a limit.
  // Allocates no tensor; takes time in proportion to the elements given as `values`, otherwise
  // constant.
  absl::StatusOr<Work> Prepare(const ReceivedRequest& request) const;
  absl::StatusOr<Work> Prepare(const v1::DescribeRequest& request) const;
  absl::StatusOr<Work> Prepare(const v1::ExplainRequest& request) const;

  // Does the work that Prepare made of this `request`, which a Conv or ConvTranspose uses up.
  // CANCELLED when a stop was requested.
  absl::StatusOr<ConvResult> Run(const Work& work, ReceivedRequest& request,
                                 const RunContext& context) const;
  absl::StatusOr<v1::DescribeResponse> Run(const Work& work, const v1::DescribeRequest& request,
                                           const RunContext& context) const;
  absl::StatusOr<v1::ExplainResponse> Run(const Work& work, const v1::ExplainRequest& request,
                                          const RunContext& context) const;

 private:
  absl::StatusOr<Plan> PlanOf(const DecodedProblem& decoded) const;

  const Options options_;
  const Limits limits_;
  const std::int64_t max_contributions_;
};

}  // namespace convserve

#endif  // CONVSERVE_SERVER_HANDLER_H_
