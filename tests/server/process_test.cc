// The convserve process: what it prints, what signals do, how it ends.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/child.h"
#include "tests/server/fixture.h"
#include "tests/server/http.h"
#include "tests/server/scratch.h"

namespace convserve {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::string_view kListening = "listening on ";

// What the shell makes of these words before the server, which it becomes, is started.
Child InShell(const std::string& words, const std::vector<std::string>& arguments) {
  std::vector<std::string> all = {"-c", words, CONVSERVE_BINARY_DIR "/bin/convserve"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return Child(Program("/bin/sh"), all);
}

// A server that takes one request at a time and computes slowly.
class ProcessTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string line = child_.ReadLine();
    ASSERT_THAT(line, StartsWith(std::string(kListening)));
    caller_ = std::make_unique<Caller>(ChannelTo(line.substr(kListening.size())));
  }

  Child child_{{"--listen", "127.0.0.1:0", "--max-requests", "1", "--drain-seconds", "3600"},
               {"CONVSERVE_ALGORITHM=reference"}};
  std::unique_ptr<Caller> caller_;
};

TEST_F(ProcessTest, EitherSignalStopsAnIdleServerWithZero) {
  child_.Signal(SIGINT);
  EXPECT_EQ(child_.Wait(), 0);
  EXPECT_THAT(child_.ReadErrors(),
              AllOf(HasSubstr("serving addresses=127.0.0.1:"), HasSubstr("instruction_set="),
                    HasSubstr("threads="), HasSubstr("stopped")));
}

TEST_F(ProcessTest, SigtermLetsAnAcceptedRequestFinishAndEndsWithZero) {
  Pending request(*caller_, kMoment);
  child_.Signal(SIGTERM);
  EXPECT_TRUE(request.Wait().ok());
  EXPECT_EQ(child_.Wait(), 0);
  EXPECT_THAT(child_.ReadErrors(), HasSubstr("method=Conv code=OK"));
}

TEST_F(ProcessTest, ASecondSignalEndsAtOnce) {
  Pending request(*caller_, kEndless);
  child_.Signal(SIGTERM);
  caller_->AskUntil(absl::StatusCode::kUnavailable);
  child_.Signal(SIGTERM);
  EXPECT_EQ(child_.Wait(), 128 + SIGTERM);
  EXPECT_EQ(request.Wait().code(), absl::StatusCode::kUnavailable);
}

TEST(Process, WhileItWaitsForLoadBalancersItServesOnAndSaysThatItIsLeaving) {
  Child child({"--listen", "127.0.0.1:0", "--metrics-listen", "0", "--drain-wait", "1h"});
  const std::string address = child.ReadLine().substr(kListening.size());
  const std::string metrics = child.ReadLine();
  const std::string pages =
      metrics.substr(metrics.find("127."), metrics.rfind('/') - metrics.find("127."));
  Caller caller(ChannelTo(address));
  EXPECT_EQ(caller.Health(""), "SERVING");
  EXPECT_EQ(HttpAsk(pages, "/readyz").code, 200);
  child.Signal(SIGTERM);
  while (HttpAsk(pages, "/readyz").code != 503) {
  }
  while (caller.Health("") != "NOT_SERVING") {
  }
  EXPECT_EQ(HttpAsk(pages, "/livez").code, 200);
  EXPECT_THAT(HttpAsk(pages, "/metrics").body, HasSubstr("\nconvserve_ready 0\n"));
  v1::ConvResponse response;
  EXPECT_TRUE(caller.Conv(SmallConv(), response).ok());
  EXPECT_TRUE(Caller(ChannelTo(address)).Conv(SmallConv(), response).ok()) << "a new connection";
  child.Signal(SIGTERM);
  EXPECT_EQ(child.Wait(), 128 + SIGTERM);
}

TEST(Process, ItEndsThoughNobodyReadsItsStandardError) {
  const ScratchFolder folder;
  const std::string pipe = folder.path("errors");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const int reader = open(pipe.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
  while (write(reader, "x", 1) == 1) {
  }
  Child child =
      InShell("exec \"$0\" \"$@\" 2>" + pipe, {"--listen", "127.0.0.1:0", "--drain-wait", "0"});
  EXPECT_THAT(child.ReadLine(), StartsWith(std::string(kListening)));
  child.Signal(SIGTERM);
  EXPECT_EQ(child.Wait(), 0);
  close(reader);
}

TEST(Process, WithoutRoomForAConnectionItDoesNotStart) {
  Child child = InShell("ulimit -n 129; exec \"$0\" \"$@\"", {"--listen", "127.0.0.1:0"});
  EXPECT_EQ(child.Wait(), 1);
  EXPECT_THAT(child.ReadErrors(), HasSubstr("ulimit -n"));
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // which take it all
TEST(Process, WithoutRoomForItsThreadsItDoesNotStart) {
  Child child =
      InShell("export MALLOC_ARENA_MAX=1; ulimit -s 8192; ulimit -v 4194304; exec \"$0\" \"$@\"",
              {"--listen", "127.0.0.1:0", "--threads", "1000"});
  EXPECT_EQ(child.Wait(), 1);
  EXPECT_THAT(child.ReadErrors(), HasSubstr("cannot start 1000 threads"));
}
#endif

TEST(Process, CheckSaysWhetherAServerWouldStart) {
  Child good({"--check", "--listen", "127.0.0.1:0"});
  EXPECT_EQ(good.ReadLine(), "this configuration works");
  EXPECT_EQ(good.Wait(), 0);
  const auto server = StartServer();
  Child busy({"--check", "--listen", server->addresses()[0]});
  EXPECT_EQ(busy.Wait(), 1);
  EXPECT_THAT(busy.ReadErrors(), HasSubstr("Address already in use"));
  Child contradictory({"--check", "--tls-cert", "c"});
  EXPECT_EQ(contradictory.Wait(), 2);
}

TEST(Process, WrongUsageEndsWithTwo) {
  Child unknown({"--nothing"});
  EXPECT_EQ(unknown.Wait(), 2);
  Child out_of_range({"--threads", "9999"});
  EXPECT_EQ(out_of_range.Wait(), 2);
  EXPECT_THAT(out_of_range.ReadErrors(), HasSubstr("--threads: expected 0 to 1024, got 9999"));
  Child no_address({"--listen", "foo"});
  EXPECT_EQ(no_address.Wait(), 2);
  EXPECT_THAT(no_address.ReadErrors(), StartsWith("convserve: --listen: expected"));
  Child forced({}, {"CONVSERVE_ISA=mmx"});
  EXPECT_EQ(forced.Wait(), 2);
}

}  // namespace
}  // namespace convserve
