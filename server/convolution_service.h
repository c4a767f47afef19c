// The edge to gRPC: threads, cancellation, deadlines, the one catch, and the crossing of statuses.
//
// Reactions run on gRPC's few threads. They check a request and hand it over; it is computed, in
// its turn (server/admission.h), in one of two oneTBB arenas of this service: the large one, whose
// threads help each other, or a small one for short requests while long ones hold the large one.
// What is a matter of microseconds, a Describe or a tiny convolution, is answered in the reaction.
// The reactor of a call owns all of its state, finishes exactly once and ends in OnDone.
//
// Messages arrive and leave as bytes (proto/raw_request.h, proto/raw_response.h): nothing is parsed
// before this service says so, and a tensor is copied once, when its request has been admitted.
#ifndef CONVSERVE_SERVER_CONVOLUTION_SERVICE_H_
#define CONVSERVE_SERVER_CONVOLUTION_SERVICE_H_

#include <chrono>
#include <memory>
#include <vector>

#include "convserve/v1/convolution.grpc.pb.h"
#include "server/admission.h"
#include "server/call_record.h"
#include "server/compute_times.h"
#include "server/handler.h"
#include "tbb/task_arena.h"

namespace convserve {

template <typename Base>
using RawMethods = v1::ConvolutionService::WithRawCallbackMethod_Conv<
    v1::ConvolutionService::WithRawCallbackMethod_ConvTranspose<
        v1::ConvolutionService::WithRawCallbackMethod_Describe<
            v1::ConvolutionService::WithRawCallbackMethod_Explain<Base>>>>;

class ConvolutionService final : public RawMethods<v1::ConvolutionService::Service> {
 public:
  struct Options {
    Handler::Options handler;
    Admission::Limits admission;
    int threads = 1;
    // Told of every call, in this order; they outlive the service.
    std::vector<CallObserver*> observers = {};
  };

  explicit ConvolutionService(Options options);

  // Every call must have ended.
  ~ConvolutionService() override;

  grpc::ServerUnaryReactor* Conv(grpc::CallbackServerContext* context,
                                 const grpc::ByteBuffer* request,
                                 grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* ConvTranspose(grpc::CallbackServerContext* context,
                                          const grpc::ByteBuffer* request,
                                          grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* Describe(grpc::CallbackServerContext* context,
                                     const grpc::ByteBuffer* request,
                                     grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* Explain(grpc::CallbackServerContext* context,
                                    const grpc::ByteBuffer* request,
                                    grpc::ByteBuffer* response) override;

  // Refuses further requests, then waits for those accepted; false when some remain at `deadline`.
  bool Drain(std::chrono::steady_clock::time_point deadline);

  Admission::Usage usage() const { return admission_.usage(); }

 private:
  template <typename Method>
  class Call;

  template <typename Method>
  grpc::ServerUnaryReactor* Serve(grpc::CallbackServerContext* context,
                                  const grpc::ByteBuffer* request, grpc::ByteBuffer* response);

  const Handler handler_;
  const std::vector<CallObserver*> observers_;
  Admission admission_;
  ComputeTimes times_;
  tbb::task_arena arena_;
  tbb::task_arena express_;
};

}  // namespace convserve

#endif  // CONVSERVE_SERVER_CONVOLUTION_SERVICE_H_
