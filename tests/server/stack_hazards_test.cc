// Hazards of this gRPC that the service keeps away from its callers; each suite names one by its
// number. Those of TLS (7), of the health command (14), and of the size of messages (1 to 3) are
// beside their subjects.
#include <dirent.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <future>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/status.h"
#include "server/descriptor.h"
#include "tests/server/child.h"
#include "tests/server/fixture.h"
#include "tests/server/http.h"
#include "tests/server/raw_connection.h"

namespace convserve {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kAddressSanitizer = true;
#else
constexpr bool kAddressSanitizer = false;
#endif

// A small request whose answer takes 800 MB.
v1::ConvTransposeRequest LargeAnswer() {
  v1::ConvTransposeRequest request = SpreadConvTranspose();
  request.set_output_encoding(v1::TENSOR_ENCODING_DATA);
  request.mutable_parameters()->clear_stride();
  request.mutable_parameters()->add_stride(14'000);
  return request;
}

TEST(Hazard05, AnExceptionInAHandlerBecomesAStatusThatExplainsIt) {
#if defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "it has the address space to itself and knows no limit on allocations";
#endif
  // There is less memory than the server was told: allocating the answer throws.
  const std::string binary = CONVSERVE_BINARY_DIR "/bin/convserve";
  const std::string limit = kAddressSanitizer ? "true" : "ulimit -v 700000";
  Child child(Program("/bin/sh"),
              {"-c", limit + " && exec " + binary +
                         " --listen 127.0.0.1:0 --max-message-bytes 1GiB --memory-limit 64GiB "
                         "--threads 2 --drain-wait 0"},
              {"ASAN_OPTIONS=allocator_may_return_null=1:max_allocation_size_mb=500"});
  Caller caller(ChannelTo(child.ReadLine().substr(13)));
  v1::ConvTransposeResponse response;
  const absl::Status status = caller.ConvTranspose(LargeAnswer(), response);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_EQ(ReasonOf(status), "OUT_OF_MEMORY");
  EXPECT_TRUE(caller.ConvTranspose(SpreadConvTranspose(), response).ok()) << "the next one works";
}

TEST(Hazard06, TwoServersNeverShareAPort) {
  const auto first = StartServer();
  const std::string address = first->addresses()[0];
  Child second({"--listen", address});
  EXPECT_EQ(second.ReadLine(), "") << "listens";
  EXPECT_EQ(second.Wait(), 1);
  EXPECT_EQ(second.ReadErrors(),
            "convserve: cannot listen on " + address + ": Address already in use\n");
}

TEST(Hazard06, NorWithAStrangerWhoOffersToShareIt) {
  const Descriptor stranger(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  setsockopt(stranger.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(name);
  ASSERT_EQ(bind(stranger.get(), reinterpret_cast<const sockaddr*>(&name), size), 0);
  ASSERT_EQ(listen(stranger.get(), 1), 0);
  getsockname(stranger.get(), reinterpret_cast<sockaddr*>(&name), &size);
  const std::string address = "127.0.0.1:" + std::to_string(ntohs(name.sin_port));
  const absl::Status status = Server::Start({.listen = {address}}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("Address already in use"));
}

TEST(Hazard10, HealthKnowsTheServiceFromTheFirstConnectionOn) {
  for (int i = 0; i < 10; ++i) {
    const auto server = StartServer();
    Caller caller(ChannelTo(server->addresses()[0]));
    EXPECT_EQ(caller.Health("convserve.v1.ConvolutionService"), "SERVING");
    EXPECT_EQ(caller.Health(""), "SERVING");
    EXPECT_EQ(caller.Health("another.Service"), "NOT_FOUND");
  }
}

TEST(Hazard11, ProtosThatAreNotShippedAreOnTheWireWhatOthersExpect) {
  const auto server = StartServer();
  const auto channel = ChannelTo(server->addresses()[0]);
  // HealthCheckRequest{service = 1}, HealthCheckResponse{status = 1: SERVING = 1}
  const std::string service = "convserve.v1.ConvolutionService";
  const std::string request = "\x0a" + std::string(1, static_cast<char>(service.size())) + service;
  const AnswerInBytes health =
      CallInBytes(channel, "/grpc.health.v1.Health/Check", InOneSlice(request));
  EXPECT_TRUE(health.status.ok());
  EXPECT_EQ(health.message, "\x08\x01");
  // google.rpc.Status{code = 1, message = 2, details = 3: Any{type_url = 1, value = 2}}
  const grpc::Status refused =
      CallInBytes(channel, "/convserve.v1.ConvolutionService/Conv", InOneSlice("")).status;
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(refused.error_details(),
              AllOf(testing::StartsWith("\x08\x03\x12"),
                    HasSubstr("type.googleapis.com/google.rpc.BadRequest")));
}

TEST(Hazard12, ConnectionsStateTheirLimits) {
  const auto server = StartServer(
      {.listen = {"127.0.0.1:0"}, .connections = {.max_streams = 77, .max_metadata_bytes = 5000}});
  RawConnection connection(server->addresses()[0]);
  connection.Greet();
  const auto settings = connection.ReadSettings();
  EXPECT_EQ(settings.at(3), 77U);    // SETTINGS_MAX_CONCURRENT_STREAMS
  EXPECT_EQ(settings.at(6), 5000U);  // SETTINGS_MAX_HEADER_LIST_SIZE
}

TEST(Hazard12, AFloodOfCallsThatAreTakenBackAtOnceHoldsNobodyUp) {
  const auto server = StartServer({.listen = {"127.0.0.1:0"}, .metrics_listen = "0"});
  std::atomic<bool> over = false;
  std::thread flooding([&] {
    RawConnection connection(server->addresses()[0]);
    connection.Greet();
    for (std::uint32_t stream = 1; stream < 40'000; stream += 2) {
      // Until the server has had enough.
      if (!connection.BeginCall(stream, "Conv") || !connection.ResetCall(stream)) break;
    }
    over = true;
  });
  Caller caller(ChannelTo(server->addresses()[0]));
  int answered = 0;
  while (!over || answered == 0) {
    v1::ConvResponse response;
    const absl::Status status = caller.Conv(SmallConv(), response);
    EXPECT_TRUE(status.ok()) << status;
    ++answered;
  }
  flooding.join();
  const auto metrics = [&] { return HttpAsk(server->metrics_address(), "/metrics").body; };
  while (metrics().find("\nconvserve_connections 1\n") == std::string::npos) {
  }
  while (metrics().find("\nconvserve_calls_in_progress 0\n") == std::string::npos) {
  }
}

TEST(Hazard13, NoSocketTransmitsWithoutCopying) {
  const auto server = StartServer();
  Caller caller(ChannelTo(server->addresses()[0]));
  v1::ConvResponse response;
  ASSERT_TRUE(caller.Conv(SmallConv(), response).ok());
  int sockets = 0;
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir("/proc/self/fd"), closedir);
  while (const dirent* entry = readdir(folder.get())) {
    int domain = 0;
    int zero_copy = -1;
    socklen_t size = sizeof(domain);
    const int fd = std::atoi(entry->d_name);
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0) continue;
    if (domain != AF_INET && domain != AF_INET6) continue;
    if (getsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &zero_copy, &size) != 0) continue;
    EXPECT_EQ(zero_copy, 0) << fd;
    ++sockets;
  }
  EXPECT_GE(sockets, 3) << "the listener and both ends of the connection";
}

}  // namespace
}  // namespace convserve
