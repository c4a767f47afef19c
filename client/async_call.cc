#include "client/async_call.h"

#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <utility>

#include "client/attempts.h"
#include "client/messages.h"
#include "grpcpp/alarm.h"
#include "grpcpp/grpcpp.h"
#include "proto/callback_threads.h"
#include "proto/status.h"

namespace convserve {
namespace {

absl::Status Stopped() { return absl::CancelledError("a stop was requested"); }

// A call under way. It ends when two things are over, in any order: the RPC with all its attempts,
// and the loan of the operands' memory, which gRPC may read for longer.
class Running : public std::enable_shared_from_this<Running> {
 public:
  explicit Running(AsyncCall call) : call_(std::move(call)), attempts_(call_.options, call_.call) {}

  void Start() {
    {
      const Keeper loan(this, [self = shared_from_this()](Running*) { self->LoanOver(); });
      message_ = WriteRequest(call_.request, loan);
    }
    absl::Status status = attempts_.status();
    status.Update(CheckMessageSize(message_.Length(), call_.options.max_message_bytes));
    if (!status.ok()) return RpcOver(std::move(status));
    // In the making it may call Stop already: last, but for what needs no stop.
    stop_.emplace(call_.call.stop, [this] { Stop(); });
    Attempt();
  }

 private:
  void Attempt() {
    auto context = std::make_shared<grpc::ClientContext>();
    attempts_.SetUp(*context);
    {
      const std::lock_guard lock(mutex_);
      if (!stopped_) context_ = context;
    }
    if (call_.call.stop.stop_requested()) context->TryCancel();
    lease_.emplace(*call_.pool);
    lease_->stub().UnaryCall(context.get(), call_.method, {}, &message_, &answer_,
                             [self = shared_from_this(), context](const grpc::Status& status) {
                               self->Attempted(FromGrpc(status));
                             });
  }

  void Attempted(absl::Status status) {
    lease_.reset();
    const auto again = attempts_.NextAfter(status);
    {
      // A context holds what it sends, and so the loan.
      const std::lock_guard lock(mutex_);
      context_.reset();
    }
    if (again) {
      const std::lock_guard lock(mutex_);
      if (!stopped_) {
        pause_.emplace();
        pause_->Set(*again, [self = shared_from_this()](bool) { self->AfterPause(); });
        return;
      }
      status = Stopped();
    }
    if (!status.ok()) return RpcOver(std::move(status));
    RpcOver(ReadAnswer(answer_));
  }

  void AfterPause() {
    if (EndPause()) return RpcOver(Stopped());
    Attempt();
  }

  // Whether a stop was requested. An alarm holds this object while it lives.
  bool EndPause() {
    const std::lock_guard lock(mutex_);
    pause_.reset();
    return stopped_;
  }

  void Stop() {
    std::shared_ptr<grpc::ClientContext> context;
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
      context = context_;
      if (pause_) pause_->Cancel();
    }
    if (context != nullptr) context->TryCancel();
  }

  void RpcOver(absl::StatusOr<ConvResult> result) {
    result_ = std::move(result);
    message_.Clear();
    answer_.Clear();
    if (--parts_ == 0) Tell();
  }

  // Somewhere inside gRPC, which may hold locks.
  void LoanOver() {
    if (--parts_ > 0) return;
    const std::lock_guard lock(mutex_);
    pause_.emplace();
    pause_->Set(std::chrono::system_clock::now(), [self = shared_from_this()](bool) {
      self->EndPause();
      self->Tell();
    });
  }

  void Tell() {
    stop_.reset();
    ConvCallback done = std::move(call_.done);
    call_.pool.reset();
    done(std::move(result_));
  }

  AsyncCall call_;
  Attempts attempts_;
  grpc::ByteBuffer message_;
  grpc::ByteBuffer answer_;
  std::optional<ChannelPool::Lease> lease_;
  absl::StatusOr<ConvResult> result_ = absl::UnknownError("the call has not ended");
  std::atomic<int> parts_ = 2;

  std::mutex mutex_;
  bool stopped_ = false;
  std::shared_ptr<grpc::ClientContext> context_;
  std::optional<grpc::Alarm> pause_;
  std::optional<std::stop_callback<std::function<void()>>> stop_;
};

}  // namespace

void Start(AsyncCall call) {
  KeepCallbackThreads();
  std::make_shared<Running>(std::move(call))->Start();
}

}  // namespace convserve
