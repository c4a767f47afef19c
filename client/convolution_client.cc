#include "client/convolution_client.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <utility>

#include "client/async_call.h"
#include "client/attempts.h"
#include "client/channel_pool.h"
#include "client/loan.h"
#include "client/messages.h"
#include "convserve/v1/convolution.grpc.pb.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "proto/convert.h"
#include "proto/raw_request.h"
#include "proto/status.h"

namespace convserve {
namespace {

constexpr char kConv[] = "/convserve.v1.ConvolutionService/Conv";
constexpr char kConvTranspose[] = "/convserve.v1.ConvolutionService/ConvTranspose";

}  // namespace

struct ConvolutionClient::Impl {
  Impl(std::shared_ptr<ChannelPool> channels, const ClientOptions& client_options)
      : options(client_options),
        pool(std::move(channels)),
        convolution(v1::ConvolutionService::NewStub(pool->first())),
        health(grpc::health::v1::Health::NewStub(pool->any_health())) {}

  template <typename Service, typename Request, typename Response>
  using Method = grpc::Status (Service::*)(grpc::ClientContext*, const Request&, Response*);

  template <typename Service, typename Stub, typename Request, typename Response>
  absl::Status Call(Method<Service, Request, Response> method, Stub& stub, const Request& request,
                    Response& response, const CallOptions& call) const {
    if (!security.ok()) return security;
    absl::Status status = CheckMessageSize(request.ByteSizeLong(), options.max_message_bytes);
    if (!status.ok()) return status;
    return Repeat(call, [&](grpc::ClientContext& context) {
      return (stub.*method)(&context, request, &response);
    });
  }

  // Sends the tensors from where they are.
  absl::StatusOr<ConvResult> Convolve(const std::string& method, const TensorRequest& request,
                                      const CallOptions& call) const {
    if (!security.ok()) return security;
    absl::Status status = CheckOperands(request.operands, options.max_message_bytes);
    if (!status.ok()) return status;
    const Loan operands;
    const grpc::ByteBuffer message = WriteRequest(request, operands.keeper());
    status = CheckMessageSize(message.Length(), options.max_message_bytes);
    if (!status.ok()) return status;
    grpc::ByteBuffer answer;
    status = Repeat(call, [&](grpc::ClientContext& context) {
      return SendOnce(method, message, answer, context);
    });
    if (!status.ok()) return status;
    return ReadAnswer(answer);
  }

  void Start(const std::string& method, TensorRequest request, const CallOptions& call,
             ConvCallback done) const {
    if (!security.ok()) return done(security);
    const absl::Status status = CheckOperands(request.operands, options.max_message_bytes);
    if (!status.ok()) return done(status);
    convserve::Start({.pool = pool,
                      .options = options,
                      .method = method,
                      .request = std::move(request),
                      .call = call,
                      .done = std::move(done)});
  }

  template <typename Attempt>
  absl::Status Repeat(const CallOptions& call, Attempt attempt) const {
    Attempts attempts(options, call);
    if (!attempts.status().ok()) return attempts.status();
    while (true) {
      grpc::ClientContext context;
      attempts.SetUp(context);
      absl::Status status;
      {
        const std::stop_callback cancel(call.stop, [&context] { context.TryCancel(); });
        status = FromGrpc(attempt(context));
      }
      const auto again = attempts.NextAfter(status);
      if (!again) return status;
      if (!SleepUntil(*again, call.stop)) return absl::CancelledError("a stop was requested");
    }
  }

  grpc::Status SendOnce(const std::string& method, const grpc::ByteBuffer& message,
                        grpc::ByteBuffer& answer, grpc::ClientContext& context) const {
    const ChannelPool::Lease channel(*pool);
    grpc::CompletionQueue queue;
    grpc::Status status;
    const auto reader = channel.stub().PrepareUnaryCall(&context, method, message, &queue);
    reader->StartCall();
    reader->Finish(&answer, &status, nullptr);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    queue.Shutdown();
    while (queue.Next(&tag, &ok)) {
    }
    return status;
  }

