// How gRPC is set up for this server: every limit stated, nothing left to its defaults.
#ifndef CONVSERVE_SERVER_GRPC_SETTINGS_H_
#define CONVSERVE_SERVER_GRPC_SETTINGS_H_

#include <cstdint>

namespace grpc {
class ServerBuilder;
}

namespace convserve {

struct ServerOptions;

inline constexpr std::int64_t kMinMessageBytes = std::int64_t{64} << 10;

// Requests get half of the memory by default; with the two below gRPC and they together then stay
// within nine tenths of it.

// The longest message, where nothing is said of it.
std::int64_t DefaultMessageBytes(std::int64_t memory_bytes);

// What gRPC may hold of messages that are on their way.
std::int64_t ReceiveQuota(const ServerOptions& options, std::int64_t memory_bytes);

// What is set for the process as a whole, before a server is built: health checking, and
// channelz where it is asked for.
void SetUpGrpc(const ServerOptions& options);

void Configure(grpc::ServerBuilder& builder, const ServerOptions& options);

}  // namespace convserve

#endif  // CONVSERVE_SERVER_GRPC_SETTINGS_H_
