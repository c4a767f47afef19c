#include "server/convolution_service.h"

#include <exception>
#include <new>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "fmt/format.h"
#include "grpcpp/grpcpp.h"
#include "proto/status.h"
#include "server/request_id.h"

namespace convserve {
namespace {

using Clock = std::chrono::steady_clock;

// The one place where exceptions end.
template <typename Step>
absl::Status Guarded(Step&& step) {
  try {
    return step();
  } catch (const std::bad_alloc&) {
    absl::Status status = absl::ResourceExhaustedError("out of memory");
    SetReason(status, "OUT_OF_MEMORY");
    return status;
  } catch (const std::exception& e) {
    return absl::InternalError(e.what());
  } catch (...) {
    return absl::InternalError("unknown exception");
  }
}

std::string IdOf(const grpc::CallbackServerContext& context) {
  const auto given = context.client_metadata().find(kRequestIdKey);
  if (given == context.client_metadata().end()) return RequestId("");
  return RequestId({given->second.data(), given->second.size()});
}

// Below both, computing takes a few microseconds, less than handing it over.
constexpr std::int64_t kTinyMultiplyAdds = std::int64_t{1} << 16;
constexpr std::int64_t kTinyBytes = std::int64_t{1} << 16;

// Numbers that checking a request looks at one by one; more than this take too long for a reaction.
constexpr int kFewValues = 4096;

int Values(const v1::DescribeRequest&) { return 0; }

template <typename Request>
int Values(const Request& request) {
  if constexpr (std::is_same_v<Request, v1::ExplainRequest>) {
    return Values(request.conv()) + Values(request.conv_transpose());
  } else {
    return request.input().values_size() + request.weight().values_size() +
           request.bias().values_size();
  }
}

Clock::time_point DeadlineOf(const grpc::CallbackServerContext& context) {
  constexpr std::chrono::hours kNever(24 * 365);
  const auto left = context.deadline() - std::chrono::system_clock::now();
  return left > kNever ? Clock::time_point::max() : Clock::now() + left;
}

}  // namespace

// One call, from its arrival to OnDone:
//
//   Start, Prepare (gRPC thread) -> [waits for its turn] -> Run (an arena) -> Done
//
// Each stage either passes the call on or calls Done, as the last thing it does with `this`: after
// that the call may be gone at any moment. Checking many numbers moves Prepare to an arena; a tiny
// request is run in the reaction.
template <typename Request, typename Response>
class ConvolutionService::Call final : public grpc::ServerUnaryReactor {
 public:
  Call(ConvolutionService& service, const char* method, grpc::CallbackServerContext* context,
       const Request* request, Response* response)
      : service_(service),
        method_(method),
        context_(*context),
        request_(*request),
        response_(*response),
        id_(IdOf(*context)),
        place_(service.admission_) {}

  void Start() {
    for (CallObserver* observer : service_.observers_) observer->Started(method_);
    const bool fast = Values(request_) <= kFewValues;
    const absl::Status status = Guarded([&] {
      absl::Status entered = service_.admission_.Enter(place_);
      if (entered.ok() && !fast) service_.express_.enqueue([this] { Prepare(); });
      return entered;
    });
    if (!status.ok()) return Done(status);
    if (fast) Prepare();
  }

  void OnCancel() override {
    stop_.request_stop();
    service_.admission_.Withdraw(place_);
  }

  void OnDone() override { delete this; }

 private:
  static constexpr bool kDescribes = std::is_same_v<Request, v1::DescribeRequest>;
  static constexpr bool kConvolves = requires(const Response& r) { r.execution(); };

  void Prepare() {
    std::optional<Admission::Lane> lane;
    const absl::Status status = Guarded([&] {
      if (stop_.stop_requested()) return Stopped();
      auto work = service_.handler_.Prepare(request_);
      if (!work.ok()) return work.status();
      work_.emplace(*std::move(work));
      auto granted = service_.admission_.Reserve(place_, DemandOfWork(),
                                                 [this](absl::StatusOr<Admission::Lane> ready) {
                                                   if (ready.ok()) return Go(*ready);
                                                   Done(ready.status());
                                                 });
      if (granted.ok()) lane = *granted;
      return granted.status();
    });
    if (!status.ok()) return Done(status);
    if (lane) Go(*lane);
  }

  Admission::Demand DemandOfWork() const {
    Admission::Demand demand{.message_bytes = work_->message_bytes,
                             .further_bytes = work_->bytes - work_->message_bytes,
                             .deadline = DeadlineOf(context_)};
    if constexpr (kConvolves) {
      demand.estimate = service_.times_.Estimate(work_->plan);
      demand.tiny =
          work_->plan.problem().multiply_adds() <= kTinyMultiplyAdds && work_->bytes <= kTinyBytes;
    }
    demand.tiny = demand.tiny || kDescribes;
    return demand;
  }

  void Go(Admission::Lane lane) {
    if (lane == Admission::Lane::kTiny) return Run();
    const absl::Status status = Guarded([&] {
      tbb::task_arena& arena =
          lane == Admission::Lane::kExpress ? service_.express_ : service_.arena_;
      arena.enqueue([this] { Run(); });
      return absl::OkStatus();
    });
    if (!status.ok()) Done(status);
  }

