// What one connection, and all of them together, may take of the server.
#ifndef CONVSERVE_SERVER_CONNECTION_LIMITS_H_
#define CONVSERVE_SERVER_CONNECTION_LIMITS_H_

#include <chrono>

namespace convserve {

struct ConnectionLimits {
  // Open at a time; further ones are closed at once. 0: 1000, or fewer where the limit on open
  // files (two for each) asks for it.
  int max_connections = 0;

  // Calls in progress on one connection; a caller's further calls wait in the caller.
  int max_streams = 256;

  // Names and values of one call's metadata, and 32 bytes for each pair. A call with more fails
  // with RESOURCE_EXHAUSTED, and gRPC 1.51 ends its connection.
  int max_metadata_bytes = 16 << 10;

  // From the connection to the end of its TLS and HTTP/2 handshakes.
  std::chrono::milliseconds handshake_timeout = std::chrono::seconds(10);

  // Without a call for so long a connection is closed. 0: never.
  std::chrono::milliseconds max_idle = std::chrono::minutes(30);

  // Callers are asked to connect anew after about so long, so that load spreads over new replicas;
  // calls in progress have another 30 seconds then. 0: never.
  std::chrono::milliseconds max_age{0};

  // A silent peer is probed after the first and given up after another of the second: half-open
  // connections and stalled senders end.
  std::chrono::milliseconds keepalive_time = std::chrono::minutes(1);
  std::chrono::milliseconds keepalive_timeout = std::chrono::seconds(20);

  // An answer beyond 64 KiB that its caller has not taken by then, and a second for each 128 KiB of
  // it, is taken back: it holds memory that others wait for.
  std::chrono::milliseconds answer_timeout = std::chrono::seconds(30);

  // Peers that probe the server more often than this, without sending anything, are sent away after
  // the second time.
  std::chrono::milliseconds min_ping_interval{500};
};

}  // namespace convserve

#endif  // CONVSERVE_SERVER_CONNECTION_LIMITS_H_
