#include "tests/server/fixture.h"

#include <cstdlib>
#include <utility>

#include "core/violation.h"
#include "grpcpp/generic/generic_stub.h"
#include "gtest/gtest.h"
#include "proto/status.h"
#include "server/request_id.h"

namespace convserve {
namespace {

void Fill(v1::Tensor& tensor, v1::DataType type, std::vector<int> shape) {
  tensor.set_data_type(type);
  tensor.mutable_shape()->Assign(shape.begin(), shape.end());
}

template <typename Request>
Request Small() {
  Request request;
  Fill(*request.mutable_input(), v1::DATA_TYPE_FLOAT32, {1, 1, 2, 2});
  Fill(*request.mutable_weight(), v1::DATA_TYPE_FLOAT32, {1, 1, 2, 2});
  for (const double value : {1, 2, 3, 4}) request.mutable_input()->add_values(value);
  for (const double value : {1, 2, 0, 1}) request.mutable_weight()->add_values(value);
  request.set_output_encoding(v1::TENSOR_ENCODING_VALUES);
  return request;
}

template <typename Method>
absl::Status Ask(const Method& method) {
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::minutes(1));
  return FromGrpc(method(&context));
}

}  // namespace

ScopedEnvironment::ScopedEnvironment(const char* name, const char* value) : name_(name) {
  setenv(name, value, 1);
}

ScopedEnvironment::~ScopedEnvironment() { unsetenv(name_); }

std::vector<std::string> RefusedFields(const absl::Status& status) {
  std::vector<std::string> fields;
  for (const FieldViolation& violation : ViolationsOf(status)) fields.push_back(violation.field);
  return fields;
}

std::shared_ptr<grpc::Channel> ChannelTo(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

grpc::ByteBuffer InOneSlice(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return {&slice, 1};
}

AnswerInBytes CallInBytes(const std::shared_ptr<grpc::Channel>& channel, const std::string& path,
                          const grpc::ByteBuffer& message,
                          const std::function<void(grpc::ClientContext&)>& prepare) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::minutes(2));
  prepare(context);
  grpc::CompletionQueue queue;
  const auto call = stub.PrepareUnaryCall(&context, path, message, &queue);
  grpc::ByteBuffer received;
  AnswerInBytes answer;
  call->StartCall();
  call->Finish(&received, &answer.status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  EXPECT_TRUE(queue.Next(&tag, &ok));
  const auto& trailers = context.GetServerTrailingMetadata();
  if (const auto id = trailers.find(kRequestIdKey); id != trailers.end()) {
    answer.id.assign(id->second.data(), id->second.size());
  }
  grpc::Slice whole;
  if (answer.status.ok() && received.DumpToSingleSlice(&whole).ok()) {
    answer.message.assign(reinterpret_cast<const char*>(whole.begin()), whole.size());
  }
  return answer;
}

Caller::Caller(std::shared_ptr<grpc::Channel> channel)
    : channel_(std::move(channel)),
      service_(v1::ConvolutionService::NewStub(channel_)),
      health_(grpc::health::v1::Health::NewStub(channel_)) {}

absl::Status Caller::Conv(const v1::ConvRequest& request, v1::ConvResponse& response) {
  return Ask([&](auto* context) { return service_->Conv(context, request, &response); });
}

absl::Status Caller::Conv(grpc::ClientContext& context, const v1::ConvRequest& request) {
  v1::ConvResponse response;
  return FromGrpc(service_->Conv(&context, request, &response));
}

absl::Status Caller::ConvTranspose(const v1::ConvTransposeRequest& request,
                                   v1::ConvTransposeResponse& response) {
  return Ask([&](auto* context) { return service_->ConvTranspose(context, request, &response); });
}

absl::Status Caller::Describe(const v1::DescribeRequest& request, v1::DescribeResponse& response) {
  return Ask([&](auto* context) { return service_->Describe(context, request, &response); });
}

absl::Status Caller::Explain(const v1::ExplainRequest& request, v1::ExplainResponse& response) {
  return Ask([&](auto* context) { return service_->Explain(context, request, &response); });
}

std::string Caller::Health(const std::string& service) {
  grpc::health::v1::HealthCheckRequest request;
  request.set_service(service);
  grpc::health::v1::HealthCheckResponse response;
  const absl::Status status =
      Ask([&](auto* context) { return health_->Check(context, request, &response); });
  if (!status.ok()) return absl::StatusCodeToString(status.code());
  return grpc::health::v1::HealthCheckResponse::ServingStatus_Name(response.status());
}

void Caller::AskUntil(absl::StatusCode code) {
  absl::Status status;
  do {
    v1::DescribeResponse response;
    status = Describe({}, response);
    ASSERT_NE(status.code(), absl::StatusCode::kDeadlineExceeded) << "the server is gone";
  } while (status.code() != code);
}

Pending::Pending(Caller& caller, Amount amount) {
  answer_ = std::async(std::launch::async, [this, &caller, amount] {
    absl::Status status;
    do {  // until the small requests below have left the place free
      const auto context = std::make_shared<grpc::ClientContext>();
      {
        const std::lock_guard lock(mutex_);
        context_ = context;
      }
      status = caller.Conv(*context, SlowConv(amount));
    } while (ReasonOf(status) == "TOO_MANY_REQUESTS");
    return status;
  });
  caller.AskUntil(absl::StatusCode::kResourceExhausted);
}

void Pending::Cancel() {
  const std::lock_guard lock(mutex_);
  context_->TryCancel();
}

std::unique_ptr<Server> StartServer(const ServerOptions& options) {
  auto server = Server::Start(options);
  EXPECT_TRUE(server.ok()) << server.status();
  return server.ok() ? *std::move(server) : nullptr;
}

v1::ConvRequest SmallConv() { return Small<v1::ConvRequest>(); }

v1::ConvTransposeRequest SpreadConvTranspose() {
  auto request = Small<v1::ConvTransposeRequest>();
  request.mutable_parameters()->add_stride(4);
  return request;
}

v1::ConvRequest SlowConv(Amount amount) {
  v1::ConvRequest request;
  const auto fill = [](v1::Tensor& tensor, int count) {
    Fill(tensor, v1::DATA_TYPE_INT8, {count, 1, 64, 64});
    tensor.mutable_data()->resize(static_cast<std::size_t>(count) * 64 * 64, 1);
  };
  fill(*request.mutable_input(), amount.pictures);
  fill(*request.mutable_weight(), amount.filters);
  return request;
}

}  // namespace convserve
