// The client library and convctl against servers that want TLS, certificates and tokens.
#include "client/client_security.h"
#include "client/convolution_client.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/server.h"
#include "tests/client/convctl_harness.h"
#include "tests/server/certificates.h"
#include "tests/server/scratch.h"
#include "tests/support/tensors.h"

namespace convserve {
namespace {

using ::testing::AllOf;
using testing::Convctl;
using testing::Environment;
using ::testing::HasSubstr;
using testing::Outcome;

constexpr char kToken[] = "correct-horse-battery";

// A server that wants all three.
class ClientSecurityTest : public ::testing::Test {
 protected:
  ClientSecurityTest() {
    const Pair pair = authority_.Issue();
    const std::string ca = folder_.Write("ca.pem", authority_.certificate());
    auto server = Server::Start(
        {.listen = {"127.0.0.1:0"},
         .security = {.tls_cert = folder_.Write("server.pem", pair.certificate),
                      .tls_key = folder_.Write("server.key", pair.key),
                      .tls_client_ca = ca,
                      .token_file = folder_.Write("tokens", std::string(kToken) + "\n")}});
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    folder_.Write("client.pem", own_.certificate);
    folder_.Write("client.key", own_.key);
    folder_.Write("token", std::string(kToken) + "\n");
  }

  const std::string& address() const { return server_->addresses()[0]; }

  std::vector<std::string> Typed(std::vector<std::string> command) const {
    command.insert(command.end(), {"--server", address(), "--timeout", "20", "--tls-ca",
                                   folder_.path("ca.pem"), "--tls-cert", folder_.path("client.pem"),
                                   "--tls-key", folder_.path("client.key")});
    return command;
  }

  absl::Status Ask(const ClientSecurity& security) const {
    const ConvolutionClient client(
        address(), {.timeout = std::chrono::seconds(20), .max_attempts = 1, .security = security});
    const Tensor one = testing::Filled(DataType::kFloat32, {1, 1, 1, 1}, 1);
    return client.Conv({one.view(), one.view(), {}}).status();
  }

  ClientSecurity Full() const {
    return {.tls = true,
            .ca_pem = authority_.certificate(),
            .cert_pem = own_.certificate,
            .key_pem = own_.key,
            .token = [] { return std::string(kToken); }};
  }