  ClientOptions options;
  absl::Status security;  // of the options; not OK: no call is made
  std::shared_ptr<ChannelPool> pool;
  std::unique_ptr<v1::ConvolutionService::StubInterface> convolution;
  std::unique_ptr<grpc::health::v1::Health::StubInterface> health;
};

namespace {

ClientOptions Bounded(ClientOptions options) {
  options.max_message_bytes =
      std::clamp<std::int64_t>(options.max_message_bytes, 0, kMaxMessageBytes);
  return options;
}

}  // namespace

ConvolutionClient::ConvolutionClient(const std::string& target, const ClientOptions& options)
    : impl_(std::make_unique<Impl>(std::make_shared<ChannelPool>(target, Bounded(options)),
                                   Bounded(options))) {
  impl_->security = CheckSecurity(target, options.security);
}

ConvolutionClient::ConvolutionClient(const std::shared_ptr<grpc::Channel>& channel,
                                     const ClientOptions& options)
    : impl_(std::make_unique<Impl>(std::make_shared<ChannelPool>(channel), Bounded(options))) {}

ConvolutionClient::ConvolutionClient(ConvolutionClient&&) noexcept = default;
ConvolutionClient& ConvolutionClient::operator=(ConvolutionClient&&) noexcept = default;
ConvolutionClient::~ConvolutionClient() = default;

absl::StatusOr<ConvResult> ConvolutionClient::Conv(const Operands& operands,
                                                   const ConvParameters& parameters,
                                                   const CallOptions& options) const {
  return impl_->Convolve(kConv, {operands, parameters, options.output_type}, options);
}

absl::StatusOr<ConvResult> ConvolutionClient::ConvTranspose(
    const Operands& operands, const ConvTransposeParameters& parameters,
    const CallOptions& options) const {
  return impl_->Convolve(kConvTranspose, {operands, parameters, options.output_type}, options);
}

void ConvolutionClient::ConvAsync(const Operands& operands, const ConvParameters& parameters,
                                  const CallOptions& options, ConvCallback done) const {
  impl_->Start(kConv, {operands, parameters, options.output_type}, options, std::move(done));
}

void ConvolutionClient::ConvTransposeAsync(const Operands& operands,
                                           const ConvTransposeParameters& parameters,
                                           const CallOptions& options, ConvCallback done) const {
  impl_->Start(kConvTranspose, {operands, parameters, options.output_type}, options,
               std::move(done));
}

namespace {

// A callback that keeps the promise.
ConvCallback Keep(std::promise<absl::StatusOr<ConvResult>> promise) {
  return [promise = std::move(promise)](absl::StatusOr<ConvResult> result) mutable {
    promise.set_value(std::move(result));
  };
}

}  // namespace

std::future<absl::StatusOr<ConvResult>> ConvolutionClient::ConvAsync(
    const Operands& operands, const ConvParameters& parameters, const CallOptions& options) const {
  std::promise<absl::StatusOr<ConvResult>> promise;
  auto result = promise.get_future();
  ConvAsync(operands, parameters, options, Keep(std::move(promise)));
  return result;
}

std::future<absl::StatusOr<ConvResult>> ConvolutionClient::ConvTransposeAsync(
    const Operands& operands, const ConvTransposeParameters& parameters,
    const CallOptions& options) const {
  std::promise<absl::StatusOr<ConvResult>> promise;
  auto result = promise.get_future();
  ConvTransposeAsync(operands, parameters, options, Keep(std::move(promise)));
  return result;
}

absl::StatusOr<Description> ConvolutionClient::Describe(const ProblemSpec& spec,
                                                        const CallOptions& options) const {
  v1::DescribeResponse response;
  absl::Status status =
      impl_->Call(&v1::ConvolutionService::StubInterface::Describe, *impl_->convolution,
                  ToDescribeRequest(spec), response, options);
  if (!status.ok()) return status;
  const bool transpose = std::holds_alternative<ConvTransposeParameters>(spec.parameters);
  return FromProto(response, transpose ? Operation::kConvTranspose : Operation::kConv);
}

absl::StatusOr<Explanation> ConvolutionClient::Explain(const ProblemSpec& spec,
                                                       absl::Span<const std::int64_t> output_index,
                                                       const ExplainOperands& operands,
                                                       const CallOptions& options) const {
  const Operands present{operands.input.value_or(TensorView{}),
                         operands.weight.value_or(TensorView{}), operands.bias};
  absl::Status status = CheckOperands(present, impl_->options.max_message_bytes);
  if (!status.ok()) return status;
  v1::ExplainResponse response;
  status = impl_->Call(&v1::ConvolutionService::StubInterface::Explain, *impl_->convolution,
                       ToExplainRequest(spec, output_index, operands), response, options);
  if (!status.ok()) return status;
  return FromProto(response);
}

absl::StatusOr<ServingStatus> ConvolutionClient::Health(const std::string& service,
                                                        const CallOptions& options) const {
  grpc::health::v1::HealthCheckRequest request;
  request.set_service(service);
  grpc::health::v1::HealthCheckResponse response;
  absl::Status status = impl_->Call(&grpc::health::v1::Health::StubInterface::Check, *impl_->health,
                                    request, response, options);
  if (!status.ok()) return status;
  switch (response.status()) {
    case grpc::health::v1::HealthCheckResponse::SERVING:
      return ServingStatus::kServing;
    case grpc::health::v1::HealthCheckResponse::NOT_SERVING:
      return ServingStatus::kNotServing;
    default:
      return ServingStatus::kUnknown;
  }
}

}  // namespace convserve
