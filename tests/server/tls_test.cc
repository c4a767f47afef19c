// Encryption: what is refused at the start, what a connection needs, and rotation.
#include <atomic>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <functional>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/certificates.h"
#include "tests/server/child.h"
#include "tests/server/fixture.h"
#include "tests/server/http.h"
#include "tests/server/scratch.h"

namespace convserve {
namespace {

using ::testing::HasSubstr;

// One authority for all tests: keys take time.
const Authority& Trusted() {
  static const Authority authority;
  return authority;
}

const Authority& Stranger() {
  static const Authority authority;
  return authority;
}

constexpr std::chrono::milliseconds kReloadInterval{20};

class TlsTest : public ::testing::Test {
 protected:
  // Puts both files where the server looks for them at once, as Kubernetes does: in a folder of
  // their own, to which a link then leads.
  void Install(const Pair& pair) {
    const std::string version = std::to_string(++versions_);
    std::filesystem::create_directory(folder_.path(version));
    folder_.Write(version + "/cert.pem", pair.certificate);
    folder_.Write(version + "/key.pem", pair.key);
    std::filesystem::create_directory_symlink(version, folder_.path("next"));
    std::filesystem::rename(folder_.path("next"), folder_.path("current"));
  }

  ServerOptions Options() const {
    return {.listen = {"127.0.0.1:0"},
            .security = {.tls_cert = folder_.path("current/cert.pem"),
                         .tls_key = folder_.path("current/key.pem"),
                         .reload_interval = kReloadInterval},
            .metrics_listen = "0"};
  }

  // Whether one small call over a new connection is answered.
  static absl::Status Ask(const std::shared_ptr<grpc::Channel>& channel,
                          std::string* certificate = nullptr) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    absl::Status status = Caller(channel).Conv(context, SmallConv());
    if (certificate != nullptr && status.ok()) {
      const auto found = context.auth_context()->FindPropertyValues("x509_pem_cert");
      if (!found.empty()) *certificate = {found[0].data(), found[0].size()};
    }
    return status;
  }

  // Waits for this line among the metrics.
  void AwaitMetric(const std::string& line) const {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (HttpAsk(server_->metrics_address(), "/metrics").body.find(line + "\n") ==
           std::string::npos) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << line;
    }
  }

  const ScratchFolder folder_;
  int versions_ = 0;  // that were installed
  std::unique_ptr<Server> server_;
};

TEST_F(TlsTest, CallsAreAnsweredOverTlsAndNotInTheClear) {
  Install(Trusted().Issue());
  server_ = StartServer(Options());
  const std::string& address = server_->addresses()[0];
  EXPECT_TRUE(Ask(TlsChannelTo(address, Trusted())).ok());
  EXPECT_EQ(Ask(ChannelTo(address)).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Ask(TlsChannelTo(address, Stranger())).code(), absl::StatusCode::kUnavailable);
}

TEST_F(TlsTest, WithAnAuthorityCallersNeedACertificateOfIt) {
  Install(Trusted().Issue());
  ServerOptions options = Options();
  options.security.tls_client_ca = folder_.Write("ca.pem", Trusted().certificate());
  server_ = StartServer(options);
  const std::string& address = server_->addresses()[0];
  EXPECT_TRUE(Ask(TlsChannelTo(address, Trusted(), Trusted().Issue())).ok());
  EXPECT_EQ(Ask(TlsChannelTo(address, Trusted())).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Ask(TlsChannelTo(address, Trusted(), Stranger().Issue())).code(),
            absl::StatusCode::kUnavailable);
}

TEST_F(TlsTest, RotationUnderLoadFailsNoCall) {
  const Pair pairs[] = {Trusted().Issue(30), Trusted().Issue(60)};
  Install(pairs[0]);
  server_ = StartServer(Options());
  const std::string address = server_->addresses()[0];
  std::atomic<bool> stop = false;
  std::atomic<int> calls = 0;
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&, fresh = i % 2 == 0] {
      auto channel = TlsChannelTo(address, Trusted());
      while (!stop) {
        if (fresh) channel = TlsChannelTo(address, Trusted());
        const absl::Status status = Ask(channel);
        EXPECT_TRUE(status.ok()) << status;
        ++calls;
      }
    });
  }
  for (int rotation = 1; rotation <= 6; ++rotation) {
    Install(pairs[rotation % 2]);
    AwaitMetric("convserve_reloads_total{file=\"tls\",result=\"ok\"} " + std::to_string(rotation));
    std::string presented;
    EXPECT_TRUE(Ask(TlsChannelTo(address, Trusted()), &presented).ok());
    EXPECT_EQ(presented, pairs[rotation % 2].certificate);
  }
  stop = true;
  for (std::thread& caller : callers) caller.join();
  EXPECT_GT(calls, 6);
  AwaitMetric("convserve_reloads_total{file=\"tls\",result=\"failed\"} 0");
}

