// Tokens: which there are, which calls need one, and how they change.
#include "server/guard.h"

#include <filesystem>
#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/tokens.h"
#include "tests/server/certificates.h"
#include "tests/server/child.h"
#include "tests/server/fixture.h"
#include "tests/server/http.h"
#include "tests/server/scratch.h"

namespace convserve {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kToken[] = "correct-horse-battery";
constexpr char kOther[] = "staple-staple-staple";

TEST(Tokens, AreLinesOfAFileAsTheyAreOrAsTheirDigest) {
  // printf %s staple-staple-staple | sha256sum
  const std::string digest = Output("printf %s staple-staple-staple | sha256sum").substr(0, 64);
  const auto tokens =
      Tokens::Parse("# ours\n\n  correct-horse-battery \r\nsha256:" + digest + "\n");
  ASSERT_TRUE(tokens.ok()) << tokens.status();
  EXPECT_TRUE(tokens->Contain(kToken));
  EXPECT_TRUE(tokens->Contain(kOther));
  for (const std::string no : {"", "correct", "correct-horse-batterz", "# ours"}) {
    EXPECT_FALSE(tokens->Contain(no)) << no;
  }
  EXPECT_FALSE(tokens->Contain("sha256:" + digest));
  EXPECT_FALSE(tokens->Contain(digest));
}

TEST(Tokens, WhatIsNoTokenIsRefusedByItsLineAndNotRepeated) {
  const struct {
    const char* text;
    const char* explanation;
  } rows[] = {
      {"", "expected a token"},
      {"# nothing\n\n", "expected a token"},
      {"correct-horse-battery\nsecret\n", "line 2"},
      {"secret secret secret\n", "line 1"},
      {"sha256:secret\n", "line 1"},
      {"================\n", "line 1"},
  };
  for (const auto& row : rows) {
    const absl::Status status = Tokens::Parse(row.text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << row.text;
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr(row.explanation), Not(HasSubstr("secret"))));
  }
  EXPECT_FALSE(Tokens::Parse(std::string(513, 'x')).ok());
}

class GuardTest : public ::testing::Test {
 protected:
  ServerOptions Options() const {
    return {.listen = {"127.0.0.1:0"},
            .security = {.token_file = folder_.path("tokens"),
                         .reload_interval = std::chrono::milliseconds(20)},
            .channelz = true,
            .metrics_listen = "0"};
  }

  // What any method answers to an empty message, with these values of `authorization`.
  absl::StatusCode Ask(const std::string& path, const std::vector<std::string>& authorizations) {
    const grpc::Status status =
        CallInBytes(channel_, path, InOneSlice(""), [&](grpc::ClientContext& context) {
          for (const std::string& value : authorizations) {
            context.AddMetadata("authorization", value);
          }
        }).status;
    return static_cast<absl::StatusCode>(status.error_code());
  }

  const ScratchFolder folder_;
  const std::string file_ = folder_.Write("tokens", std::string(kToken) + "\n");
  std::unique_ptr<Server> server_ = StartServer(Options());
  std::shared_ptr<grpc::Channel> channel_ = ChannelTo(server_->addresses()[0]);
};

constexpr char kDescribe[] = "/convserve.v1.ConvolutionService/Describe";

TEST_F(GuardTest, EveryMethodNeedsATokenWhetherOrNotItExists) {
  for (const char* path :
       {"/convserve.v1.ConvolutionService/Conv", "/convserve.v1.ConvolutionService/ConvTranspose",
        kDescribe, "/convserve.v1.ConvolutionService/Explain",
        "/convserve.v1.ConvolutionService/Correlate",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        "/grpc.channelz.v1.Channelz/GetServers", "/another.Service/Method",
        "/grpc.health.v1.Healthy/Check", "/"}) {
    EXPECT_EQ(Ask(path, {}), absl::StatusCode::kUnauthenticated) << path;
    EXPECT_EQ(Ask(path, {std::string("Bearer ") + kOther}), absl::StatusCode::kUnauthenticated)
        << path;
    EXPECT_NE(Ask(path, {std::string("Bearer ") + kToken}), absl::StatusCode::kUnauthenticated)
        << path;
  }
}

TEST_F(GuardTest, HealthNeedsNone) {
  EXPECT_EQ(Caller(channel_).Health(""), "SERVING");
  EXPECT_EQ(Ask("/grpc.health.v1.Health/Check", {"nonsense"}), absl::StatusCode::kOk);
}

