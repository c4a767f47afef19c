#include "client/convolution_client.h"

#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "client/xtensor_api.h"
#include "core/violation.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "proto/status.h"
#include "server/server.h"
#include "tests/client/fake_server.h"
#include "tests/client/scratch_folder.h"
#include "tests/client/small_calls.h"
#include "tests/support/tensors.h"
#include "xtensor/xview.hpp"

namespace convserve {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using testing::FakeServer;
using testing::Filled;
using ::testing::HasSubstr;
using testing::Hasty;
using testing::MakeTensor;
using testing::Ones3x3;
using testing::Ones4x4;
using testing::ScratchFolder;
using testing::SmallOperands;
using testing::ToDoubles;

ProblemSpec SmallSpec() {
  ProblemSpec spec;
  spec.input = {DataType::kFloat32, {1, 1, 4, 4}, {}};
  spec.weight = {DataType::kFloat32, {1, 1, 3, 3}, {}};
  return spec;
}

class ClientOfServer : public ::testing::Test {
 protected:
  ClientOfServer() {
    auto server = Server::Start({.listen = {"127.0.0.1:0", "unix:" + folder_.Path("socket")}});
    EXPECT_TRUE(server.ok()) << server.status();
    if (server.ok()) server_ = *std::move(server);
  }

  ConvolutionClient Client() { return ConvolutionClient(server_->addresses().at(0)); }

  ScratchFolder folder_;
  std::unique_ptr<Server> server_;
};

TEST_F(ClientOfServer, ConvolvesOverTcpAUnixSocketAndInProcess) {
  std::vector<ConvolutionClient> clients;
  for (const std::string& address : server_->addresses()) clients.emplace_back(address);
  clients.emplace_back("dns:///" + server_->addresses().at(0));
  clients.emplace_back(server_->InProcessChannel());
  for (const ConvolutionClient& client : clients) {
    const auto result = client.Conv(SmallOperands());
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->output.shape(), Shape({1, 1, 2, 2}));
    EXPECT_THAT(ToDoubles(result->output), ElementsAre(9, 9, 9, 9));
    EXPECT_NE(result->execution.algorithm, "");
    EXPECT_EQ(result->execution.instruction_set, InstructionSet());
    EXPECT_GT(result->execution.compute.count(), 0);
  }
}

TEST_F(ClientOfServer, PassesBiasParametersAndOutputTypeOn) {
  const Tensor bias = MakeTensor(DataType::kFloat32, {1}, {0.5});
  const Operands operands{Ones4x4().view(), Ones3x3().view(), bias.view()};
  const auto conv =
      Client().Conv(operands, {.stride = {2}, .padding = {1}}, {.output_type = DataType::kFloat64});
  ASSERT_TRUE(conv.ok()) << conv.status();
  EXPECT_EQ(conv->output.data_type(), DataType::kFloat64);
  EXPECT_THAT(ToDoubles(conv->output), ElementsAre(4.5, 6.5, 6.5, 9.5));

  const auto transpose = Client().ConvTranspose(operands, {.stride = {4}, .output_padding = {1}});
  ASSERT_TRUE(transpose.ok()) << transpose.status();
  EXPECT_EQ(transpose->output.shape(), Shape({1, 1, 16, 16}));
  EXPECT_EQ(ToDoubles(transpose->output).back(), 0.5);
}

TEST_F(ClientOfServer, DescribesWithoutElements) {
  ProblemSpec spec = SmallSpec();
  spec.parameters = ConvTransposeParameters{.stride = {2}};
  const auto description = Client().Describe(spec);
  ASSERT_TRUE(description.ok()) << description.status();
  EXPECT_EQ(description->operation, Operation::kConvTranspose);
  EXPECT_EQ(description->output_shape, Shape({1, 1, 9, 9}));
  EXPECT_EQ(description->axes.at(0).axis.stride, 2);
}

TEST_F(ClientOfServer, ExplainsWithAndWithoutElements) {
  const std::vector<std::int64_t> index = {0, 0, 0, 0};
  const auto shapes = Client().Explain(SmallSpec(), index);
  ASSERT_TRUE(shapes.ok()) << shapes.status();
  EXPECT_EQ(shapes->contributions.size(), 9u);
  const auto elements =
      Client().Explain(SmallSpec(), index, {Ones4x4().view(), Ones3x3().view(), {}});
  ASSERT_TRUE(elements.ok()) << elements.status();
  EXPECT_EQ(elements->value, 9);
}

