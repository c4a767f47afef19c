// What surrounds the RPCs: health, reflection, message limits, compression.
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "grpc/reflection/v1alpha/reflection.grpc.pb.h"
#include "grpcpp/generic/generic_stub.h"
#include "gtest/gtest.h"
#include "tests/server/fixture.h"

namespace convserve {
namespace {

using ::testing::HasSubstr;

class ProtocolTest : public ::testing::Test {
 protected:
  // The server's answer to one message of the reflection protocol, as bytes.
  std::string Reflect(const std::string& message) {
    grpc::GenericStub stub(channel_);
    grpc::ClientContext context;
    grpc::CompletionQueue queue;
    const auto step = [&queue] {
      void* tag = nullptr;
      bool ok = false;
      return queue.Next(&tag, &ok) && ok;
    };
    auto stream = stub.PrepareCall(
        &context, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", &queue);
    stream->StartCall(nullptr);
    EXPECT_TRUE(step());
    const grpc::Slice slice(message);
    stream->WriteLast(grpc::ByteBuffer(&slice, 1), {}, nullptr);
    EXPECT_TRUE(step());
    grpc::ByteBuffer answer;
    stream->Read(&answer, nullptr);
    EXPECT_TRUE(step());
    grpc::Status status;
    stream->Finish(&status, nullptr);
    EXPECT_TRUE(step());
    EXPECT_TRUE(status.ok()) << status.error_message();
    grpc::Slice whole;
    EXPECT_TRUE(answer.DumpToSingleSlice(&whole).ok());
    return {reinterpret_cast<const char*>(whole.begin()), whole.size()};
  }

  static constexpr std::int64_t kLimit = 64 << 10;

  std::unique_ptr<Server> server_ =
      StartServer({.listen = {"127.0.0.1:0"}, .max_message_bytes = kLimit});
  std::shared_ptr<grpc::Channel> channel_ = ChannelTo(server_->addresses()[0]);
  Caller caller_{channel_};
};

TEST_F(ProtocolTest, HealthIsServingOverallAndForTheService) {
  EXPECT_EQ(caller_.Health(""), "SERVING");
  EXPECT_EQ(caller_.Health("convserve.v1.ConvolutionService"), "SERVING");
  EXPECT_EQ(caller_.Health("another.Service"), "NOT_FOUND");
}

TEST_F(ProtocolTest, ReflectionListsTheServices) {
  const std::string list = Reflect(std::string("\x3a\x00", 2));  // list_services: ""
  EXPECT_THAT(list, HasSubstr("convserve.v1.ConvolutionService"));
  EXPECT_THAT(list, HasSubstr("grpc.health.v1.Health"));
}

TEST_F(ProtocolTest, ReflectionDescribesEveryServiceThatItLists) {
  const auto file_containing = [&](const std::string& symbol) {
    return Reflect("\x22" + std::string(1, static_cast<char>(symbol.size())) + symbol);
  };
  EXPECT_THAT(file_containing("convserve.v1.ConvolutionService"),
              HasSubstr("convserve/v1/convolution.proto"));
  EXPECT_THAT(file_containing("grpc.health.v1.Health"), HasSubstr("grpc/health/v1/health.proto"));
}

TEST_F(ProtocolTest, ReflectionSaysWhatItDoesNotKnow) {
  for (const std::string& request : {std::string("\x1a\x01x"), std::string("\x22\x01x"),
                                     std::string("\x2a\x03\x0a\x01x"), std::string("\x32\x01x")}) {
    EXPECT_THAT(Reflect(request), HasSubstr("\x3a\x0d\x08\x05\x12\x09not found"));
  }
  EXPECT_THAT(Reflect(""), HasSubstr("expected a message_request"));
}

TEST_F(ProtocolTest, ReflectionDescribesFilesWithWhatTheyImport) {
  const std::string name = "convserve/v1/convolution.proto";
  const std::string by_name =
      Reflect("\x1a" + std::string(1, static_cast<char>(name.size())) + name);
  EXPECT_THAT(by_name, HasSubstr("ConvTransposeParameters"));
}

TEST_F(ProtocolTest, IdleReflectionStreamsKeepNobodyOut) {
  using grpc::reflection::v1alpha::ServerReflection;
  const auto stub = ServerReflection::NewStub(channel_);
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<decltype(stub->ServerReflectionInfo(nullptr))> streams;
  grpc::reflection::v1alpha::ServerReflectionRequest request;
  request.set_list_services("");
  for (int i = 0; i < 100; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    streams.push_back(stub->ServerReflectionInfo(contexts.back().get()));
    grpc::reflection::v1alpha::ServerReflectionResponse response;
    ASSERT_TRUE(streams.back()->Write(request)) << i;
    ASSERT_TRUE(streams.back()->Read(&response)) << i;
    EXPECT_EQ(response.list_services_response().service_size(), 3);
  }
  EXPECT_THAT(Reflect(std::string("\x3a\x00", 2)), HasSubstr("convserve.v1.ConvolutionService"));
  for (const auto& context : contexts) context->TryCancel();
  for (const auto& stream : streams) (void)stream->Finish();
}

TEST_F(ProtocolTest, AMessageAboveTheLimitIsRefused) {
  const v1::ConvRequest request = SlowConv({.pictures = 16});
  v1::ConvResponse response;
  EXPECT_EQ(caller_.Conv(request, response).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(caller_.Conv(SmallConv(), response).ok()) << "the connection survives";
}

TEST_F(ProtocolTest, CompressedMessagesAreRefused) {
  for (const grpc_compression_algorithm algorithm : {GRPC_COMPRESS_GZIP, GRPC_COMPRESS_DEFLATE}) {
    grpc::ClientContext context;
    context.set_compression_algorithm(algorithm);
    EXPECT_EQ(caller_.Conv(context, SlowConv({})).code(), absl::StatusCode::kUnimplemented);
  }
}

TEST_F(ProtocolTest, AnUnknownMethodIsUnimplemented) {
  const grpc::Status status =
      CallInBytes(channel_, "/convserve.v1.ConvolutionService/Correlate", grpc::ByteBuffer())
          .status;
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
}

}  // namespace
}  // namespace convserve
