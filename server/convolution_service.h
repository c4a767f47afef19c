// The edge to gRPC: threads, cancellation, deadlines, the one catch, and the crossing of statuses.
//
// Reactions run on gRPC's few threads. They check a request and hand it over; it is computed, in
// its turn (server/admission.h), on a thread of this service: one of the main ones, which oneTBB's
// help, or one for short requests while long ones hold those.
// What is a matter of microseconds, a Describe or a tiny convolution, is answered in the reaction.
// The reactor of a call owns all of its state, finishes exactly once and ends in OnDone.
//
// A call is seen when its headers are there: one that finds no place is refused before its message
// is read, so turning away a large request costs as little as turning away a small one. gRPC offers
// that for streams alone: every method is served as a stream of one message each way, which is the
// same on the wire. Calls of methods that do not exist are seen too, and counted.
//
// Messages arrive and leave as bytes (proto/raw_request.h, proto/raw_response.h): nothing is parsed
// before this service says so, and a tensor is copied once, when its request has been admitted.
#ifndef CONVSERVE_SERVER_CONVOLUTION_SERVICE_H_
#define CONVSERVE_SERVER_CONVOLUTION_SERVICE_H_

#include <chrono>
#include <memory>
#include <vector>

#include "grpcpp/impl/service_type.h"
#include "server/admission.h"
#include "server/call_record.h"
#include "server/compute_times.h"
#include "server/connection_limits.h"
#include "server/handler.h"
#include "server/kept_memory.h"
#include "server/worker_threads.h"
#include "tbb/task_arena.h"

namespace grpc {
class ServerBuilder;
}

namespace convserve {

class ConvolutionService final : public grpc::Service {
 public:
  static constexpr const char* kName = "convserve.v1.ConvolutionService";

  struct Options {
    Handler::Options handler;
    Admission::Limits admission;
    int threads = 1;
    // A call whose answer has not been taken by then, and a second for each 128 KiB of it, is
    // cancelled.
    std::chrono::milliseconds answer_timeout = ConnectionLimits().answer_timeout;
    // Told of every call, in this order; they outlive the service.
    std::vector<CallObserver*> observers = {};
  };

  explicit ConvolutionService(Options options);

  // Every call must have ended.
  ~ConvolutionService() override;

  // Has the server answer the calls of this service and of methods that there are not.
  void RegisterWith(grpc::ServerBuilder& builder);

  // Refuses further requests, then waits for those accepted; false when some remain at `deadline`.
  bool Drain(std::chrono::steady_clock::time_point deadline);

  Admission::Usage usage() const { return admission_.usage(); }

 private:
  template <typename Method>
  class Call;
  class RefusedCall;
  class OtherMethods;

  template <typename Create>
  static grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* Created(Create&& create);

  template <typename Method>
  void Offer(int index);

  const Handler handler_;
  const std::chrono::milliseconds answer_timeout_;
  const std::vector<CallObserver*> observers_;
  KeptMemory kept_;
  Admission admission_;
  ComputeTimes times_;
  tbb::task_arena arena_;  // of the main threads and their helpers
  tbb::task_arena alone_;  // of express threads, which nobody helps
  WorkerThreads main_;
  WorkerThreads express_;
  std::unique_ptr<OtherMethods> other_methods_;
};

}  // namespace convserve

#endif  // CONVSERVE_SERVER_CONVOLUTION_SERVICE_H_