TEST_F(TlsTest, BrokenFilesAreReportedAndTheLastGoodOnesStay) {
  const Pair good = Trusted().Issue();
  Install(good);
  server_ = StartServer(Options());
  const std::string address = server_->addresses()[0];
  int failures = 0;
  const auto break_it = [&](const std::function<void()>& change) {
    const auto begin = std::chrono::steady_clock::now();
    change();
    AwaitMetric("convserve_reloads_total{file=\"tls\",result=\"failed\"} " +
                std::to_string(++failures));
    AwaitMetric("convserve_files_broken{file=\"tls\"} 1");
    // Two looks: the first may fall between the files of a rotation.
    EXPECT_GE(std::chrono::steady_clock::now() - begin, kReloadInterval);
    std::string presented;
    EXPECT_TRUE(Ask(TlsChannelTo(address, Trusted()), &presented).ok());
    EXPECT_EQ(presented, good.certificate);
  };
  break_it([&] { folder_.Write("current/cert.pem", "not a certificate"); });
  break_it(
      [&] { folder_.Write("current/cert.pem", Trusted().Issue().certificate); });  // another key's
  break_it([&] { std::filesystem::remove(folder_.path("current/cert.pem")); });
  Install(Trusted().Issue());
  AwaitMetric("convserve_reloads_total{file=\"tls\",result=\"ok\"} 1");
  AwaitMetric("convserve_files_broken{file=\"tls\"} 0");
}

TEST_F(TlsTest, MetricsSayWhenTheCertificateEnds) {
  Install(Trusted().Issue(10));
  server_ = StartServer(Options());
  const std::string text = HttpAsk(server_->metrics_address(), "/metrics").body;
  constexpr std::string_view kName = "\nconvserve_certificate_expiry_timestamp_seconds ";
  const std::size_t at = text.find(kName);
  ASSERT_NE(at, std::string::npos);
  EXPECT_NEAR(std::stod(text.substr(at + kName.size())),
              static_cast<double>(std::time(nullptr)) + 10 * 86400, 3600);
}

TEST_F(TlsTest, OptionsThatContradictEachOtherAreRefused) {
  const auto message = [](const SecurityOptions& security) {
    const absl::Status status = Server::Start({.security = security}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  EXPECT_THAT(message({.tls_cert = "c"}), HasSubstr("--tls-key is missing"));
  EXPECT_THAT(message({.tls_key = "k"}), HasSubstr("--tls-cert is missing"));
  EXPECT_THAT(message({.tls_client_ca = "a"}), HasSubstr("--tls-client-ca"));
}

class Hazard07 : public TlsTest {};

TEST_F(Hazard07, MissingTlsFilesStopTheServerBeforeItListens) {
  const Pair good = Trusted().Issue();
  const std::string locked =
      Output("echo '" + good.key + "' | openssl ec -aes128 -passout pass:x 2>/dev/null");
  struct Row {
    const char* name;
    Pair pair;
    std::string client_ca;
    std::vector<std::string> explanation;
  };
  const std::string ca = Trusted().certificate();
  const Row rows[] = {
      {"no certificate", {"", good.key}, ca, {"--tls-cert", "cert.pem", "No such file"}},
      {"no key", {good.certificate, ""}, ca, {"--tls-key", "key.pem", "No such file"}},
      {"no authority", good, "", {"--tls-client-ca", "ca.pem", "No such file"}},
      {"text for a certificate", {"text", good.key}, ca, {"--tls-cert", "no certificate"}},
      {"text for a key", {good.certificate, "text"}, ca, {"--tls-key", "no private key"}},
      {"text for an authority", good, "text", {"--tls-client-ca", "no certificate"}},
      {"a key for a certificate", {good.key, good.key}, ca, {"--tls-cert", "no certificate"}},
      {"half a certificate",
       {good.certificate.substr(0, good.certificate.size() / 2), good.key},
       ca,
       {"--tls-cert"}},
      {"another certificate's key",
       {good.certificate, Trusted().Issue().key},
       ca,
       {"--tls-key", "does not belong", "cert.pem"}},
      {"a key with a passphrase", {good.certificate, locked}, ca, {"--tls-key", "passphrase"}},
      {"an expired certificate", Trusted().Issue(-1), ca, {"--tls-cert", "expired"}},
  };
  for (const Row& row : rows) {
    const ScratchFolder folder;
    const auto put = [&](const char* name, const std::string& text) {
      return text.empty() ? folder.path(name) : folder.Write(name, text);
    };
    const std::string cert = put("cert.pem", row.pair.certificate);
    const std::string key = put("key.pem", row.pair.key);
    Child server({"--listen", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key,
                  "--tls-client-ca", put("ca.pem", row.client_ca)});
    EXPECT_EQ(server.ReadLine(), "") << row.name << ": listens";
    EXPECT_EQ(server.Wait(), 1) << row.name;
    const std::string errors = server.ReadErrors();
    for (const std::string& part : row.explanation) {
      EXPECT_THAT(errors, HasSubstr(part)) << row.name;
    }
    EXPECT_THAT(errors, testing::Not(HasSubstr("PRIVATE"))) << row.name;
  }
}

}  // namespace
}  // namespace convserve
