// The connections of a client.
#ifndef CONVSERVE_CLIENT_CHANNEL_POOL_H_
#define CONVSERVE_CLIENT_CHANNEL_POOL_H_

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "client/convolution_client.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/grpcpp.h"

namespace convserve {

// A channel spreads its calls over all addresses of its target, with one connection to each.
// Several channels, each with connections of its own, move more bytes at a time.
//
// Thread-safe.
class ChannelPool {
 public:
  // `options.connections` channels to `target`. They connect with their first call.
  ChannelPool(const std::string& target, const ClientOptions& options);

  explicit ChannelPool(const std::shared_ptr<grpc::Channel>& channel);

 private:
  struct Member {
    explicit Member(const std::shared_ptr<grpc::Channel>& channel) : stub(channel) {}
    grpc::GenericStub stub;
    std::atomic<int> calls = 0;
  };

 public:
  // A call's hold on the channel that had the fewest calls.
  class Lease {
   public:
    explicit Lease(ChannelPool& pool) : member_(pool.Least()) { ++member_.calls; }
    ~Lease() { --member_.calls; }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;

    grpc::GenericStub& stub() const { return member_.stub; }

   private:
    Member& member_;
  };

  const std::shared_ptr<grpc::Channel>& first() const { return first_; }

  // A channel that reaches a server whatever its health, to ask for it.
  const std::shared_ptr<grpc::Channel>& any_health() const { return any_health_; }

 private:
  Member& Least();

  std::vector<std::unique_ptr<Member>> members_;
  std::atomic<std::size_t> turn_ = 0;
  std::shared_ptr<grpc::Channel> first_;
  std::shared_ptr<grpc::Channel> any_health_;
};

}  // namespace convserve

#endif  // CONVSERVE_CLIENT_CHANNEL_POOL_H_