  void Run() {
    computing_since_ = Clock::now();
    Done(Guarded([this] {
      if (stop_.stop_requested()) return Stopped();
      absl::Status status;
      // A thread that waits for its helpers must not take up another request meanwhile.
      tbb::this_task_arena::isolate([&] {
        status = service_.handler_.Run(*work_, request_, {arrival_, stop_.get_token()}, response_);
      });
      if (kConvolves && status.ok())
        service_.times_.Learn(work_->plan, Clock::now() - *computing_since_);
      return status;
    }));
  }

  void Done(absl::Status status) {
    if (status.code() == absl::StatusCode::kCancelled) status = Stopped();
    const absl::Status told = Guarded([&] {
      Tell(status);
      context_.AddTrailingMetadata(kRequestIdKey, id_);
      if (const auto delay = RetryDelayOf(status)) {
        context_.AddTrailingMetadata("grpc-retry-pushback-ms", fmt::format("{}", delay->count()));
      } else if (status.code() == absl::StatusCode::kResourceExhausted) {
        // Too large is too large tomorrow as well: a negative delay keeps clients from trying
        // again.
        context_.AddTrailingMetadata("grpc-retry-pushback-ms", "-1");
      }
      return absl::OkStatus();
    });
    grpc::Status sent(static_cast<grpc::StatusCode>(status.code()), "");
    if (told.ok()) {
      (void)Guarded([&] {
        sent = ToGrpc(status);
        return absl::OkStatus();
      });
    }
    service_.admission_.Answer(place_);
    Finish(std::move(sent));
  }

  absl::Status Stopped() const {
    if (context_.deadline() <= std::chrono::system_clock::now()) {
      return absl::DeadlineExceededError("the deadline passed before the result was ready");
    }
    return absl::CancelledError("the caller gave up");
  }

  void Tell(const absl::Status& status) const {
    const Clock::time_point now = Clock::now();
    const std::string peer = context_.peer();
    const CallRecord record{
        .method = method_,
        .request_id = id_,
        .peer = peer,
        .status = status,
        .plan = work_ ? &work_->plan : nullptr,
        .whole = now - arrival_,
        .queued = computing_since_.value_or(now) - arrival_,
        .computed = now - computing_since_.value_or(now),
        .request_bytes = static_cast<std::int64_t>(request_.ByteSizeLong()),
        .response_bytes = status.ok() ? static_cast<std::int64_t>(response_.ByteSizeLong()) : 0};
    for (CallObserver* observer : service_.observers_) observer->Finished(record);
  }

  ConvolutionService& service_;
  const char* const method_;
  grpc::CallbackServerContext& context_;
  const Request& request_;
  Response& response_;
  const std::string id_;
  const Clock::time_point arrival_ = Clock::now();
  std::optional<Clock::time_point> computing_since_;
  std::stop_source stop_;
  std::optional<Work> work_;
  Admission::Place place_;
};

ConvolutionService::ConvolutionService(Options options)
    : handler_(std::move(options.handler)),
      observers_(std::move(options.observers)),
      admission_(options.admission),
      arena_(options.threads, /*reserved_for_masters=*/0),
      express_(options.admission.express_slots, /*reserved_for_masters=*/0) {
  arena_.initialize();
  express_.initialize();
}

ConvolutionService::~ConvolutionService() = default;

template <typename Request, typename Response>
grpc::ServerUnaryReactor* ConvolutionService::Serve(const char* method,
                                                    grpc::CallbackServerContext* context,
                                                    const Request* request, Response* response) {
  grpc::ServerUnaryReactor* reactor = nullptr;
  const absl::Status status = Guarded([&] {
    auto* call = new Call<Request, Response>(*this, method, context, request, response);
    reactor = call;
    call->Start();
    return absl::OkStatus();
  });
  if (reactor == nullptr) {
    reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status(static_cast<grpc::StatusCode>(status.code()), "out of memory"));
  }
  return reactor;
}

grpc::ServerUnaryReactor* ConvolutionService::Conv(grpc::CallbackServerContext* context,
                                                   const v1::ConvRequest* request,
                                                   v1::ConvResponse* response) {
  return Serve("Conv", context, request, response);
}

grpc::ServerUnaryReactor* ConvolutionService::ConvTranspose(grpc::CallbackServerContext* context,
                                                            const v1::ConvTransposeRequest* request,
                                                            v1::ConvTransposeResponse* response) {
  return Serve("ConvTranspose", context, request, response);
}

grpc::ServerUnaryReactor* ConvolutionService::Describe(grpc::CallbackServerContext* context,
                                                       const v1::DescribeRequest* request,
                                                       v1::DescribeResponse* response) {
  return Serve("Describe", context, request, response);
}

grpc::ServerUnaryReactor* ConvolutionService::Explain(grpc::CallbackServerContext* context,
                                                      const v1::ExplainRequest* request,
                                                      v1::ExplainResponse* response) {
  return Serve("Explain", context, request, response);
}

bool ConvolutionService::Drain(std::chrono::steady_clock::time_point deadline) {
  admission_.Close();
  return admission_.WaitUntilEmpty(deadline);
}

}  // namespace convserve
