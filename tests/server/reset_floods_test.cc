// Connections whose calls are reset faster than gRPC lets go of them: which of them are found, and
// that they are ended. What it spares is tested with the hazards (Hazard12).
#include "server/reset_floods.h"

#include <unistd.h>

#include <filesystem>

#include "gmock/gmock.h"
#include "grpcpp/generic/async_generic_service.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "server/front_door.h"
#include "tests/server/fixture.h"
#include "tests/server/raw_connection.h"

namespace convserve {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::StartsWith;

// Begins that many calls whose messages never come.
void BeginCalls(RawConnection& connection, int count) {
  ASSERT_TRUE(connection.Greet());
  for (int i = 0; i < count; ++i) {
    ASSERT_TRUE(connection.BeginCall(static_cast<std::uint32_t>(2 * i + 1), "Conv"));
  }
  ASSERT_TRUE(connection.Settle());
}

TEST(ResetFloods, AreTheConnectionsWithTheMostCallsUntilTheOthersHaveFew) {
  const auto server = StartServer(
      {.listen = {"127.0.0.1:0"}, .max_requests = 10'000, .connections = {.max_streams = 10'000}});
  ResetFloods floods(10);
  RawConnection few(server->addresses()[0]);
  BeginCalls(few, 1'000);
  EXPECT_THAT(floods.Find().peers, IsEmpty());

  auto many = std::make_unique<RawConnection>(server->addresses()[0]);
  BeginCalls(*many, 3'500);
  ResetFloods::Found found = floods.Find();
  EXPECT_THAT(found.peers, ElementsAre(many->name()));
  EXPECT_TRUE(found.too_many);
  // While that is there, so are others that have too many.
  EXPECT_THAT(floods.Find().peers, ElementsAre(few.name()));
  found = floods.Find();
  EXPECT_THAT(found.peers, IsEmpty()) << "both named, and no worse since";
  EXPECT_TRUE(found.too_many);

  many.reset();
  while (floods.Find().too_many) {
  }
  EXPECT_THAT(floods.Find().peers, IsEmpty());
}

TEST(ResetFloods, StreamsThatAConnectionMayHaveOpenAreNone) {
  const auto server = StartServer(
      {.listen = {"127.0.0.1:0"}, .max_requests = 10'000, .connections = {.max_streams = 10'000}});
  RawConnection connection(server->addresses()[0]);
  BeginCalls(connection, 5'000);
  const ResetFloods::Found found = ResetFloods(10'000).Find();
  EXPECT_THAT(found.peers, IsEmpty());
  EXPECT_FALSE(found.too_many);
}

// A door that takes every connection for a flood, from when it is told to.
class Door {
 public:
  explicit Door(const std::string& address) {
    grpc::ServerBuilder builder;
    builder.AddChannelArgument(GRPC_ARG_ENABLE_CHANNELZ, 1);
    acceptor_ = builder.experimental().AddExternalConnectionAcceptor(
        grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
        grpc::InsecureServerCredentials());
    builder.RegisterCallbackGenericService(&no_methods_);
    server_ = builder.BuildAndStart();
    std::vector<Listening> listening;
    listening.push_back(*Listen(address, "address"));
    address_ = listening[0].address();
    door_ = std::make_unique<FrontDoor>(FrontDoor::Options{
        .listening = std::move(listening),
        .max_connections = 10,
        .accepted =
            [this](int fd) {
              grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
              connection.fd = fd;
              acceptor_->HandleNewConnection(&connection);
            },
        .floods = [this] { return strict_ ? all_.Find() : ResetFloods::Found(); },
        .refused =
            [this](std::string_view reason, std::string_view peer) {
              const std::lock_guard lock(mutex_);
              refused_.push_back(std::string(reason) + " " + std::string(peer));
            }});
  }

  ~Door() {
    server_->Shutdown(std::chrono::system_clock::now());
    door_.reset();
  }

  const std::string& address() const { return address_; }
  void BeStrict() { strict_ = true; }
  std::int64_t connections() const { return door_->connections(); }
  std::vector<std::string> refused() const {
    const std::lock_guard lock(mutex_);
    return refused_;
  }

 private:
  ResetFloods all_{-2 * ResetFloods::kAllowed};
  grpc::CallbackGenericService no_methods_;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
  std::atomic<bool> strict_ = false;
  mutable std::mutex mutex_;
  std::vector<std::string> refused_;
  std::unique_ptr<FrontDoor> door_;
};

struct Place {
  std::string name;
  std::string listen;
  std::string peer;  // how the name of a peer begins
};

class FloodAt : public ::testing::TestWithParam<Place> {};

TEST_P(FloodAt, EndsTheConnection) {
  Door door(GetParam().listen);
  const auto channel = ChannelTo(door.address());
  Caller caller(channel);
  // Enough calls for a look at the connections.
  for (int i = 0; i < 600; ++i) caller.Health("");
  door.BeStrict();
  while (door.refused().empty()) std::this_thread::yield();
  EXPECT_THAT(door.refused().front(), StartsWith("RESET_FLOOD " + GetParam().peer));
  while (channel->GetState(false) == GRPC_CHANNEL_READY) std::this_thread::yield();
  while (door.connections() != 0) std::this_thread::yield();
}

INSTANTIATE_TEST_SUITE_P(Address, FloodAt,
                         ::testing::Values(Place{"V4", "127.0.0.1:0", "ipv4:127.0.0.1:"},
                                           Place{"V6", "[::1]:0", "ipv6:%5B::1%5D:"},
                                           Place{"Unix",
                                                 "unix:" + (std::filesystem::temp_directory_path() /
                                                            ("convserve-flood-" +
                                                             std::to_string(getpid())))
                                                               .string(),
                                                 "unix:"}),
                         [](const auto& place) { return place.param.name; });

}  // namespace
}  // namespace convserve