  const Authority authority_;
  const ScratchFolder folder_;
  const Pair own_ = authority_.Issue();
  std::unique_ptr<Server> server_;
};

const std::vector<std::string> kConv = {"conv", "--input", "[[1,2],[3,4]]", "--weight", "[[1]]"};

TEST_F(ClientSecurityTest, AllThreeTogetherAreServed) { EXPECT_TRUE(Ask(Full()).ok()); }

TEST_F(ClientSecurityTest, EachThatIsMissingIsRefused) {
  ClientSecurity without_token = Full();
  without_token.token = {};
  EXPECT_EQ(Ask(without_token).code(), absl::StatusCode::kUnauthenticated);
  ClientSecurity wrong_token = Full();
  wrong_token.token = [] { return std::string("staple-staple-staple"); };
  EXPECT_EQ(Ask(wrong_token).code(), absl::StatusCode::kUnauthenticated);
  ClientSecurity without_certificate = Full();
  without_certificate.cert_pem = without_certificate.key_pem = "";
  EXPECT_EQ(Ask(without_certificate).code(), absl::StatusCode::kUnavailable);
  ClientSecurity without_authority = Full();
  without_authority.ca_pem = "";
  EXPECT_EQ(Ask(without_authority).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Ask({}).code(), absl::StatusCode::kUnavailable);
}

TEST_F(ClientSecurityTest, TheCertificateMustBeForTheNameAskedFor) {
  ClientSecurity security = Full();
  security.server_name = "localhost";
  EXPECT_TRUE(Ask(security).ok());
  security.server_name = "elsewhere";
  EXPECT_EQ(Ask(security).code(), absl::StatusCode::kUnavailable);
}

TEST_F(ClientSecurityTest, TheTokenIsAskedForWithEachCall) {
  std::string token = "staple-staple-staple";
  ClientSecurity security = Full();
  security.token = [&token] { return token; };
  const ConvolutionClient client(address(), {.security = security});
  ProblemSpec spec;
  spec.input = {DataType::kFloat32, {1, 1, 4, 4}, {}};
  spec.weight = {DataType::kFloat32, {1, 1, 3, 3}, {}};
  EXPECT_EQ(client.Describe(spec).status().code(), absl::StatusCode::kUnauthenticated);
  token = kToken;
  EXPECT_TRUE(client.Describe(spec).ok());
}

TEST_F(ClientSecurityTest, ATokenThatCannotBeSentFailsTheCall) {
  const Tensor one = testing::Filled(DataType::kFloat32, {1, 1, 1, 1}, 1);
  for (const std::string& token : {std::string(kToken) + "\n", "\xef\xbb\xbf" + std::string(kToken),
                                   std::string("two words"), std::string("a\0b", 3)}) {
    ClientSecurity security = Full();
    security.token = [&token] { return token; };
    const ConvolutionClient client(address(), {.security = security});
    EXPECT_EQ(client.Health().status().code(), absl::StatusCode::kInvalidArgument);
    const Operands operands{one.view(), one.view(), {}};
    const absl::Status status = client.Conv(operands).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr("token: expected printable ASCII"));
    EXPECT_EQ(client.ConvAsync(operands).get().status(), status);
  }
}

TEST(ClientSecurity, ContradictionsFailEveryCallAndSendNothing) {
  const auto token = [] { return std::string(kToken); };
  const struct {
    std::string target;
    ClientSecurity security;
    absl::StatusCode code;
  } rows[] = {
      {"host:1", {.token = token}, absl::StatusCode::kFailedPrecondition},
      {"dns:///host:1", {.token = token}, absl::StatusCode::kFailedPrecondition},
      {"ipv4:127.0.0.1:1,10.0.0.1:1", {.token = token}, absl::StatusCode::kFailedPrecondition},
      {"localhost.example:1", {.token = token}, absl::StatusCode::kFailedPrecondition},
      {"127.evil.invalid:1", {.token = token}, absl::StatusCode::kFailedPrecondition},
      {"127.0.0.1.invalid:1", {.token = token}, absl::StatusCode::kFailedPrecondition},
      {"127.0.0.1:1,host:1", {.token = token}, absl::StatusCode::kFailedPrecondition},
      {"dns:///unix:1", {.token = token}, absl::StatusCode::kFailedPrecondition},
      {"host:1", {.ca_pem = "-----BEGIN "}, absl::StatusCode::kInvalidArgument},
      {"host:1", {.tls = true, .ca_pem = "text"}, absl::StatusCode::kInvalidArgument},
      {"host:1", {.tls = true, .key_pem = "-----BEGIN "}, absl::StatusCode::kInvalidArgument},
      {"host:1", {.tls = true, .token = token}, absl::StatusCode::kOk},
      {"host:1", {.token = token, .plaintext_token = true}, absl::StatusCode::kOk},
      {"127.0.0.1:1", {.token = token}, absl::StatusCode::kOk},
      {"127.1.2.3:1", {.token = token}, absl::StatusCode::kOk},
      {"localhost:1", {.token = token}, absl::StatusCode::kOk},
      {"[::1]:1", {.token = token}, absl::StatusCode::kOk},
      {"ipv4:127.0.0.1:1", {.token = token}, absl::StatusCode::kOk},
      {"unix:/run/s", {.token = token}, absl::StatusCode::kOk},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(CheckSecurity(row.target, row.security).code(), row.code) << row.target;
    if (row.code == absl::StatusCode::kOk) continue;
    const ConvolutionClient client(row.target, {.security = row.security});
    EXPECT_EQ(client.Health().status().code(), row.code) << row.target;
  }
}

TEST(ClientSecurity, WhatStaysOnThisMachineTakesNoProxy) {
  const auto server = Server::Start({.listen = {"127.0.0.1:0"}});
  ASSERT_TRUE(server.ok()) << server.status();
  const std::string address = (*server)->addresses()[0];
  const Environment proxy("http_proxy", "http://127.0.0.1:1");
  for (const std::string& target : {address, "dns:///" + address, "ipv4:" + address}) {
    const ConvolutionClient client(target, {.max_attempts = 1});
    EXPECT_TRUE(client.Health().ok()) << target;
  }
}

class Hazard14 : public ClientSecurityTest {};

TEST_F(Hazard14, ConvctlHealthProbesAServerThatAnswersOverTlsAlone) {
  // As a container's exec probe does: it has certificates, and needs no token.
  const Outcome healthy = Convctl(Typed({"health"}));
  EXPECT_EQ(healthy.exit_code, 0) << healthy;
  EXPECT_EQ(healthy.out, "SERVING\n");
  EXPECT_EQ(Convctl({"health", "--server", address(), "--timeout", "5"}).exit_code, 4);
  const Environment ca("CONVCTL_TLS_CA", folder_.path("ca.pem"));
  const Environment cert("CONVCTL_TLS_CERT", folder_.path("client.pem"));
  const Environment key("CONVCTL_TLS_KEY", folder_.path("client.key"));
  EXPECT_EQ(Convctl({"health", "--server", address()}).exit_code, 0);
}

TEST_F(ClientSecurityTest, ConvctlSendsTheTokenOfAFile) {
  std::vector<std::string> command = kConv;
  const Outcome refused = Convctl(Typed(command));
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, AllOf(HasSubstr("token"), HasSubstr("--token-file")));
  command.insert(command.end(), {"--token-file", folder_.path("token")});
  EXPECT_EQ(Convctl(Typed(command)).exit_code, 0);
}

