// What one connection, and all of them together, may take of the server.
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/front_door.h"
#include "server/grpc_settings.h"
#include "tests/server/child.h"
#include "tests/server/fixture.h"
#include "tests/server/http.h"
#include "tests/server/raw_connection.h"

namespace convserve {
namespace {

using std::chrono::milliseconds;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class LimitsTest : public ::testing::Test {
 protected:
  void Serve(const ConnectionLimits& limits) {
    server_ = StartServer(
        {.listen = {"127.0.0.1:0"}, .connections = limits, .metrics_listen = "127.0.0.1:0"});
  }

  const std::string& address() const { return server_->addresses()[0]; }

  static absl::Status Ask(const std::shared_ptr<grpc::Channel>& channel) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::minutes(1));
    return Caller(channel).Conv(context, SmallConv());
  }

  bool HasMetric(const std::string& line) const {
    return HttpAsk(server_->metrics_address(), "/metrics").body.find("\n" + line + "\n") !=
           std::string::npos;
  }

  std::unique_ptr<Server> server_;
};

TEST_F(LimitsTest, AConnectionTooManyIsClosedAndTheOthersGoOn) {
  Serve({.max_connections = 2});
  const auto first = ChannelTo(address());
  auto second = ChannelTo(address());
  EXPECT_TRUE(Ask(first).ok());
  EXPECT_TRUE(Ask(second).ok());
  EXPECT_TRUE(HasMetric("convserve_connections 2"));
  EXPECT_EQ(Ask(ChannelTo(address())).code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(HttpAsk(server_->metrics_address(), "/metrics").body,
              HasSubstr("convserve_rejections_total{reason=\"TOO_MANY_CONNECTIONS\"}"));
  EXPECT_TRUE(Ask(first).ok());
  second.reset();
  while (!HasMetric("convserve_connections 1")) {
  }
  EXPECT_TRUE(Ask(ChannelTo(address())).ok());
}

TEST_F(LimitsTest, EveryEndOfAConnectionIsSeen) {
  Serve({});
  for (int i = 0; i < 300; ++i) {
    RawConnection connection(address());
    if (i % 3 == 1) connection.Greet();
    if (i % 3 == 2) connection.Send("GET / HTTP/1.1\r\n\r\n");
  }
  while (!HasMetric("convserve_connections 0")) {
  }
  EXPECT_TRUE(Ask(ChannelTo(address())).ok());
}

TEST_F(LimitsTest, ConnectionsThatTheFilesAllowedDoNotSufficeForAreRefusedAtTheStart) {
  const absl::Status status =
      Server::Start({.connections = {.max_connections = 100'000'000}}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("ulimit -n"));
  EXPECT_GT(ConnectionsThatFit(), 0);
}

TEST(Memory, OfRequestsAndOfMessagesOnTheirWayFitsByDefault) {
  constexpr std::int64_t kMiB = std::int64_t{1} << 20;
  for (const std::int64_t memory :
       {64 * kMiB, 512 * kMiB, 1000 * kMiB, 2048 * kMiB, 65536 * kMiB}) {
    const ServerOptions options{.max_message_bytes = DefaultMessageBytes(memory),
                                .memory_limit = memory / 2};
    const std::int64_t quota = ReceiveQuota(options, memory);
    EXPECT_LT(options.memory_limit + quota, memory / 100 * 91) << memory;
    EXPECT_GE(quota, 4 * options.max_message_bytes) << memory;
  }
  EXPECT_EQ(DefaultMessageBytes(65536 * kMiB), 256 * kMiB);
}

TEST(Memory, ThatOptionsOvercommitIsSaidAtTheStart) {
  const auto errors = [](const std::string& limit) {
    Child child({"--check", "--listen", "127.0.0.1:0", "--memory-limit", limit});
    EXPECT_EQ(child.Wait(), 0);
    return child.ReadErrors();
  };
  EXPECT_THAT(errors("1024TiB"),
              AllOf(HasSubstr("overcommitted bytes=11"), HasSubstr("memory_bytes=")));
  EXPECT_THAT(errors("0"), Not(HasSubstr("overcommitted")));
}

TEST_F(LimitsTest, MetadataBeyondTheLimitIsRefusedAndOtherConnectionsGoOn) {
  Serve({.max_metadata_bytes = 2048});
  const auto other = ChannelTo(address());
  EXPECT_TRUE(Ask(other).ok());
  grpc::ClientContext context;
  context.AddMetadata("x-long", std::string(8192, 'x'));
  EXPECT_EQ(Caller(ChannelTo(address())).Conv(context, SmallConv()).code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(Ask(other).ok());
}

TEST_F(LimitsTest, CallsBeyondTheStreamsOfAConnectionWaitAtTheCaller) {
  Serve({.max_streams = 1});
  const auto channel = ChannelTo(address());
  const auto health = grpc::health::v1::Health::NewStub(channel);
  auto watching = std::make_unique<grpc::ClientContext>();
  grpc::health::v1::HealthCheckResponse first;
  auto stream = health->Watch(watching.get(), {});
  ASSERT_TRUE(stream->Read(&first));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + milliseconds(100));
  EXPECT_EQ(Caller(channel).Conv(context, SmallConv()).code(), absl::StatusCode::kDeadlineExceeded);
  watching->TryCancel();
  (void)stream->Finish();
  EXPECT_TRUE(Ask(channel).ok());
}

TEST_F(LimitsTest, AHandshakeThatDawdlesIsEnded) {
  Serve({.handshake_timeout = milliseconds(100)});
  RawConnection silent(address());
  (void)silent.ReadToEnd();  // returns: the server has closed it
  while (!HasMetric("convserve_connections 0")) {
  }
}

TEST_F(LimitsTest, APeerThatFallsSilentIsGivenUp) {
  Serve({.keepalive_time = milliseconds(100), .keepalive_timeout = milliseconds(100)});
  RawConnection half_open(address());
  half_open.Greet();
  (void)half_open.ReadToEnd();
  while (!HasMetric("convserve_connections 0")) {
  }
}

TEST_F(LimitsTest, AnAnswerThatNobodyTakesIsTakenBack) {
  Serve({.answer_timeout = milliseconds(100)});
  v1::ConvTransposeRequest request = SpreadConvTranspose();
  request.mutable_parameters()->set_stride(0, 150);  // more than a window of HTTP/2
  request.set_output_encoding(v1::TENSOR_ENCODING_DATA);
  const std::string message = request.SerializeAsString();
  RawConnection silent(address());
  silent.Greet();
  silent.BeginCall(1, "ConvTranspose");
  silent.BeginMessage(1, static_cast<std::uint32_t>(message.size()), message);
  while (!HasMetric("convserve_calls_finished_total{code=\"OK\",method=\"ConvTranspose\"} 1")) {
  }
  while (server_->load().bytes != 0) {
  }
  while (!HasMetric("convserve_rejections_total{reason=\"ANSWER_NOT_TAKEN\"} 1")) {
  }
  EXPECT_TRUE(Ask(ChannelTo(address())).ok());
}

TEST_F(LimitsTest, ShortAnswersThatNobodyTakesLeaveMostOfTheMemory) {
  constexpr std::int64_t kMemory = std::int64_t{256} << 10;
  server_ = StartServer({.listen = {"127.0.0.1:0"},
                         .memory_limit = kMemory,
                         .connections = {.answer_timeout = milliseconds(100)},
                         .metrics_listen = "127.0.0.1:0"});
  v1::ConvTransposeRequest request = SpreadConvTranspose();
  request.mutable_parameters()->set_stride(0, 95);  // some 36 KB, of which a window takes one
  request.set_output_encoding(v1::TENSOR_ENCODING_DATA);
  const std::string message = request.SerializeAsString();
  RawConnection silent(address());
  silent.Greet();
  constexpr int kCalls = 5;
  for (int call = 0; call < kCalls; ++call) {
    silent.BeginCall(1 + 2 * call, "ConvTranspose");
    silent.BeginMessage(1 + 2 * call, static_cast<std::uint32_t>(message.size()), message);
  }
  while (!HasMetric("convserve_calls_finished_total{code=\"OK\",method=\"ConvTranspose\"} 5")) {
  }
  while (server_->load().bytes > kMemory / 4) {
  }
  EXPECT_TRUE(Ask(ChannelTo(address())).ok());
}

TEST_F(LimitsTest, PeersThatProbeTooOftenAreSentAway) {
  Serve({.min_ping_interval = std::chrono::hours(1)});
  RawConnection pinging(address());
  pinging.Greet();
  for (int i = 0; i < 8; ++i) pinging.Ping();
  EXPECT_THAT(pinging.ReadToEnd(), HasSubstr("too_many_pings"));
}

TEST_F(LimitsTest, IdleAndOldConnectionsEndWithoutAFailedCall) {
  for (const ConnectionLimits& limits : {ConnectionLimits{.max_idle = milliseconds(50)},
                                         ConnectionLimits{.max_age = milliseconds(50)}}) {
    Serve(limits);
    const auto channel = ChannelTo(address());
    for (int i = 0; i < 3; ++i) {
      const absl::Status status = Ask(channel);
      EXPECT_TRUE(status.ok()) << status;
      const auto deadline = std::chrono::system_clock::now() + std::chrono::minutes(1);
      EXPECT_TRUE(channel->WaitForStateChange(GRPC_CHANNEL_READY, deadline));
    }
  }
}

}  // namespace
}  // namespace convserve
