// A gRPC server whose answers a test decides, where a real one could not be made to fail on demand.
#ifndef CONVSERVE_TESTS_CLIENT_FAKE_SERVER_H_
#define CONVSERVE_TESTS_CLIENT_FAKE_SERVER_H_

#include <atomic>
#include <functional>
#include <latch>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "convserve/v1/convolution.grpc.pb.h"
#include "grpcpp/grpcpp.h"
#include "grpcpp/health_check_service_interface.h"
#include "proto/callback_threads.h"

namespace convserve::testing {

class FakeServer : private v1::ConvolutionService::CallbackService {
 public:
  // Gives the status of the call with this number, from 1 on, and may fill the response.
  using Answer = std::function<grpc::Status(int call, const v1::ConvRequest&, v1::ConvResponse*)>;

  // Answers Conv. Without an answer, calls hang until they are cancelled.
  explicit FakeServer(Answer answer = nullptr) : answer_(std::move(answer)) {
    KeepCallbackThreads();
    grpc::EnableDefaultHealthCheckService(true);
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.SetMaxReceiveMessageSize(-1);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    SetServing(true);
  }

  // What it says of its health.
  void SetServing(bool serving) {
    server_->GetHealthCheckService()->SetServingStatus("convserve.v1.ConvolutionService", serving);
  }

  int port() const { return port_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  int calls() const { return calls_; }

  // From how many connections calls have come.
  std::size_t callers() {
    const std::lock_guard lock(mutex_);
    return callers_.size();
  }

  // Return once the first call has come, or was cancelled.
  void WaitForCall() { called_.wait(); }
  void WaitForCancel() { cancelled_.wait(); }

 private:
  class Hanging : public grpc::ServerUnaryReactor {
   public:
    Hanging(std::latch& cancelled, bool first) : cancelled_(cancelled), first_(first) {}
    void OnCancel() override {
      if (first_) cancelled_.count_down();
      Finish(grpc::Status::CANCELLED);
    }
    void OnDone() override { delete this; }

   private:
    std::latch& cancelled_;
    const bool first_;
  };

  grpc::ServerUnaryReactor* Conv(grpc::CallbackServerContext* context,
                                 const v1::ConvRequest* request,
                                 v1::ConvResponse* response) override {
    {
      const std::lock_guard lock(mutex_);
      callers_.insert(context->peer());
    }
    const int call = ++calls_;
    if (call == 1) called_.count_down();
    if (!answer_) return new Hanging(cancelled_, call == 1);
    grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
    reactor->Finish(answer_(call, *request, response));
    return reactor;
  }

  Answer answer_;
  std::atomic<int> calls_ = 0;
  std::mutex mutex_;
  std::set<std::string> callers_;
  std::latch called_{1};
  std::latch cancelled_{1};
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace convserve::testing

#endif  // CONVSERVE_TESTS_CLIENT_FAKE_SERVER_H_
