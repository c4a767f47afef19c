// HAProxy as a child of the test.
#ifndef CONVSERVE_TESTS_REPLICAS_BALANCER_H_
#define CONVSERVE_TESTS_REPLICAS_BALANCER_H_

#include <memory>
#include <string>
#include <vector>

#include "tests/server/child.h"
#include "tests/server/scratch.h"

namespace convserve {

struct BalancedReplica {
  std::string address;
  std::string metrics;
};

enum class BalancedBy {
  kCall,        // docker/haproxy/haproxy.cfg, with these replicas in place of a name for all
  kConnection,  // what a layer-4 balancer does
};

class Balancer {
 public:
  Balancer(BalancedBy by, const std::vector<BalancedReplica>& replicas);
  ~Balancer();

  const std::string& address() const { return address_; }

  // Those that HAProxy finds ready.
  int ReadyReplicas() const;
  void WaitForReplicas(int count) const;

 private:
  ScratchFolder folder_;
  std::string address_;
  std::string operators_;
  std::unique_ptr<Child> process_;
};

}  // namespace convserve

#endif  // CONVSERVE_TESTS_REPLICAS_BALANCER_H_
