// Callers that give up, die, stall or never finish, in numbers. What is asked of the server: no
// report of a sanitizer, an answer to those who behave, and in the end nothing held.
#include <deque>
#include <random>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/status.h"
#include "tests/server/child.h"
#include "tests/server/fixture.h"
#include "tests/server/raw_connection.h"

namespace convserve {
namespace {

using ::testing::AnyOf;

// Minutes of computing in few bytes, 65025 multiply-adds an element.
v1::ConvRequest LongConv() {
  v1::ConvRequest request;
  const auto fill = [](v1::Tensor& tensor, int size) {
    tensor.set_data_type(v1::DATA_TYPE_UINT8);
    for (const int n : {1, 1, size, size}) tensor.add_shape(n);
    tensor.mutable_data()->resize(static_cast<std::size_t>(size) * static_cast<std::size_t>(size));
  };
  fill(*request.mutable_input(), 512);
  fill(*request.mutable_weight(), 255);
  return request;
}

// One call under way, without a thread of its own.
class FlyingCall {
 public:
  FlyingCall(v1::ConvolutionService::Stub& stub, const v1::ConvRequest& request,
             std::chrono::microseconds timeout) {
    context_.set_deadline(std::chrono::system_clock::now() + timeout);
    stub.async()->Conv(&context_, &request, &response_,
                       [this](grpc::Status status) { answer_.set_value(std::move(status)); });
  }

  void Cancel() { context_.TryCancel(); }
  absl::Status Wait() { return FromGrpc(answer_.get_future().get()); }

 private:
  grpc::ClientContext context_;
  v1::ConvResponse response_;
  std::promise<grpc::Status> answer_;
};

// The computation takes a while and looks for a stop often.
class StormTest : public ::testing::Test {
 protected:
  void TearDown() override {
    ExpectNothingHeld();
    server_->Shutdown(kLongDrain);
  }

  // Waits for the last reactions to calls that are over for their callers.
  void ExpectNothingHeld() {
    ServerLoad load = server_->load();
    while (load.bytes != 0 || load.requests != 0 || load.waiting != 0 || load.computing != 0) {
      std::this_thread::yield();
      load = server_->load();
    }
  }

  void ExpectService() {
    v1::ConvResponse response;
    absl::Status status;
    do {
      status = caller_.Conv(SmallConv(), response);
    } while (RetryDelayOf(status) != std::nullopt);
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_THAT(response.output().values(), ::testing::ElementsAre(9));
  }

  const std::string& address() const { return server_->addresses()[0]; }

