#include "server/convolution_service.h"

#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include "convserve/v1/convolution.pb.h"
#include "fmt/format.h"
#include "grpcpp/generic/async_generic_service.h"
#include "grpcpp/grpcpp.h"
#include "grpcpp/impl/codegen/server_callback_handlers.h"
#include "proto/status.h"
#include "server/methods.h"
#include "server/patience.h"
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

// Longer messages take too long to read and to check for a reaction.
constexpr std::size_t kShortMessageBytes = std::size_t{1} << 16;

Clock::time_point DeadlineOf(const grpc::CallbackServerContext& context) {
  constexpr std::chrono::hours kNever(24 * 365);
  const auto left = context.deadline() - std::chrono::system_clock::now();
  return left > kNever ? Clock::time_point::max() : Clock::now() + left;
}

}  // namespace

// One call, from its headers to OnDone:
//
//   constructor -> OnReadDone, Prepare (gRPC threads) -> [waits for its turn] -> Run (our threads)
//   -> Done
//
// Each stage either passes the call on or calls Done, as the last thing it does with `this`: after
// that the call may be gone at any moment. A long message moves Prepare to our threads; a tiny
// request is run in the reaction.
template <typename Method>
class ConvolutionService::Call final : public grpc::ServerGenericBidiReactor {
 public:
  Call(ConvolutionService& service, grpc::CallbackServerContext* context)
      : service_(service),
        context_(*context),
        id_(IdOf(*context)),
        peer_(context->peer()),
        place_(service.admission_) {
    service_.kept_.Used();
    for (CallObserver* observer : service_.observers_) observer->Started(Method::kName);
    const absl::Status status = Guarded([&] { return service_.admission_.Expect(place_); });
    if (status.ok()) {
      StartRead(&received_);
    } else {
      Done(status);
    }
  }

  void OnReadDone(bool ok) override {
    if (!ok) return Done(Missing());
    arrival_ = Clock::now();
    received_bytes_ = received_.Length();
    const bool fast = received_bytes_ <= kShortMessageBytes;
    const absl::Status status = Guarded([&] {
      absl::Status entered =
          service_.admission_.Enter(place_, static_cast<std::int64_t>(received_bytes_));
      if (entered.ok() && !fast) service_.express_.Post([this] { Prepare(); });
      return entered;
    });
    if (!status.ok()) return Done(status);
    if (fast) Prepare();
  }

  void OnCancel() override {
    stop_.request_stop();
    service_.admission_.Withdraw(place_);
  }

  void OnDone() override {
    if (patience_ && patience_->ended()) {
      (void)Guarded([&] {
        for (CallObserver* observer : service_.observers_) {
          observer->NotTaken(Method::kName, id_, peer_);
        }
        return absl::OkStatus();
      });
    }
    delete this;
  }

