// Replicas of the server that a test starts, calls and breaks.
#ifndef CONVSERVE_TESTS_REPLICAS_FLEET_H_
#define CONVSERVE_TESTS_REPLICAS_FLEET_H_

#include <string>

namespace convserve {

class Fleet {
 public:
  virtual ~Fleet() = default;

  virtual int size() const = 0;

  // Names all replicas for a client that balances by itself, and the balancer for one that does
  // not.
  virtual std::string replicas() const = 0;
  virtual std::string proxy() const = 0;

  // "HOST:PORT" of a replica's /metrics.
  virtual std::string metrics(int replica) const = 0;

  // Ends a replica without warning.
  virtual void Kill(int replica) = 0;

  // SIGTERM; returns when the replica has ended, which must be with exit code 0.
  virtual void Stop(int replica) = 0;

  // Starts one that has ended, at the same address; returns when it listens.
  virtual void Start(int replica) = 0;
};

}  // namespace convserve

#endif  // CONVSERVE_TESTS_REPLICAS_FLEET_H_