TEST_F(ClientOfServer, KnowsTheHealthOfTheServerAndItsServices) {
  EXPECT_EQ(*Client().Health(), ServingStatus::kServing);
  EXPECT_EQ(*Client().Health("convserve.v1.ConvolutionService"), ServingStatus::kServing);
  EXPECT_EQ(Client().Health("no.such.Service").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ClientOfServer, BringsAllViolationsBack) {
  const auto result = Client().Conv(SmallOperands(), {.stride = {0}, .padding = {-1}});
  EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(ViolationsOf(result.status()),
              ElementsAre(FieldViolation{"parameters.stride[0]", "expected at least 1, got 0"},
                          FieldViolation{"parameters.padding[0]", "expected at least 0, got -1"}));
}

TEST_F(ClientOfServer, ServesManyThreads) {
  const ConvolutionClient client = Client();
  std::vector<std::jthread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&client] {
      for (int call = 0; call < 25; ++call) {
        const auto result = client.Conv(SmallOperands());
        ASSERT_TRUE(result.ok()) << result.status();
        ASSERT_THAT(ToDoubles(result->output), ElementsAre(9, 9, 9, 9));
      }
    });
  }
}

TEST_F(ClientOfServer, TakesAndReturnsXtensorContainers) {
  const xt::xarray<float> input = xt::ones<float>({1, 1, 4, 4});
  const xt::xarray<float> weight = xt::ones<float>({1, 1, 3, 3});
  const auto conv = xt_api::Conv(Client(), input, weight, {.stride = {2}, .padding = {1}});
  ASSERT_TRUE(conv.ok()) << conv.status();
  EXPECT_EQ(conv->output, (xt::xarray<float>{{{{4, 6}, {6, 9}}}}));
  const auto transpose = xt_api::ConvTranspose<double>(Client(), conv->output, weight);
  ASSERT_TRUE(transpose.ok()) << transpose.status();
  EXPECT_EQ(transpose->output(0, 0, 1, 1), 25.0);
  EXPECT_EQ(xt_api::Conv(Client(), input, weight, {.stride = {0}}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(ClientOfServer, SendsTheElementsOfAViewAndNoOthers) {
  xt::xarray<float> pictures = xt::ones<float>({2, 1, 4, 4});
  xt::view(pictures, 1) *= 2;
  const xt::xarray<float> weight = xt::ones<float>({1, 1, 3, 3});
  const xt::xarray<float> eighteens = {{{18, 18}, {18, 18}}};
  const auto one = xt_api::Conv(Client(), xt::view(pictures, 1), weight);
  ASSERT_TRUE(one.ok()) << one.status();
  EXPECT_EQ(one->output, eighteens);
  const auto last = xt_api::Conv(Client(), xt::view(pictures, xt::range(1, 2)), weight);
  ASSERT_TRUE(last.ok()) << last.status();
  EXPECT_EQ(xt::view(last->output, 0), eighteens);
}

TEST_F(ClientOfServer, QuickstartDoesWhatItSays) {
  const std::string command =
      std::string(CONVSERVE_BINARY_DIR) + "/bin/quickstart " + server_->addresses().at(0);
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  ASSERT_NE(pipe, nullptr);
  std::string output;
  for (int c = std::fgetc(pipe.get()); c != EOF; c = std::fgetc(pipe.get())) {
    output.push_back(static_cast<char>(c));
  }
  EXPECT_THAT(output, HasSubstr("1.,  1.,  2.,  2."));
  EXPECT_THAT(output, HasSubstr("parameters.stride[0]: expected at least 1, got 0"));
  EXPECT_EQ(pclose(pipe.release()), 0);
}

TEST(Client, WaitsForAServerThatComesUpLate) {
  const ScratchFolder folder;
  const std::string address = "unix:" + folder.Path("socket");
  const ConvolutionClient client(address, Hasty());
  // Without the wish to wait, nobody there is an error.
  EXPECT_EQ(client.Health().status().code(), absl::StatusCode::kUnavailable);
  absl::StatusOr<ConvResult> result = absl::UnknownError("");
  std::jthread caller([&] { result = client.Conv(SmallOperands(), {}, {.wait_for_ready = true}); });
  auto server = Server::Start({.listen = {address}});
  ASSERT_TRUE(server.ok()) << server.status();
  caller.join();
  EXPECT_TRUE(result.ok()) << result.status();
}

TEST(Client, DeadlineEndsACall) {
  FakeServer server;
  const ConvolutionClient client(server.address());
  const auto result = client.Conv(SmallOperands(), {}, {.timeout = milliseconds(50)});
  EXPECT_EQ(result.status().code(), absl::StatusCode::kDeadlineExceeded);
  const auto at_once = client.Conv(SmallOperands(), {}, {.timeout = milliseconds(0)});
  EXPECT_EQ(at_once.status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST(Client, DeadlineOfTheClientServesCallsThatStateNone) {
  FakeServer server;
  ClientOptions options;
  options.timeout = milliseconds(50);
  const ConvolutionClient client(server.address(), options);
  EXPECT_EQ(client.Conv(SmallOperands()).status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST(Client, EndlessTimeoutsAreADeadlineToo) {
  FakeServer server([](int, const v1::ConvRequest& request, v1::ConvResponse* response) {
    *response->mutable_output() = request.weight();
    return grpc::Status::OK;
  });
  const ConvolutionClient client(server.address());
  EXPECT_TRUE(client.Conv(SmallOperands(), {}, {.timeout = milliseconds::max()}).ok());
}

TEST(Client, TimeoutsFarBelowZeroAreOver) {
  FakeServer server;
  const ConvolutionClient client(server.address());
  // In nanoseconds the second is a second modulo 2^64.
  for (const milliseconds timeout : {milliseconds::min(), milliseconds(-18'446'744'072'710)}) {
    EXPECT_EQ(client.Conv(SmallOperands(), {}, {.timeout = timeout}).status().code(),
              absl::StatusCode::kDeadlineExceeded);
  }
  EXPECT_EQ(server.calls(), 0);
}

TEST(Client, StopCancelsACallHereAndOnTheServer) {
  FakeServer server;
  const ConvolutionClient client(server.address());
  std::stop_source stop;
  std::jthread stopper([&] {
    server.WaitForCall();
    stop.request_stop();
  });
  const auto result = client.Conv(SmallOperands(), {}, {.stop = stop.get_token()});
  EXPECT_EQ(result.status().code(), absl::StatusCode::kCancelled);
  server.WaitForCancel();
}

TEST(Client, StopThatWasRequestedBeforeCancelsToo) {
  FakeServer server;
  const ConvolutionClient client(server.address());
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(client.Conv(SmallOperands(), {}, {.stop = stop.get_token()}).status().code(),
            absl::StatusCode::kCancelled);
}

TEST(Client, SpreadsCallsOverAllAddresses) {
  const auto answer = [](int, const v1::ConvRequest& request, v1::ConvResponse* response) {
    *response->mutable_output() = request.weight();
    return grpc::Status::OK;
  };
  FakeServer first(answer);
  FakeServer second(answer);
  const ConvolutionClient client("ipv4:" + first.address() + "," + second.address());
  // Both connections come up in their own time; from then on calls go to them in turn.
  while (first.calls() == 0 || second.calls() == 0) {
    ASSERT_TRUE(client.Conv(SmallOperands()).ok());
  }
  const int first_before = first.calls();
  const int second_before = second.calls();
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(client.Conv(SmallOperands()).ok());
  EXPECT_EQ(first.calls() - first_before, 5);
  EXPECT_EQ(second.calls() - second_before, 5);
}

TEST(Client, SendsNothingToAServerThatIsNotHealthyUntilItIsAgain) {
  const auto answer = [](int, const v1::ConvRequest& request, v1::ConvResponse* response) {
    *response->mutable_output() = request.weight();
    return grpc::Status::OK;
  };
  FakeServer first(answer);
  FakeServer second(answer);
  const ConvolutionClient client("ipv4:" + first.address() + "," + second.address());
  const auto calls_to_first = [&](int calls) {
    const int before = first.calls();
    for (int i = 0; i < calls; ++i) EXPECT_TRUE(client.Conv(SmallOperands()).ok());
    return first.calls() - before;
  };
  while (calls_to_first(2) == 0) {
  }
  first.SetServing(false);
  while (calls_to_first(8) > 0) {
  }
  first.SetServing(true);
  while (calls_to_first(2) == 0) {
  }
}

TEST(Client, AsksForTheHealthOfServersThatHaveNone) {
  FakeServer server;
  server.SetServing(false);
  const ConvolutionClient client(server.address());
  EXPECT_EQ(*client.Health("convserve.v1.ConvolutionService"), ServingStatus::kNotServing);
}

TEST(Client, HasAsManyConnectionsAsItIsAllowed) {
  for (const int connections : {1, 3}) {
    FakeServer server;
    const ConvolutionClient client(server.address(), {.connections = connections});
    std::stop_source stop;
    std::vector<std::future<absl::StatusOr<ConvResult>>> calls;
    for (int i = 0; i < 6; ++i) {
      calls.push_back(client.ConvAsync(SmallOperands(), {}, {.stop = stop.get_token()}));
    }
    while (server.calls() < 6) std::this_thread::yield();
    EXPECT_EQ(server.callers(), static_cast<std::size_t>(connections));
    stop.request_stop();
    for (auto& call : calls) EXPECT_EQ(call.get().status().code(), absl::StatusCode::kCancelled);
  }
}

TEST(Client, RequestsThatGrpcWouldDieOfAreNeverSent) {
  FakeServer server;
  const ConvolutionClient client(server.address());
  // Nothing of it is read: it is larger than what it points to.
  TensorView large = Ones4x4().view();
  for (const std::int64_t columns : {std::int64_t{1} << 29, std::int64_t{1} << 60}) {
    large.shape = {1, 1, 1, columns};
    const auto result = client.Conv({large, Ones3x3().view(), {}});
    EXPECT_EQ(result.status().code(), absl::StatusCode::kResourceExhausted);
    EXPECT_THAT(std::string(result.status().message()),
                HasSubstr("expected at most 2147418112; send fewer images at a time"));
  }
  EXPECT_EQ(server.calls(), 0);
}

TEST(Client, MessageLimitCountsEverythingThatIsSent) {
  FakeServer server;
  ClientOptions options;
  options.max_message_bytes = 65536;
  const ConvolutionClient client(server.address(), options);
  const Tensor tensor = Filled(DataType::kUInt8, {1, 1, 256, 256}, 0);
  EXPECT_EQ(client.Conv({tensor.view(), Ones3x3().view(), {}}).status().code(),
            absl::StatusCode::kResourceExhausted);
  ConvParameters parameters;
  parameters.stride.assign(100000, 1);
  EXPECT_EQ(client.Conv(SmallOperands(), parameters).status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(server.calls(), 0);
}

TEST(Client, OperandsThatPointNowhereAreRefused) {
  FakeServer server;
  const ConvolutionClient client(server.address());
  const auto result = client.Conv({{DataType::kFloat32, {1, 1, -1, 4}, Ones4x4().data()},
                                   {DataType::kFloat32, {1, 1, 3, 3}, nullptr},
                                   {}});
  const Violations violations = ViolationsOf(result.status());
  ASSERT_EQ(violations.size(), 2u);
  EXPECT_EQ(violations[0].field, "input.shape");
  EXPECT_EQ(violations[1], (FieldViolation{"weight.data", "expected 36 bytes, got none"}));
}

TEST(Client, AnswersThatMakeNoSenseAreInternalErrors) {
  FakeServer server([](int, const v1::ConvRequest& request, v1::ConvResponse* response) {
    *response->mutable_output() = request.input();
    response->mutable_output()->mutable_data()->pop_back();
    return grpc::Status::OK;
  });
  const ConvolutionClient client(server.address());
  const auto result = client.Conv(SmallOperands());
  EXPECT_EQ(result.status().code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(result.status().message()), HasSubstr("output"));
}

}  // namespace
}  // namespace convserve
