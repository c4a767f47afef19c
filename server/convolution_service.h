// The edge to gRPC: threads, cancellation, deadlines, the one catch, and the crossing of statuses.
//
// Reactions run on gRPC's few threads. They check a request and hand it over; it is computed, in
// its turn (server/admission.h), in one of two oneTBB arenas of this service: the large one, whose
// threads help each other, or a small one for short requests while long ones hold the large one.
// What is a matter of microseconds, a Describe or a tiny convolution, is answered in the reaction.
// The reactor of a call owns all of its state, finishes exactly once and ends in OnDone.
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

class ConvolutionService final : public v1::ConvolutionService::CallbackService {
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
                                 const v1::ConvRequest* request,
                                 v1::ConvResponse* response) override;
  grpc::ServerUnaryReactor* ConvTranspose(grpc::CallbackServerContext* context,
                                          const v1::ConvTransposeRequest* request,
                                          v1::ConvTransposeResponse* response) override;
  grpc::ServerUnaryReactor* Describe(grpc::CallbackServerContext* context,
                                     const v1::DescribeRequest* request,
                                     v1::DescribeResponse* response) override;
  grpc::ServerUnaryReactor* Explain(grpc::CallbackServerContext* context,
                                    const v1::ExplainRequest* request,
                                    v1::ExplainResponse* response) override;

  // Refuses further requests, then waits for those accepted; false when some remain at `deadline`.
  bool Drain(std::chrono::steady_clock::time_point deadline);

  Admission::Usage usage() const { return admission_.usage(); }

 private:
  template <typename Request, typename Response>
  class Call;

  template <typename Request, typename Response>
  grpc::ServerUnaryReactor* Serve(const char* method, grpc::CallbackServerContext* context,
                                  const Request* request, Response* response);

  const Handler handler_;
  const std::vector<CallObserver*> observers_;
  Admission admission_;
  ComputeTimes times_;
  tbb::task_arena arena_;
  tbb::task_arena express_;
};

}  // namespace convserve

#endif  // CONVSERVE_SERVER_CONVOLUTION_SERVICE_H_