  const ScopedEnvironment forced_{"CONVSERVE_ALGORITHM", "reference"};
  std::unique_ptr<Server> server_ = StartServer(
      {.listen = {"127.0.0.1:0"}, .threads = 2, .memory_limit = 64'000'000, .max_requests = 24});
  Caller caller_{ChannelTo(address())};
};

// Ten thousand calls, given up at every moment of their lives: before they are sent, on arrival, in
// the queue, while they are computed, when they are done; by their callers and by their deadlines.
TEST_F(StormTest, TenThousandCancelledAndExpiredCallsLeaveNothingBehind) {
  constexpr int kThreads = 4;
  constexpr int kCalls = 2500;
  std::vector<std::thread> callers;
  std::vector<v1::ConvRequest> requests;
  for (const Amount amount : {Amount{1, 1}, Amount{4, 2}, Amount{16, 2}, Amount{16, 8}}) {
    requests.push_back(SlowConv(amount));
  }
  for (int thread = 0; thread < kThreads; ++thread) {
    callers.emplace_back([&, thread] {
      std::mt19937 random(static_cast<unsigned>(thread));
      const auto stub = v1::ConvolutionService::NewStub(ChannelTo(address()));
      std::deque<std::unique_ptr<FlyingCall>> flying;
      const auto finish = [&] {
        if (random() % 3 != 0) flying.front()->Cancel();
        EXPECT_THAT(
            flying.front()->Wait().code(),
            AnyOf(absl::StatusCode::kOk, absl::StatusCode::kCancelled,
                  absl::StatusCode::kDeadlineExceeded, absl::StatusCode::kResourceExhausted));
        flying.pop_front();
      };
      for (int i = 0; i < kCalls; ++i) {
        const std::chrono::microseconds timeout(random() % 4 == 0 ? random() % 4000 : 10'000'000);
        flying.push_back(
            std::make_unique<FlyingCall>(*stub, requests[random() % requests.size()], timeout));
        if (random() % 5 == 0) flying.back()->Cancel();
        while (flying.size() > random() % 12) finish();
      }
      while (!flying.empty()) finish();
    });
  }
  for (std::thread& caller : callers) caller.join();
  ExpectService();
}

TEST_F(StormTest, ClientsKilledInMidMessageLeaveNothingBehind) {
  for (int round = 0; round < 4; ++round) {
    Child client(Program(CONVSERVE_BINARY_DIR "/bin/convctl"),
                 {"--server", address(), "bench", "--duration", "60m", "--concurrency", "8",
                  "--request", "1,1,1024,1024:1,1,99,99:type=uint8"});
    while (server_->load().computing < 1) std::this_thread::yield();
    client.Signal(SIGKILL);
    EXPECT_EQ(client.Wait(), -SIGKILL);
  }
  ExpectNothingHeld();
  ExpectService();
}

TEST_F(StormTest, ConnectionsResetInMidMessageLeaveNothingBehind) {
  const std::string piece(5000, 'x');
  for (int i = 0; i < 100; ++i) {
    RawConnection connection(address());
    ASSERT_TRUE(connection.Greet());
    for (std::uint32_t stream = 1; stream < 8; stream += 2) {
      ASSERT_TRUE(connection.BeginCall(stream, stream % 4 == 1 ? "Conv" : "Explain"));
      ASSERT_TRUE(connection.BeginMessage(stream, 1 << 20, piece));
    }
    if (i % 2 == 0) connection.Reset();
  }
  ExpectService();
}

TEST_F(StormTest, HalfOpenConnectionsAndSlowSendersHoldNobodyUp) {
  std::deque<RawConnection> silent;
  std::deque<RawConnection> slow;
  for (int i = 0; i < 50; ++i) {
    silent.emplace_back(address());  // not a byte
    RawConnection& greeted = silent.emplace_back(address());
    ASSERT_TRUE(greeted.Greet());
    RawConnection& begun = silent.emplace_back(address());
    ASSERT_TRUE(begun.Greet());
    ASSERT_TRUE(begun.BeginCall(1, "Conv"));
    RawConnection& sender = slow.emplace_back(address());
    ASSERT_TRUE(sender.Greet());
    ASSERT_TRUE(sender.BeginCall(1, "ConvTranspose"));
    ASSERT_TRUE(sender.BeginMessage(1, 1 << 20, "x"));
  }
  for (int byte = 0; byte < 20; ++byte) {
    for (RawConnection& sender : slow) ASSERT_TRUE(sender.Send(Frame(0, 0, 1, "x")));
    ExpectService();
  }
  ExpectNothingHeld();
}

TEST_F(StormTest, UnfinishedCallsDoNotHoldAShutdownUp) {
  RawConnection connection(address());
  ASSERT_TRUE(connection.Greet());
  ASSERT_TRUE(connection.BeginCall(1, "Conv"));
  ASSERT_TRUE(connection.BeginMessage(1, 1 << 20, "x"));
  ExpectService();
  server_->Shutdown(kLongDrain);
}

TEST_F(StormTest, ACancelledRequestGivesItsMemoryBackWhileOthersCompute) {
  grpc::ClientContext context;
  std::thread endless([&] { caller_.Conv(context, LongConv()).IgnoreError(); });
  while (server_->load().computing < 1) std::this_thread::yield();
  const std::int64_t alone = server_->load().bytes;
  {
    const auto stub = v1::ConvolutionService::NewStub(ChannelTo(address()));
    const v1::ConvRequest request = LongConv();
    FlyingCall second(*stub, request, std::chrono::hours(1));
    while (server_->load().bytes <= alone) std::this_thread::yield();
    second.Cancel();
    EXPECT_EQ(second.Wait().code(), absl::StatusCode::kCancelled);
    while (server_->load().bytes > alone) std::this_thread::yield();
  }
  EXPECT_EQ(server_->load().computing, 1);
  context.TryCancel();
  endless.join();
}

// Callbacks share as few as two threads: if a computation kept one, a handful would stop the
// server.
using Hazard04 = StormTest;
TEST_F(Hazard04, BlockedCallbacksDoNotStallOtherCalls) {
  constexpr int kComputing = 20;  // more than gRPC has threads for callbacks
  const auto stub = v1::ConvolutionService::NewStub(ChannelTo(address()));
  const v1::ConvRequest request = LongConv();
  std::deque<FlyingCall> computing;
  for (int i = 0; i < kComputing; ++i) {
    computing.emplace_back(*stub, request, std::chrono::hours(1));
  }
  while (server_->load().waiting < kComputing - 4) std::this_thread::yield();
  ExpectService();
  v1::DescribeResponse response;
  EXPECT_EQ(caller_.Describe({}, response).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(caller_.Health(""), "SERVING");
  for (FlyingCall& call : computing) call.Cancel();
  for (FlyingCall& call : computing) call.Wait().IgnoreError();
}

}  // namespace
}  // namespace convserve
