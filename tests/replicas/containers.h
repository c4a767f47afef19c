// The replicas and the HAProxy of docker/compose.yaml, which somebody has brought up:
// CONVSERVE_CONTAINERS names the containers of the replicas, DOCKER_HOST the engine.
#ifndef CONVSERVE_TESTS_REPLICAS_CONTAINERS_H_
#define CONVSERVE_TESTS_REPLICAS_CONTAINERS_H_

#include <string>
#include <vector>

#include "tests/replicas/fleet.h"

namespace convserve {

class Containers final : public Fleet {
 public:
  Containers();

  int size() const override { return static_cast<int>(replicas_.size()); }
  std::string replicas() const override;
  std::string proxy() const override { return "127.0.0.1:50051"; }
  std::string metrics(int replica) const override { return at(replica).host + ":9464"; }

  // As a crash, after which the engine starts it again.
  void Kill(int replica) override;
  void Stop(int replica) override;
  void Start(int replica) override;

 private:
  struct Replica {
    std::string container;
    std::string host;
  };

  const Replica& at(int replica) const { return replicas_[static_cast<std::size_t>(replica)]; }

  std::vector<Replica> replicas_;
};

}  // namespace convserve

#endif  // CONVSERVE_TESTS_REPLICAS_CONTAINERS_H_
