// How gRPC is set up for this server: every limit stated, nothing left to its defaults.
#ifndef CONVSERVE_SERVER_GRPC_SETTINGS_H_
#define CONVSERVE_SERVER_GRPC_SETTINGS_H_

namespace grpc {
class ServerBuilder;
}

namespace convserve {

struct ServerOptions;

// What is set for the process as a whole, before a server is built: health checking, reflection,
// and channelz where it is asked for.
void SetUpGrpc(const ServerOptions& options);

void Configure(grpc::ServerBuilder& builder, const ServerOptions& options);

}  // namespace convserve

#endif  // CONVSERVE_SERVER_GRPC_SETTINGS_H_