TEST_F(ClientSecurityTest, ConvctlAdvisesOnConnectionsThatFail) {
  const auto plain = Server::Start({.listen = {"127.0.0.1:0"}});
  ASSERT_TRUE(plain.ok()) << plain.status();
  const std::string ca = folder_.path("ca.pem");
  const std::string broken =
      folder_.Write("broken.pem", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n");
  const struct {
    std::vector<std::string> arguments;
    const char* advice;
  } rows[] = {
      {{"--server", address()}, "say --tls\n"},
      {{"--server", address(), "--tls"}, "with --tls-ca\n"},
      {{"--server", address(), "--tls-ca", ca, "--tls-server-name", "elsewhere"},
       "--tls-server-name\n"},
      {{"--server", address(), "--tls-ca", ca}, "see --tls-cert\n"},
      {{"--server", address(), "--tls-ca", broken}, "whole PEM files"},
      {{"--server", (*plain)->addresses()[0], "--tls"}, "leave out --tls"},
  };
  for (const auto& row : rows) {
    std::vector<std::string> command = {"bench", "--requests", "1"};
    command.insert(command.end(), row.arguments.begin(), row.arguments.end());
    const Outcome outcome = Convctl(command);
    EXPECT_EQ(outcome.exit_code, 4) << outcome;
    EXPECT_THAT(outcome.err, HasSubstr(row.advice));
  }
}

TEST_F(ClientSecurityTest, ConvctlExplainsMistakes) {
  const std::string empty = folder_.Write("empty", "");
  const std::string text = folder_.Write("text", "two words\n");
  const std::string marked = folder_.Write("marked", "\xef\xbb\xbf" + std::string(kToken) + "\n");
  const std::string ca = folder_.path("ca.pem");
  const std::string token = folder_.path("token");
  const struct {
    std::vector<std::string> arguments;
    std::string explanation;
  } rows[] = {
      {{"--tls-ca", "/no/such/file"}, "--tls-ca: /no/such/file: No such file"},
      {{"--tls-ca", "/tmp"}, "--tls-ca: /tmp: Is a directory"},
      {{"--token-file", "/tmp"}, "--token-file: /tmp: Is a directory"},
      {{"--tls-ca", empty}, "is empty"},
      {{"--tls-ca", text}, "expected PEM"},
      {{"--tls-cert", ca}, "go together"},
      {{"--token-file", text}, "expected one token"},
      {{"--token-file", marked}, "--token-file: " + marked + ": expected one token"},
      {{"--token-file", token, "--server", "host:1"}, "--plaintext-token"},
      {{"--token-file", ""}, "--token-file: expected a name, got nothing"},
      {{"--tls-ca", ""}, "--tls-ca: expected a name, got nothing"},
      {{"--tls-server-name", ""}, "--tls-server-name: expected a name, got nothing"},
  };
  for (const auto& row : rows) {
    std::vector<std::string> command = {"health"};
    command.insert(command.end(), row.arguments.begin(), row.arguments.end());
    const Outcome outcome = Convctl(command);
    EXPECT_EQ(outcome.exit_code, 2) << outcome;
    EXPECT_THAT(outcome.err, HasSubstr(row.explanation));
  }
  // An empty variable is one that is not set.
  const Environment no_token("CONVCTL_TOKEN_FILE", "");
  EXPECT_EQ(Convctl({"health", "--server", "unix:/no/such/socket", "--timeout", "100ms"}).exit_code,
            4);
}

}  // namespace
}  // namespace convserve
