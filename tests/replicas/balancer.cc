#include "tests/replicas/balancer.h"

#include <signal.h>

#include <cstdlib>
#include <filesystem>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "tests/server/certificates.h"
#include "tests/server/http.h"

namespace convserve {
namespace {

std::string PathOfHaproxy() {
  for (const char* folder : {"/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin"}) {
    std::string path = absl::StrCat(folder, "/haproxy");
    if (std::filesystem::exists(path)) return path;
  }
  ADD_FAILURE() << "no haproxy: see docker/deployment-packages.txt";
  return "/nonexistent";
}

// The configuration that is shipped, but for the line that finds replicas by a name.
std::string ByCall(const std::vector<BalancedReplica>& replicas) {
  std::string config;
  int templates = 0;
  const std::string shipped = FileText(CONVSERVE_SOURCE_DIR "/docker/haproxy/haproxy.cfg");
  for (const absl::string_view line : absl::StrSplit(shipped, '\n')) {
    if (!absl::StrContains(line, "server-template")) {
      absl::StrAppend(&config, line, "\n");
      continue;
    }
    ++templates;
    for (std::size_t i = 0; i < replicas.size(); ++i) {
      const std::string& metrics = replicas[i].metrics;
      absl::StrAppend(&config, "  server replica", i + 1, " ", replicas[i].address, " check port ",
                      metrics.substr(metrics.rfind(':') + 1), "\n");
    }
  }
  EXPECT_EQ(templates, 1);
  return config;
}

std::string ByConnection(const std::vector<BalancedReplica>& replicas) {
  std::string config =
      "defaults\n mode tcp\n timeout connect 1s\n timeout client 1h\n timeout server 1h\n"
      "listen calls\n bind \"${HAPROXY_LISTEN}\"\n balance roundrobin\n";
  for (std::size_t i = 0; i < replicas.size(); ++i) {
    absl::StrAppend(&config, " server replica", i + 1, " ", replicas[i].address, "\n");
  }
  return config +
         "listen operators\n mode http\n bind \"${HAPROXY_OPERATORS}\"\n"
         " http-request use-service prometheus-exporter\n";
}

}  // namespace

Balancer::Balancer(BalancedBy by, const std::vector<BalancedReplica>& replicas)
    : address_(absl::StrCat("127.0.0.1:", FreePort())),
      operators_(absl::StrCat("127.0.0.1:", FreePort())) {
  const std::string config = folder_.Write(
      "haproxy.cfg", by == BalancedBy::kCall ? ByCall(replicas) : ByConnection(replicas));
  process_ = std::make_unique<Child>(
      Program(PathOfHaproxy()), std::vector<std::string>{"-db", "-f", config},
      std::vector<std::string>{"HAPROXY_LISTEN=" + address_, "HAPROXY_OPERATORS=" + operators_});
  while (HttpAsk(operators_, "/metrics").code != 200) std::this_thread::yield();
}

Balancer::~Balancer() { process_->Signal(SIGKILL); }

int Balancer::ReadyReplicas() const {
  int ready = 0;
  for (const absl::string_view line : absl::StrSplit(HttpAsk(operators_, "/metrics").body, '\n')) {
    ready += absl::StartsWith(line, "haproxy_server_status{proxy=\"replicas\"") &&
             absl::StrContains(line, "state=\"UP\"") && absl::EndsWith(line, " 1");
  }
  return ready;
}

void Balancer::WaitForReplicas(int count) const {
  while (ReadyReplicas() != count) std::this_thread::sleep_for(std::chrono::milliseconds(20));
}

}  // namespace convserve
