// Three convserve processes, with HAProxy and docker/haproxy/haproxy.cfg in front of them.
#ifndef CONVSERVE_TESTS_REPLICAS_PROCESSES_H_
#define CONVSERVE_TESTS_REPLICAS_PROCESSES_H_

#include <memory>
#include <string>
#include <vector>

#include "tests/replicas/balancer.h"
#include "tests/replicas/fleet.h"
#include "tests/server/child.h"

namespace convserve {

class Processes final : public Fleet {
 public:
  // Starts all, and returns when HAProxy finds all of them ready.
  Processes();

  int size() const override { return static_cast<int>(replicas_.size()); }
  std::string replicas() const override;
  std::string proxy() const override { return balancer_->address(); }
  std::string metrics(int replica) const override { return at(replica).metrics; }
  void Kill(int replica) override;
  void Stop(int replica) override;
  void Start(int replica) override { Start(replica, {}); }

  // With further options.
  void Start(int replica, const std::vector<std::string>& options);

  // Starts a replica with options with which it cannot run: the exit code.
  int StartInVain(int replica, const std::vector<std::string>& options);

  const std::string& address(int replica) const { return at(replica).address; }
  const Balancer& balancer() const { return *balancer_; }

  // SIGSTOP and SIGCONT.
  void Hang(int replica);
  void Resume(int replica);

 private:
  struct Replica {
    std::string address;
    std::string metrics;
    std::unique_ptr<Child> process;
  };

  const Replica& at(int replica) const { return replicas_[static_cast<std::size_t>(replica)]; }
  Replica& at(int replica) { return replicas_[static_cast<std::size_t>(replica)]; }

  std::vector<Replica> replicas_;
  std::unique_ptr<Balancer> balancer_;
};

}  // namespace convserve

#endif  // CONVSERVE_TESTS_REPLICAS_PROCESSES_H_
