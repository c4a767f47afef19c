#include "server/grpc_settings.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <mutex>

#include "grpc/grpc.h"
#include "grpc/health/v1/health.pb.h"
#include "grpcpp/ext/channelz_service_plugin.h"
#include "grpcpp/grpcpp.h"
#include "grpcpp/health_check_service_interface.h"
#include "proto/callback_threads.h"
#include "server/machine.h"
#include "server/server.h"

namespace convserve {
namespace {

// Channelz, and it alone, holds a thread for each of its calls.
constexpr int kMaxCallThreads = 16;

constexpr int kGraceMilliseconds = 30'000;

int Milliseconds(std::chrono::milliseconds time) {
  return static_cast<int>(std::min<std::int64_t>(time.count(), std::numeric_limits<int>::max()));
}

int OrNever(std::chrono::milliseconds time) {
  return time.count() == 0 ? std::numeric_limits<int>::max() : Milliseconds(time);
}

}  // namespace

std::int64_t DefaultMessageBytes(std::int64_t memory_bytes) {
  constexpr std::int64_t kPlenty = std::int64_t{256} << 20;
  return std::clamp(memory_bytes / 10, kMinMessageBytes, kPlenty);
}

// gRPC reads messages before the service can refuse them. This bounds what it may hold of them:
// enough for the largest that may come together, no more than the service itself may hold, nor than
// that leaves, and always room for a few of the largest, since a quota that is too small breaks
// good traffic.
std::int64_t ReceiveQuota(const ServerOptions& options, std::int64_t memory_bytes) {
  const std::int64_t together = options.max_requests * options.max_message_bytes;
  const std::int64_t left = memory_bytes / 10 * 9 - options.memory_limit;
  return std::max(std::min({together, options.memory_limit, left}), 4 * options.max_message_bytes);
}

void SetUpGrpc(const ServerOptions& options) {
  static std::once_flag basics;
  static std::once_flag channelz;
  std::call_once(basics, [] {
    // Held to the end of the process: when the last user leaves, gRPC 1.51 at times waits ten
    // seconds for a thread of its own that nothing wakes.
    grpc_init();
    KeepCallbackThreads();
    grpc::EnableDefaultHealthCheckService(true);
    // Known to this process, the health protocol is described by reflection.
    grpc::health::v1::HealthCheckRequest::descriptor();
  });
  if (options.channelz) std::call_once(channelz, grpc::channelz::experimental::InitChannelzService);
}

void Configure(grpc::ServerBuilder& builder, const ServerOptions& options) {
  builder.SetMaxReceiveMessageSize(static_cast<int>(options.max_message_bytes));
  builder.SetMaxSendMessageSize(static_cast<int>(options.max_message_bytes));
  // gRPC expands a compressed message before it looks at any limit.
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);

  // A call that is not read gets 64 KiB through; one that is, a MiB more each round trip. The probe
  // would let both have what the connection can carry, and most of a refused message with it.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);

  // It corrupts data in versions of gRPC that this may run with.
  builder.AddChannelArgument(GRPC_ARG_TCP_TX_ZEROCOPY_ENABLED, 0);
  // Where nobody else is served it, it is asked for floods (server/reset_floods.h).
  builder.AddChannelArgument(GRPC_ARG_ENABLE_CHANNELZ, 1);

  const ConnectionLimits& limits = options.connections;
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, limits.max_streams);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, limits.max_metadata_bytes);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS,
                             Milliseconds(limits.handshake_timeout));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, OrNever(limits.max_idle));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS, OrNever(limits.max_age));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, kGraceMilliseconds);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(limits.keepalive_time));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Milliseconds(limits.keepalive_timeout));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             Milliseconds(limits.min_ping_interval));
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 2);

  grpc::ResourceQuota quota("convserve");
  quota.Resize(static_cast<std::size_t>(ReceiveQuota(options, MemoryBytes())));
  quota.SetMaxThreads(kMaxCallThreads);
  builder.SetResourceQuota(quota);
}

}  // namespace convserve
