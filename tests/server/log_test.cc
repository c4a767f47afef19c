// What the server writes for its operators, and the id by which they find a call.
#include "server/log.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <sstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "server/request_id.h"
#include "tests/server/child.h"
#include "tests/server/fixture.h"
#include "tests/server/http.h"
#include "tests/server/raw_connection.h"

namespace convserve {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::SizeIs;
using Json = nlohmann::json;

// What `write` leaves on standard error.
template <typename Write>
std::string Written(const Log::Options& options, Write&& write) {
  testing::internal::CaptureStderr();
  {
    auto log = Log::Make(options);
    EXPECT_TRUE(log.ok()) << log.status();
    write(**log);
  }
  return testing::internal::GetCapturedStderr();
}

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

void WriteOneOfEach(Log& log) {
  log.Write(
      Severity::kInfo, "started",
      {{"text", "plain"}, {"spaced", "two words"}, {"count", 3}, {"share", 0.5}, {"on", true}});
}

TEST(Log, TextIsOneLineOfNamedValues) {
  EXPECT_THAT(Written({.level = "info"}, WriteOneOfEach),
              MatchesRegex("[0-9-]*T[0-9:.]*Z info started text=plain spaced=\"two words\" count=3 "
                           "share=0.5 on=true\n"));
}

TEST(Log, JsonIsOneObjectALine) {
  const std::string text = Written({.level = "info", .format = "json"}, WriteOneOfEach);
  EXPECT_THAT(Lines(text), SizeIs(1));
  const Json line = Json::parse(text);
  EXPECT_EQ(line["level"], "info");
  EXPECT_EQ(line["event"], "started");
  EXPECT_EQ(line["spaced"], "two words");
  EXPECT_EQ(line["count"], 3);
  EXPECT_EQ(line["share"], 0.5);
  EXPECT_EQ(line["on"], true);
}

TEST(Log, NoTextBreaksItsLineOrItsField) {
  const std::string hostile = "a\nlevel=error \"b\"\r\x1b[31m\xff\xe2\x80\xa8 %v {} \\";
  const auto write = [&](Log& log) { log.Write(Severity::kInfo, "call", {{"text", hostile}}); };
  const std::string text = Written({.level = "info"}, write);
  EXPECT_THAT(Lines(text), SizeIs(1));
  EXPECT_THAT(text, HasSubstr(R"(text="a\nlevel=error \"b\"\r\u001b[31m\ufffd\u2028 %v {} \\")"));
  const Json line = Json::parse(Written({.level = "info", .format = "json"}, write));
  EXPECT_EQ(line["text"], "a\nlevel=error \"b\"\r\x1b[31m\xef\xbf\xbd\xe2\x80\xa8 %v {} \\");
}

TEST(Log, LongTextIsCut) {
  const std::string text = Written({.level = "info"}, [](Log& log) {
    log.Write(Severity::kInfo, "call", {{"text", std::string(1'000'000, 'x')}});
  });
  EXPECT_LT(text.size(), 3000);
}

TEST(Log, WhatIsBelowTheLevelIsNotWritten) {
  const auto write = [](Log& log) {
    log.Write(Severity::kInfo, "quiet");
    log.Write(Severity::kWarning, "loud");
  };
  EXPECT_THAT(Written({.level = "warning"}, write),
              AllOf(Not(HasSubstr("quiet")), HasSubstr("loud")));
  EXPECT_EQ(Written({.level = "off"}, write), "");
}

TEST(Log, WhatCannotBeWrittenIsCounted) {
  const int kept = dup(STDERR_FILENO);
  const int full = open("/dev/full", O_WRONLY);
  ASSERT_EQ(dup2(full, STDERR_FILENO), STDERR_FILENO);
  auto log = Log::Make({.level = "info"});
  WriteOneOfEach(**log);
  while ((*log)->dropped() == 0) {
  }
  EXPECT_EQ(dup2(kept, STDERR_FILENO), STDERR_FILENO);
  close(kept);
  close(full);
  EXPECT_EQ((*log)->dropped(), 1);
}

TEST(RequestId, AnIdThatTheCallerGaveIsKeptAndAnythingElseReplaced) {
  EXPECT_EQ(RequestId("order-7_a.b:c/d+e="), "order-7_a.b:c/d+e=");
  for (const std::string given : {"", "two words", "a\nb", "\"", "\xc3\xa9"}) {
    EXPECT_THAT(RequestId(given), MatchesRegex("[0-9a-f]{16}")) << given;
  }
  EXPECT_THAT(RequestId(std::string(65, 'x')), MatchesRegex("[0-9a-f]{16}"));
  EXPECT_NE(RequestId(""), RequestId(""));
}

// A server whose log is read when it has ended.
class AccessLogTest : public ::testing::Test {
 protected:
  void Serve(std::vector<std::string> options) {
    options.insert(options.end(), {"--listen", "127.0.0.1:0", "--log-format", "json"});
    child_ = std::make_unique<Child>(options);
    address_ = child_->ReadLine().substr(13);
    caller_ = std::make_unique<Caller>(ChannelTo(address_));
  }

  std::vector<Json> Calls() {
    child_->Signal(SIGTERM);
    EXPECT_EQ(child_->Wait(), 0);
    std::vector<Json> calls;
    for (const std::string& line : Lines(child_->ReadErrors())) {
      Json event = Json::parse(line);
      if (event["event"] == "call") calls.push_back(std::move(event));
    }
    return calls;
  }

  // The id that the answer to a call with `id` names.
  std::string Ask(const std::string& id, const v1::ConvRequest& request) {
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    if (!id.empty()) context.AddMetadata(kRequestIdKey, id);
    (void)caller_->Conv(context, request);
    const auto& trailers = context.GetServerTrailingMetadata();
    const auto found = trailers.find(kRequestIdKey);
    return found == trailers.end() ? "" : std::string(found->second.data(), found->second.size());
  }

  std::unique_ptr<Child> child_;
  std::string address_;
  std::unique_ptr<Caller> caller_;
};

TEST_F(AccessLogTest, EachCallIsAnEventWithAllThatExplainsIt) {
  Serve({});
  EXPECT_EQ(Ask("order-7", SmallConv()), "order-7");
  const std::string made = Ask("", {});
  EXPECT_THAT(made, SizeIs(16));

  const std::vector<Json> calls = Calls();
  ASSERT_THAT(calls, SizeIs(2));
  const Json& good = calls[0];
  EXPECT_EQ(good["method"], "Conv");
  EXPECT_EQ(good["code"], "OK");
  EXPECT_EQ(good["id"], "order-7");
  EXPECT_THAT(std::string(good["peer"]), HasSubstr("127.0.0.1"));
  EXPECT_THAT(std::string(good["problem"]), HasSubstr("[1, 1, 2, 2]"));
  EXPECT_NE(good["algorithm"], "");
  EXPECT_EQ(good["bytes_in"], SmallConv().ByteSizeLong());
  EXPECT_GT(good["bytes_out"], 0);
  EXPECT_GT(good["compute_ms"], 0);
  EXPECT_GE(good["ms"], double{good["compute_ms"]} + double{good["queue_ms"]} - 0.001);
  const Json& bad = calls[1];
  EXPECT_EQ(bad["code"], "INVALID_ARGUMENT");
  EXPECT_EQ(bad["id"], made);
  EXPECT_THAT(std::string(bad["error"]), HasSubstr("input"));
}

TEST_F(AccessLogTest, AMessageThatGrpcDoesNotTakeIsMissing) {
  Serve({"--max-message-bytes", "64KiB"});
  Ask("long", SlowConv({.pictures = 64}));
  grpc::ClientContext compressed;
  compressed.set_wait_for_ready(true);
  compressed.set_compression_algorithm(GRPC_COMPRESS_GZIP);
  EXPECT_EQ(caller_->Conv(compressed, SlowConv({})).code(), absl::StatusCode::kUnimplemented);
  const std::vector<Json> calls = Calls();
  ASSERT_THAT(calls, SizeIs(2));
  for (const Json& call : calls) {
    EXPECT_EQ(call["reason"], "NO_MESSAGE");
    EXPECT_THAT(std::string(call["error"]), HasSubstr("no message was received"));
  }
}

TEST_F(AccessLogTest, ACallerThatGivesUpAmidItsMessageIsNamed) {
  Serve({"--metrics-listen", "0"});
  const std::string line = child_->ReadLine();
  const std::string metrics = line.substr(line.find("127."), line.rfind('/') - line.find("127."));
  RawConnection caller(address_);
  caller.Greet();
  caller.BeginCall(1, "Conv");
  caller.BeginMessage(1, 1000, "the beginning");
  const auto await = [&](const std::string& value) {
    while (HttpAsk(metrics, "/metrics").body.find(value) == std::string::npos) {
    }
  };
  await("\nconvserve_calls_started_total{method=\"Conv\"} 1\n");
  caller.ResetCall(1);
  await("\nconvserve_calls_finished_total{code=\"CANCELLED\",method=\"Conv\"} 1\n");
  const std::vector<Json> calls = Calls();
  ASSERT_THAT(calls, SizeIs(1));
  EXPECT_EQ(calls[0]["reason"], "NO_MESSAGE");
  EXPECT_THAT(std::string(calls[0]["peer"]), HasSubstr("127.0.0.1"));
}

TEST_F(AccessLogTest, FailuresAreAllLoggedHoweverFewSuccessesAre) {
  Serve({"--log-sample", "0"});
  for (int i = 0; i < 5; ++i) Ask("good", SmallConv());
  for (int i = 0; i < 5; ++i) Ask("bad", {});
  const std::vector<Json> calls = Calls();
  EXPECT_THAT(calls, SizeIs(5));
  for (const Json& call : calls) EXPECT_EQ(call["id"], "bad");
}

TEST_F(AccessLogTest, NeitherCredentialsNorElementsAreLogged) {
  Serve({"--log-level", "trace"});
  v1::ConvRequest request = SmallConv();
  request.mutable_input()->set_values(0, 987654321);
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  context.AddMetadata("authorization", "Bearer swordfish");
  EXPECT_TRUE(caller_->Conv(context, request).ok());
  child_->Signal(SIGTERM);
  EXPECT_EQ(child_->Wait(), 0);
  EXPECT_THAT(child_->ReadErrors(), AllOf(Not(HasSubstr("swordfish")), Not(HasSubstr("98765432"))));
}

}  // namespace
}  // namespace convserve
