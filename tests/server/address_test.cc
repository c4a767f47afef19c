// Where a server may listen, and what keeps it from starting.
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/fixture.h"

namespace convserve {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

std::string MessageOf(const ServerOptions& options) {
  return std::string(Server::Start(options).status().message());
}

absl::StatusCode CodeOf(const ServerOptions& options) {
  return Server::Start(options).status().code();
}

class UnixPath {
 public:
  UnixPath()
      : path_(std::filesystem::temp_directory_path() /
              ("convserve-address-" + std::to_string(getpid()))) {}
  ~UnixPath() { std::filesystem::remove(path_); }
  std::string path() const { return path_; }
  std::string address() const { return "unix:" + path_.string(); }
  sockaddr_un name() const {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    path().copy(name.sun_path, sizeof(name.sun_path) - 1);
    return name;
  }

 private:
  std::filesystem::path path_;
};

TEST(Address, PortZeroBecomesThePortThatWasChosen) {
  const auto server = StartServer({.listen = {"127.0.0.1:0", "localhost:0"}});
  EXPECT_THAT(server->addresses()[0], MatchesRegex("127.0.0.1:[1-9][0-9]*"));
  EXPECT_THAT(server->addresses()[1], MatchesRegex("localhost:[1-9][0-9]*"));
  for (const std::string& address : server->addresses()) {
    EXPECT_EQ(Caller(ChannelTo(address)).Health(""), "SERVING") << address;
  }
}

TEST(Address, ABusyPortIsRefusedWithItsAddressAndTheReason) {
  const auto first = StartServer();
  const ServerOptions second{.listen = {first->addresses()[0]}};
  EXPECT_EQ(CodeOf(second), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(MessageOf(second),
              AllOf(HasSubstr(first->addresses()[0]), HasSubstr("Address already in use")));
}

TEST(Address, ALivingServersSocketFileIsNotTakenAway) {
  const UnixPath socket;
  const auto first = StartServer({.listen = {socket.address()}});
  EXPECT_THAT(MessageOf({.listen = {socket.address()}}), HasSubstr("Address already in use"));
  EXPECT_EQ(Caller(ChannelTo(socket.address())).Health(""), "SERVING");
}

TEST(Address, NorIsThatOfAServerThatAcceptsNothing) {
  const UnixPath socket;
  const sockaddr_un name = socket.name();
  const auto* address = reinterpret_cast<const sockaddr*>(&name);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(bind(fd, address, sizeof(name)), 0);
  ASSERT_EQ(listen(fd, 0), 0);
  const int waiting = ::socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(connect(waiting, address, sizeof(name)), 0);
  EXPECT_THAT(MessageOf({.listen = {socket.address()}}), HasSubstr("Address already in use"));
  close(waiting);
  close(fd);
}

TEST(Address, TheSocketFileOfASuccessorIsLeftAlone) {
  const UnixPath socket;
  auto first = StartServer({.listen = {socket.address()}});
  std::filesystem::remove(socket.path());
  const auto successor = StartServer({.listen = {socket.address()}});
  first.reset();
  EXPECT_EQ(Caller(ChannelTo(socket.address())).Health(""), "SERVING");
}

TEST(Address, ADeadServersSocketFileIsReplaced) {
  const UnixPath socket;
  const sockaddr_un name = socket.name();
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(bind(fd, reinterpret_cast<const sockaddr*>(&name), sizeof(name)), 0);
  close(fd);
  ASSERT_TRUE(std::filesystem::exists(socket.path()));
  const auto server = StartServer({.listen = {socket.address()}});
  EXPECT_EQ(Caller(ChannelTo(socket.address())).Health(""), "SERVING");
}

TEST(Address, AFileInTheWayOfASocketIsLeftAlone) {
  const UnixPath socket;
  std::ofstream(socket.path()) << "precious";
  EXPECT_THAT(MessageOf({.listen = {socket.address()}}), HasSubstr("a file is in the way"));
  std::string content;
  std::ifstream(socket.path()) >> content;
  EXPECT_EQ(content, "precious");
}

TEST(Address, TextThatIsNoAddressIsRefused) {
  for (const std::string text :
       {"50051", "localhost", ":50051", "localhost:", "localhost:http", "localhost:70000",
        "localhost:-1", "::1:50051", "[]:1", "unix:", ""}) {
    EXPECT_EQ(CodeOf({.listen = {text}}), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(MessageOf({.listen = {text}}), HasSubstr("--listen: expected")) << text;
  }
  EXPECT_THAT(MessageOf({.listen = {"unix:/" + std::string(200, 'x')}}), HasSubstr("107 bytes"));
  EXPECT_EQ(CodeOf({.listen = {"no-such-host.invalid:1"}}), absl::StatusCode::kFailedPrecondition);
}

TEST(Start, RefusesOptionsOutOfTheirRange) {
  struct Row {
    const char* option;
    ServerOptions options;
  };
  for (const Row& row : {
           Row{"--threads", {.threads = -1}},
           Row{"--threads", {.threads = 1025}},
           Row{"--max-message-bytes", {.max_message_bytes = 1000}},
           Row{"--max-message-bytes", {.max_message_bytes = std::int64_t{1} << 31}},
           Row{"--max-multiply-adds", {.max_multiply_adds = 0}},
           Row{"--memory-limit", {.memory_limit = -1}},
           Row{"--memory-limit", {.memory_limit = 1}},
           Row{"--max-requests", {.max_requests = 0}},
           Row{"--log-level", {.log_level = "loud"}},
           Row{"--log-format", {.log_format = "xml"}},
           Row{"--log-sample", {.log_sample = 1.5}},
       }) {
    EXPECT_EQ(CodeOf(row.options), absl::StatusCode::kInvalidArgument) << row.option;
    EXPECT_THAT(MessageOf(row.options), HasSubstr(row.option));
  }
}

TEST(Start, RefusesForcedNamesThatDoNotExist) {
  {
    const ScopedEnvironment forced("CONVSERVE_ALGORITHM", "magic");
    EXPECT_EQ(CodeOf({}), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(MessageOf({}), AllOf(HasSubstr("CONVSERVE_ALGORITHM"), HasSubstr("reference")));
  }
  const ScopedEnvironment forced("CONVSERVE_ISA", "mmx");
  EXPECT_EQ(CodeOf({}), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(MessageOf({}), AllOf(HasSubstr("CONVSERVE_ISA"), HasSubstr("portable")));
}

}  // namespace
}  // namespace convserve
