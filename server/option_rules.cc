#include "server/option_rules.h"

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "core/limits.h"
#include "fmt/format.h"
#include "server/front_door.h"
#include "server/grpc_settings.h"
#include "server/machine.h"

namespace convserve {
namespace {

constexpr int kMaxThreads = 1024;
constexpr int kMinMetadataBytes = 1 << 10;
constexpr int kMaxMetadataBytes = 1 << 20;

constexpr int kDefaultConnections = 1000;

absl::Status Out(std::string_view option, std::string_view expected, std::int64_t got) {
  return absl::InvalidArgumentError(fmt::format("{}: expected {}, got {}", option, expected, got));
}

}  // namespace

absl::Status CheckRanges(const ServerOptions& options) {
  if (options.threads < 0 || options.threads > kMaxThreads) {
    return Out("--threads", fmt::format("0 to {}", kMaxThreads), options.threads);
  }
  if (options.max_message_bytes != 0 && (options.max_message_bytes < kMinMessageBytes ||
                                         options.max_message_bytes > kMaxMessageBytes)) {
    return Out("--max-message-bytes", fmt::format("{} to {}", kMinMessageBytes, kMaxMessageBytes),
               options.max_message_bytes);
  }
  if (options.max_multiply_adds < 1) {
    return Out("--max-multiply-adds", "at least 1", options.max_multiply_adds);
  }
  // With less the smallest messages would be refused.
  if (options.memory_limit != 0 && options.memory_limit < kMinMessageBytes) {
    return Out("--memory-limit", fmt::format("0 or at least {}", kMinMessageBytes),
               options.memory_limit);
  }
  if (options.max_requests < 1) return Out("--max-requests", "at least 1", options.max_requests);
  const ConnectionLimits& limits = options.connections;
  if (limits.max_connections < 0) {
    return Out("--max-connections", "at least 0", limits.max_connections);
  }
  if (limits.max_streams < 1) return Out("--max-streams", "at least 1", limits.max_streams);
  if (limits.max_metadata_bytes < kMinMetadataBytes ||
      limits.max_metadata_bytes > kMaxMetadataBytes) {
    return Out("--max-metadata-bytes",
               fmt::format("{} to {}", kMinMetadataBytes, kMaxMetadataBytes),
               limits.max_metadata_bytes);
  }
  if (!(options.log_sample >= 0 && options.log_sample <= 1)) {
    return absl::InvalidArgumentError(
        fmt::format("--log-sample: expected 0 to 1, got {}", options.log_sample));
  }
  return absl::OkStatus();
}

ServerOptions Resolve(ServerOptions options) {
  if (options.threads == 0) options.threads = Processors();
  if (options.max_message_bytes == 0) {
    options.max_message_bytes = DefaultMessageBytes(MemoryBytes());
  }
  if (options.memory_limit == 0) options.memory_limit = MemoryBytes() / 2;
  if (int& connections = options.connections.max_connections; connections == 0) {
    connections =
        static_cast<int>(std::min<std::int64_t>(kDefaultConnections, ConnectionsThatFit()));
  }
  return options;
}

absl::Status CheckConnections(const ServerOptions& options) {
  const std::int64_t room = ConnectionsThatFit();
  if (room == 0 && !options.listen.empty()) {
    return absl::FailedPreconditionError(
        "the limit on open files (ulimit -n) leaves no room for a connection");
  }
  if (options.connections.max_connections <= room) return absl::OkStatus();
  return absl::FailedPreconditionError(
      fmt::format("--max-connections: {} do not fit, the limit on open files (ulimit -n) leaves "
                  "room for {}",
                  options.connections.max_connections, room));
}

}  // namespace convserve