TEST_F(GuardTest, OnlyOneBearerTokenCounts) {
  const std::string bearer = std::string("Bearer ") + kToken;
  EXPECT_EQ(Ask(kDescribe, {bearer}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Ask(kDescribe, {std::string("bearer ") + kToken}), absl::StatusCode::kInvalidArgument);
  const std::vector<std::string> rows[] = {
      {kToken},
      {"Bearer "},
      {"Bearer"},
      {std::string("Basic ") + kToken},
      {bearer, bearer},
      {bearer + " "},
      {"Bearer  correct-horse-battery"},
      {bearer + "x"},
      {bearer + ",Bearer x"},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(Ask(kDescribe, row), absl::StatusCode::kUnauthenticated) << row.front();
  }
}

TEST_F(GuardTest, ChannelzIsServedToThoseWhoMay) {
  EXPECT_EQ(Ask("/grpc.channelz.v1.Channelz/GetServers", {std::string("Bearer ") + kToken}),
            absl::StatusCode::kOk);
}

TEST_F(GuardTest, ChangedTokensCountFromTheNextCall) {
  const std::string old_one = std::string("Bearer ") + kToken;
  const std::string new_one = std::string("Bearer ") + kOther;
  EXPECT_EQ(Ask(kDescribe, {new_one}), absl::StatusCode::kUnauthenticated);
  folder_.Write("tokens", std::string(kToken) + "\n" + kOther + "\n");
  while (Ask(kDescribe, {new_one}) == absl::StatusCode::kUnauthenticated) {
    EXPECT_EQ(Ask(kDescribe, {old_one}), absl::StatusCode::kInvalidArgument);
  }
  folder_.Write("tokens", std::string(kOther) + "\n");
  while (Ask(kDescribe, {old_one}) != absl::StatusCode::kUnauthenticated) {
    EXPECT_EQ(Ask(kDescribe, {new_one}), absl::StatusCode::kInvalidArgument);
  }
}

TEST_F(GuardTest, ABrokenTokenFileChangesNothing) {
  folder_.Write("tokens", "");
  const std::string failed = "convserve_reloads_total{file=\"tokens\",result=\"failed\"} 1\n";
  while (HttpAsk(server_->metrics_address(), "/metrics").body.find(failed) == std::string::npos) {
  }
  EXPECT_EQ(Ask(kDescribe, {std::string("Bearer ") + kToken}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Ask(kDescribe, {}), absl::StatusCode::kUnauthenticated);
}

TEST_F(GuardTest, ABrokenTokenFileCountsOnceItIsGoodThoughNoChangeIsSeen) {
  folder_.Write("tokens", std::string(std::string_view(kOther).size(), '#'));
  const std::string failed = "convserve_reloads_total{file=\"tokens\",result=\"failed\"} 1\n";
  while (HttpAsk(server_->metrics_address(), "/metrics").body.find(failed) == std::string::npos) {
  }
  const auto time = std::filesystem::last_write_time(file_);
  std::fstream(file_, std::ios::in | std::ios::out) << kOther;
  std::filesystem::last_write_time(file_, time);
  while (Ask(kDescribe, {std::string("Bearer ") + kOther}) == absl::StatusCode::kUnauthenticated) {
  }
  EXPECT_THAT(HttpAsk(server_->metrics_address(), "/metrics").body, HasSubstr(failed));
}

TEST_F(GuardTest, TokensThatBreakAgainAreReportedAgain) {
  const auto count = [&](std::string_view result, int reloads) {
    const std::string line = "convserve_reloads_total{file=\"tokens\",result=\"" +
                             std::string(result) + "\"} " + std::to_string(reloads) + "\n";
    while (HttpAsk(server_->metrics_address(), "/metrics").body.find(line) == std::string::npos) {
    }
  };
  const std::string away = std::string(file_) + ".away";
  for (int time = 1; time <= 2; ++time) {
    std::filesystem::rename(file_, away);
    count("failed", time);
    std::filesystem::rename(away, file_);
    count("ok", time);
  }
}

TEST_F(GuardTest, RefusalsAreCountedAndLoggedWithoutTheToken) {
  Child child({"--listen", "127.0.0.1:0", "--token-file", file_, "--metrics-listen", "0"});
  channel_ = ChannelTo(child.ReadLine().substr(13));
  const std::string metrics = child.ReadLine();
  EXPECT_EQ(Ask("/a\"b/c", {"Bearer swordfish-swordfish"}), absl::StatusCode::kUnauthenticated);
  const std::string address =
      metrics.substr(metrics.find("//") + 2, metrics.rfind('/') - metrics.find("//") - 2);
  EXPECT_THAT(HttpAsk(address, "/metrics").body,
              HasSubstr("convserve_rejections_total{reason=\"UNAUTHENTICATED\"} 1\n"));
  child.Signal(SIGTERM);
  EXPECT_EQ(child.Wait(), 0);
  EXPECT_THAT(child.ReadErrors(), AllOf(HasSubstr("warning refused path=\"/a\\\"b/c\""),
                                        Not(HasSubstr("swordfish")), Not(HasSubstr(kToken))));
}

TEST(Guard, TokensDoNotTravelInTheClearUnlessSomebodySaysSo) {
  const ScratchFolder folder;
  const std::string file = folder.Write("tokens", kToken);
  ServerOptions options{.listen = {"127.0.0.1:0", "unix:" + folder.path("socket")},
                        .security = {.token_file = file}};
  EXPECT_TRUE(Server::Start(options).ok());
  options.listen.push_back("0.0.0.0:0");
  const absl::Status refused = Server::Start(options).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.message()), AllOf(HasSubstr("0.0.0.0:0"), HasSubstr("--tls-cert"),
                                                    HasSubstr("--plaintext-tokens")));
  options.security.plaintext_tokens = true;
  EXPECT_TRUE(Server::Start(options).ok());
}

TEST(Guard, ATokenFileThatCannotBeUsedStopsTheServer) {
  const ScratchFolder folder;
  for (const std::string& file : {folder.path("missing"), folder.Write("empty", "")}) {
    const absl::Status refused = Server::Start({.security = {.token_file = file}}).status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(refused.message()), AllOf(HasSubstr("--token-file"), HasSubstr(file)));
  }
}

}  // namespace
}  // namespace convserve
