#include "client/channel_pool.h"

#include <algorithm>
#include <cstdint>
#include <limits>

namespace convserve {
namespace {

int AsInt(std::int64_t value) {
  return static_cast<int>(std::clamp<std::int64_t>(value, 0, std::numeric_limits<int>::max()));
}

// https://github.com/grpc/grpc/blob/master/doc/service_config.md
//
// Without a retry policy: attempts are counted in one place (client/attempts.h).
std::string ServiceConfig(const ClientOptions& options) {
  std::string config = R"("loadBalancingConfig": [{"round_robin": {}}])";
  if (options.watch_health) {
    config += R"(, "healthCheckConfig": {"serviceName": "convserve.v1.ConvolutionService"})";
  }
  return "{" + config + "}";
}

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& target,
                                           const ClientOptions& options) {
  grpc::ChannelArguments arguments;
  const int message_bytes = AsInt(options.max_message_bytes);
  arguments.SetMaxReceiveMessageSize(message_bytes);
  arguments.SetMaxSendMessageSize(message_bytes);
  // gRPC repeats by itself what no server has seen, of calls up to this size; the default is 256
  // KiB.
  arguments.SetInt(GRPC_ARG_PER_RPC_RETRY_BUFFER_SIZE, std::numeric_limits<int>::max());
  arguments.SetServiceConfigJSON(ServiceConfig(options));
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  // Equal channels would otherwise share their connections.
  if (options.connections > 1) arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, AsInt(options.keepalive_time.count()));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, AsInt(options.keepalive_timeout.count()));
  // While a long request is computed nothing else moves.
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  // What an attempt to connect may take, in spite of its name.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 2000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  // A proxy is elsewhere: it would ask its own machine, and see a token that may not leave this
  // one.
  if (IsLocal(target)) arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  if (!options.security.server_name.empty()) {
    arguments.SetSslTargetNameOverride(options.security.server_name);
  }
  return grpc::CreateCustomChannel(target, MakeChannelCredentials(options.security), arguments);
}

}  // namespace

ChannelPool::ChannelPool(const std::string& target, const ClientOptions& options) {
  const int count = std::clamp(options.connections, 1, kMaxConnections);
  for (int i = 0; i < count; ++i) {
    const auto channel = MakeChannel(target, options);
    if (i == 0) first_ = channel;
    members_.push_back(std::make_unique<Member>(channel));
  }
  ClientOptions any_health = options;
  any_health.connections = 1;
  any_health.watch_health = false;
  any_health_ = options.watch_health ? MakeChannel(target, any_health) : first_;
}

ChannelPool::ChannelPool(const std::shared_ptr<grpc::Channel>& channel)
    : first_(channel), any_health_(channel) {
  members_.push_back(std::make_unique<Member>(channel));
}

ChannelPool::Member& ChannelPool::Least() {
  if (members_.size() == 1) return *members_.front();
  // Equals take turns.
  const std::size_t turn = turn_++;
  Member* least = members_[turn % members_.size()].get();
  for (std::size_t i = 1; i < members_.size(); ++i) {
    Member& member = *members_[(turn + i) % members_.size()];
    if (member.calls < least->calls) least = &member;
  }
  return *least;
}

}  // namespace convserve
