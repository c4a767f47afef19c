#include "tests/replicas/containers.h"

#include <signal.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "tests/server/certificates.h"
#include "tests/server/http.h"

namespace convserve {
namespace {

std::string Inspect(const std::string& container, const std::string& what) {
  std::string text = Output(absl::StrCat("docker inspect --format '{{", what, "}}' ", container));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

std::string Host(const std::string& container) {
  return Inspect(container, "range .NetworkSettings.Networks}}{{.IPAddress}}{{end");
}

}  // namespace

Containers::Containers() {
  const char* names = std::getenv("CONVSERVE_CONTAINERS");
  if (names == nullptr) {
    ADD_FAILURE() << "no CONVSERVE_CONTAINERS in the environment";
    return;
  }
  for (const absl::string_view name : absl::StrSplit(names, ' ', absl::SkipEmpty())) {
    replicas_.push_back({std::string(name), Host(std::string(name))});
  }
  EXPECT_EQ(replicas_.size(), 3U);
}

std::string Containers::replicas() const {
  std::string target;
  for (const Replica& replica : replicas_) {
    absl::StrAppend(&target, target.empty() ? "ipv4:" : ",", replica.host, ":50051");
  }
  return target;
}

void Containers::Kill(int replica) {
  const int pid = std::atoi(Inspect(at(replica).container, ".State.Pid").c_str());
  ASSERT_GT(pid, 1);
  EXPECT_EQ(kill(pid, SIGKILL), 0);
}

void Containers::Stop(int replica) {
  Output(absl::StrCat("docker stop --time 40 ", at(replica).container));
  EXPECT_EQ(Inspect(at(replica).container, ".State.ExitCode"), "0");
}

void Containers::Start(int replica) {
  // Nothing happens to one that the engine has started again.
  Output(absl::StrCat("docker start ", at(replica).container));
  while (HttpAsk(metrics(replica), "/readyz").code != 200) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_EQ(Host(at(replica).container), at(replica).host);
}

}  // namespace convserve