 private:
  void Prepare() {
    std::optional<Admission::Lane> lane;
    const absl::Status status = Guarded([&] {
      if (stop_.stop_requested()) return Stopped();
      // Short ones are too few to be counted twice.
      if (received_bytes_ > kShortMessageBytes) {
        const auto more = Method::BytesToRead(received_);
        if (!more.ok()) return more.status();
        if (absl::Status room = service_.admission_.Grow(place_, *more); !room.ok()) return room;
      }
      auto request = Method::Read(received_);
      if (!request.ok()) return request.status();
      request_.emplace(*std::move(request));
      auto work = service_.handler_.Prepare(*request_);
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
    if constexpr (Method::kConvolves) {
      demand.estimate = service_.times_.Estimate(work_->plan);
      demand.tiny =
          work_->plan.problem().multiply_adds() <= kTinyMultiplyAdds && work_->bytes <= kTinyBytes;
    }
    demand.tiny = demand.tiny || Method::kTiny;
    return demand;
  }

  void Go(Admission::Lane lane) {
    if (lane == Admission::Lane::kTiny) return Run(lane);
    const absl::Status status = Guarded([&] {
      WorkerThreads& threads =
          lane == Admission::Lane::kExpress ? service_.express_ : service_.main_;
      threads.Post([this, lane] { Run(lane); });
      return absl::OkStatus();
    });
    if (!status.ok()) Done(status);
  }

  void Run(Admission::Lane lane) {
    computing_since_ = Clock::now();
    Done(Guarded([this, lane] {
      if (stop_.stop_requested()) return Stopped();
      std::optional<typename Method::Result> result;
      absl::Status status;
      const auto run = [&] {
        auto answer = service_.handler_.Run(
            *work_, *request_,
            {.arrival = arrival_,
             .stop = stop_.get_token(),
             .message_freed = [this](std::int64_t bytes) { service_.kept_.MessageFreed(bytes); }});
        status = answer.status();
        if (status.ok()) result.emplace(*std::move(answer));
      };
      if (lane == Admission::Lane::kMain) {
        // A thread that waits for its helpers must not take up another request meanwhile.
        service_.arena_.execute([&] { tbb::this_task_arena::isolate(run); });
      } else if (lane == Admission::Lane::kExpress) {
        service_.alone_.execute(run);
      } else {
        run();
      }
      if (!status.ok()) return status;
      if (Method::kConvolves) service_.times_.Learn(work_->plan, Clock::now() - *computing_since_);
      return Method::Write(*request_, *std::move(result), sent_);
    }));
  }

  void Done(absl::Status status) {
    if (status.code() == absl::StatusCode::kCancelled && ReasonOf(status).empty()) {
      status = Stopped();
    }
    const absl::Status told = Guarded([&] {
      Tell(status);
      context_.AddTrailingMetadata(kRequestIdKey, id_);
      if (status.ok()) return absl::OkStatus();
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
    // What was computed from is not needed while the answer travels.
    request_.reset();
    received_.Clear();
    const bool crowded =
        service_.admission_.Answer(place_, static_cast<std::int64_t>(sent_.Length()));
    if (!sent.ok()) return Finish(std::move(sent));
    // Setting the alarm takes a while beside a short one, and few of these hold little.
    if (crowded || sent_.Length() > kShortMessageBytes) {
      (void)Guarded([&] {
        patience_.emplace(context_, service_.answer_timeout_, sent_.Length());
        return absl::OkStatus();
      });
    }
    StartWriteAndFinish(&sent_, {}, std::move(sent));
  }

  // No message came, or gRPC did not take it, tells the caller so itself, and does not tell us.
  absl::Status Missing() const {
    if (IsLate()) return Stopped();
    constexpr char kText[] =
        "no message was received: it is too long or compressed, there is none, or the call ended";
    const bool ended = context_.IsCancelled() || stop_.stop_requested();
    absl::Status status = ended ? absl::CancelledError(kText) : absl::InvalidArgumentError(kText);
    SetReason(status, "NO_MESSAGE");
    return status;
  }

  absl::Status Stopped() const {
    if (IsLate()) {
      return absl::DeadlineExceededError("the deadline passed before the result was ready");
    }
    return absl::CancelledError("the caller gave up");
  }

  bool IsLate() const { return context_.deadline() <= std::chrono::system_clock::now(); }

  void Tell(const absl::Status& status) const {
    const Clock::time_point now = Clock::now();
    const CallRecord record{
        .method = Method::kName,
        .request_id = id_,
        .peer = peer_,
        .status = status,
        .plan = work_ ? &work_->plan : nullptr,
        .whole = now - arrival_,
        .queued = computing_since_.value_or(now) - arrival_,
        .computed = now - computing_since_.value_or(now),
        .request_bytes = static_cast<std::int64_t>(received_bytes_),
        .response_bytes = status.ok() ? static_cast<std::int64_t>(sent_.Length()) : 0};
    for (CallObserver* observer : service_.observers_) observer->Finished(record);
  }

  ConvolutionService& service_;
  grpc::CallbackServerContext& context_;
  const std::string id_;
  const std::string peer_;  // which gRPC forgets when a call ends early
  grpc::ByteBuffer received_;
  grpc::ByteBuffer sent_;
  std::size_t received_bytes_ = 0;
  Clock::time_point arrival_ = Clock::now();  // of the headers, then of the message
  std::optional<Clock::time_point> computing_since_;
  std::stop_source stop_;
  std::optional<typename Method::Request> request_;
  std::optional<Work> work_;
  Admission::Place place_;
  std::optional<Patience> patience_;
};

// A call that ends as it begins.
class ConvolutionService::RefusedCall final : public grpc::ServerGenericBidiReactor {
 public:
  explicit RefusedCall(absl::StatusCode code) {
    Finish(grpc::Status(static_cast<grpc::StatusCode>(code), ""));
  }

  // Of a method that there is not.
  RefusedCall(ConvolutionService& service, grpc::GenericCallbackServerContext& context) {
    service.kept_.Used();
    constexpr std::size_t kShownBytes = 200;
    const absl::Status status = absl::UnimplementedError(
        fmt::format("no method {}", std::string_view(context.method()).substr(0, kShownBytes)));
    const std::string id = IdOf(context);
    const std::string peer = context.peer();
    for (CallObserver* observer : service.observers_) {
      observer->Started(kUnknownMethod);
      observer->Finished(
          {.method = kUnknownMethod, .request_id = id, .peer = peer, .status = status});
    }
    context.AddTrailingMetadata(kRequestIdKey, id);
    Finish(ToGrpc(status));
  }

  void OnDone() override { delete this; }
};

// What `create` returns; where memory does not suffice for it, a call that says so.
template <typename Create>
grpc::ServerGenericBidiReactor* ConvolutionService::Created(Create&& create) {
  grpc::ServerGenericBidiReactor* reactor = nullptr;
  const absl::Status status = Guarded([&] {
    reactor = create();
    return absl::OkStatus();
  });
  return reactor != nullptr ? reactor : new (std::nothrow) RefusedCall(status.code());
}

class ConvolutionService::OtherMethods final : public grpc::CallbackGenericService {
 public:
  explicit OtherMethods(ConvolutionService& service) : service_(service) {}

  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override {
    return ConvolutionService::Created([&] { return new RefusedCall(service_, *context); });
  }

 private:
  ConvolutionService& service_;
};

// What code generated for a method that streams both ways does.
template <typename Method>
void ConvolutionService::Offer(int index) {
  using grpc::internal::RpcMethod;
  AddMethod(
      new grpc::internal::RpcServiceMethod(Method::kPath, RpcMethod::BIDI_STREAMING, nullptr));
  MarkMethodRawCallback(index,
                        new grpc::internal::CallbackBidiHandler<grpc::ByteBuffer, grpc::ByteBuffer>(
                            [this](grpc::CallbackServerContext* context) {
                              return Created([&] { return new Call<Method>(*this, context); });
                            }));
}

ConvolutionService::ConvolutionService(Options options)
    : handler_(std::move(options.handler)),
      answer_timeout_(options.answer_timeout),
      observers_(std::move(options.observers)),
      kept_(options.admission.memory_bytes),
      admission_(options.admission, Clock::now, [this](std::int64_t bytes) { kept_.Held(bytes); }),
      arena_(options.threads),
      alone_(options.admission.express_slots),
      main_(options.admission.slots),
      express_(options.admission.express_slots),
      other_methods_(std::make_unique<OtherMethods>(*this)) {
  Offer<ConvMethod>(0);
  Offer<ConvTransposeMethod>(1);
  Offer<DescribeMethod>(2);
  Offer<ExplainMethod>(3);
}

ConvolutionService::~ConvolutionService() = default;

void ConvolutionService::RegisterWith(grpc::ServerBuilder& builder) {
  builder.RegisterService(this);
  builder.RegisterCallbackGenericService(other_methods_.get());
}

bool ConvolutionService::Drain(std::chrono::steady_clock::time_point deadline) {
  admission_.Close();
  return admission_.WaitUntilEmpty(deadline);
}

}  // namespace convserve
