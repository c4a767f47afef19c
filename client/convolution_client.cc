#include "client/convolution_client.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <limits>
#include <string_view>
#include <utility>

#include "client/loan.h"
#include "convserve/v1/convolution.grpc.pb.h"
#include "fmt/format.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpcpp/generic/generic_stub.h"
#include "proto/convert.h"
#include "proto/raw_request.h"
#include "proto/raw_response.h"
#include "proto/status.h"

namespace convserve {
namespace {

using std::chrono::milliseconds;

// What a request takes beside its tensors' elements is far less.
constexpr std::int64_t kFieldBytes = 4096;

constexpr char kConv[] = "/convserve.v1.ConvolutionService/Conv";
constexpr char kConvTranspose[] = "/convserve.v1.ConvolutionService/ConvTranspose";

int AsInt(std::int64_t value) {
  return static_cast<int>(std::clamp<std::int64_t>(value, 0, std::numeric_limits<int>::max()));
}

std::string Seconds(milliseconds time) {
  const std::int64_t count = std::max<std::int64_t>(1, time.count());
  return fmt::format("{}.{:03}s", count / 1000, count % 1000);
}

// https://github.com/grpc/grpc/blob/master/doc/service_config.md
std::string ServiceConfig(const ClientOptions& options) {
  std::string method;
  if (const int attempts = std::clamp(options.max_attempts, 1, 5); attempts > 1) {
    method = fmt::format(
        R"("methodConfig": [{{"name": [{{"service": "convserve.v1.ConvolutionService"}},)"
        R"({{"service": "grpc.health.v1.Health"}}], "retryPolicy": {{"maxAttempts": {},)"
        R"("initialBackoff": "{}", "maxBackoff": "{}", "backoffMultiplier": 2,)"
        R"("retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"]}}}}],)",
        attempts, Seconds(options.initial_backoff), Seconds(options.initial_backoff * 20));
  }
  return fmt::format(R"({{{}"loadBalancingConfig": [{{"round_robin": {{}}}}]}})", method);
}

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& target,
                                           const ClientOptions& options) {
  grpc::ChannelArguments arguments;
  const int message_bytes = AsInt(options.max_message_bytes);
  arguments.SetMaxReceiveMessageSize(message_bytes);
  arguments.SetMaxSendMessageSize(message_bytes);
  // Calls above this size would not be retried; the default is 256 KiB.
  arguments.SetInt(GRPC_ARG_PER_RPC_RETRY_BUFFER_SIZE, std::numeric_limits<int>::max());
  arguments.SetServiceConfigJSON(ServiceConfig(options));
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, AsInt(options.keepalive_time.count()));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, AsInt(options.keepalive_timeout.count()));
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  if (!options.security.server_name.empty()) {
    arguments.SetSslTargetNameOverride(options.security.server_name);
  }
  return grpc::CreateCustomChannel(target, MakeChannelCredentials(options.security), arguments);
}

// gRPC aborts a process that sends 2 GiB or more, so what is too large must be refused before it
// gets there.
absl::Status CheckRequestSize(const Operands& operands, std::int64_t allowed) {
  Violations violations;
  std::int64_t bytes = kFieldBytes;
  const auto add = [&](const TensorView& tensor, std::string_view name) {
    const std::optional<std::int64_t> size = ByteCount(tensor.data_type, tensor.shape);
    if (!size) {
      violations.push_back({fmt::format("{}.shape", name),
                            fmt::format("expected sizes of at least 0 that a tensor in memory can "
                                        "have, got {}",
                                        ToString(tensor.shape))});
    } else if (*size > 0 && tensor.data == nullptr) {
      violations.push_back(
          {fmt::format("{}.data", name), fmt::format("expected {} bytes, got none", *size)});
    } else {
      bytes = *size > std::numeric_limits<std::int64_t>::max() - bytes
                  ? std::numeric_limits<std::int64_t>::max()
                  : bytes + *size;
    }
  };
  add(operands.input, "input");
  add(operands.weight, "weight");
  if (operands.bias) add(*operands.bias, "bias");
  if (!violations.empty()) return InvalidArgument(violations);
  if (bytes > allowed) {
    return absl::ResourceExhaustedError(fmt::format(
        "the request would take {} bytes: expected at most {}; send fewer images at a time", bytes,
        allowed));
  }
  return absl::OkStatus();
}

