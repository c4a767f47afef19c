#include "tests/replicas/processes.h"

#include <signal.h>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/server/http.h"

namespace convserve {
namespace {

constexpr int kReplicas = 3;

std::unique_ptr<Child> Serve(const std::string& address, const std::string& metrics,
                             const std::vector<std::string>& options) {
  std::vector<std::string> arguments = {"--listen", address, "--metrics-listen", metrics};
  // The drain is what rolling restarts are about.
  arguments.insert(arguments.end(), {"--drain-wait", "2s", "--log-level", "warning"});
  arguments.insert(arguments.end(), options.begin(), options.end());
  return std::make_unique<Child>(arguments);
}

}  // namespace

Processes::Processes() {
  std::vector<BalancedReplica> balanced;
  for (int i = 0; i < kReplicas; ++i) {
    Replica& replica = replicas_.emplace_back();
    replica.process = Serve("127.0.0.1:0", "127.0.0.1:0", {});
    const std::string listening = replica.process->ReadLine();
    replica.address = listening.substr(listening.rfind(' ') + 1);
    const std::string pages = replica.process->ReadLine();
    const std::size_t host = pages.find("127.0.0.1:");
    if (host == std::string::npos) {
      ADD_FAILURE() << "replica " << i << " said: " << listening << " and " << pages;
      continue;
    }
    replica.metrics = pages.substr(host, pages.rfind('/') - host);
    balanced.push_back({replica.address, replica.metrics});
  }
  balancer_ = std::make_unique<Balancer>(BalancedBy::kCall, balanced);
  balancer_->WaitForReplicas(kReplicas);
}

std::string Processes::replicas() const {
  std::string target;
  for (const Replica& replica : replicas_) {
    absl::StrAppend(&target, target.empty() ? "ipv4:" : ",", replica.address);
  }
  return target;
}

void Processes::Kill(int replica) {
  at(replica).process->Signal(SIGKILL);
  EXPECT_EQ(at(replica).process->Wait(), -SIGKILL);
}

void Processes::Stop(int replica) {
  at(replica).process->Signal(SIGTERM);
  EXPECT_EQ(at(replica).process->Wait(), 0);
}

void Processes::Start(int replica, const std::vector<std::string>& options) {
  at(replica).process = Serve(at(replica).address, at(replica).metrics, options);
  EXPECT_NE(at(replica).process->ReadLine(), "");
}

int Processes::StartInVain(int replica, const std::vector<std::string>& options) {
  at(replica).process = Serve(at(replica).address, at(replica).metrics, options);
  EXPECT_EQ(at(replica).process->ReadLine(), "");
  return at(replica).process->Wait();
}

void Processes::Hang(int replica) { at(replica).process->Signal(SIGSTOP); }
void Processes::Resume(int replica) { at(replica).process->Signal(SIGCONT); }

}  // namespace convserve