// The same for everything else that a request may hold.
absl::Status CheckMessageSize(std::size_t bytes, std::int64_t allowed) {
  if (bytes <= static_cast<std::size_t>(allowed)) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      fmt::format("the request would take {} bytes: expected at most {}", bytes, allowed));
}

}  // namespace

struct ConvolutionClient::Impl {
  Impl(const std::shared_ptr<grpc::Channel>& channel, const ClientOptions& client_options)
      : options(client_options),
        tensors(channel),
        convolution(v1::ConvolutionService::NewStub(channel)),
        health(grpc::health::v1::Health::NewStub(channel)) {}

  template <typename Service, typename Request, typename Response>
  using Method = grpc::Status (Service::*)(grpc::ClientContext*, const Request&, Response*);

  template <typename Service, typename Stub, typename Request, typename Response>
  absl::Status Call(Method<Service, Request, Response> method, Stub& stub, const Request& request,
                    Response& response, const CallOptions& call) const {
    if (!security.ok()) return security;
    absl::Status status = CheckMessageSize(request.ByteSizeLong(), options.max_message_bytes);
    if (!status.ok()) return status;
    grpc::ClientContext context;
    SetUp(context, call);
    const std::stop_callback cancel(call.stop, [&context] { context.TryCancel(); });
    return FromGrpc((stub.*method)(&context, request, &response));
  }

  // Sends the tensors from where they are.
  absl::StatusOr<ConvResult> Convolve(const std::string& method, const TensorRequest& request,
                                      const CallOptions& call) const {
    if (!security.ok()) return security;
    absl::Status status = CheckRequestSize(request.operands, options.max_message_bytes);
    if (!status.ok()) return status;
    const Loan operands;
    grpc::ByteBuffer message = WriteRequest(request, operands.keeper());
    status = CheckMessageSize(message.Length(), options.max_message_bytes);
    if (!status.ok()) return status;
    grpc::ByteBuffer answer;
    status = Call(method, message, answer, call);
    if (!status.ok()) return status;
    absl::StatusOr<ConvResult> result = ReadResponse(ByteChain(answer));
    if (!result.ok()) {
      return absl::InternalError(fmt::format("the server's answer is damaged: {}",
                                             std::string(result.status().message())));
    }
    return result;
  }

  void SetUp(grpc::ClientContext& context, const CallOptions& call) const {
    // Beyond a year the sum with the present could overflow.
    const milliseconds timeout = std::min<milliseconds>(call.timeout.value_or(options.timeout),
                                                        std::chrono::hours(24 * 365));
    context.set_deadline(std::chrono::system_clock::now() + timeout);
    context.set_wait_for_ready(call.wait_for_ready);
    if (!options.security.token) return;
    const std::string token = options.security.token();
    if (!token.empty()) context.AddMetadata("authorization", fmt::format("Bearer {}", token));
  }

  absl::Status Call(const std::string& method, const grpc::ByteBuffer& message,
                    grpc::ByteBuffer& answer, const CallOptions& call) const {
    grpc::ClientContext context;
    SetUp(context, call);
    const std::stop_callback cancel(call.stop, [&context] { context.TryCancel(); });
    grpc::CompletionQueue queue;
    grpc::Status status;
    const auto reader = tensors.PrepareUnaryCall(&context, method, message, &queue);
    reader->StartCall();
    reader->Finish(&answer, &status, nullptr);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    queue.Shutdown();
    while (queue.Next(&tag, &ok)) {
    }
    return FromGrpc(status);
  }

  ClientOptions options;
  absl::Status security;  // of the options; not OK: no call is made
  mutable grpc::GenericStub tensors;
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
    : ConvolutionClient(MakeChannel(target, Bounded(options)), options) {
  impl_->security = CheckSecurity(target, options.security);
}

ConvolutionClient::ConvolutionClient(const std::shared_ptr<grpc::Channel>& channel,
                                     const ClientOptions& options)
    : impl_(std::make_unique<Impl>(channel, Bounded(options))) {}

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
  absl::Status status = CheckRequestSize(present, impl_->options.max_message_bytes);
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
