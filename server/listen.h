// Addresses to listen on, checked before gRPC sees them: gRPC alone would share a busy port on some
// of a name's addresses, take the socket file of a living server away, and give no reason when it
// fails.
#ifndef CONVSERVE_SERVER_LISTEN_H_
#define CONVSERVE_SERVER_LISTEN_H_

#include <string>

#include "absl/status/status.h"

namespace convserve {

// "HOST:PORT", "[IPV6]:PORT" or "unix:PATH". INVALID_ARGUMENT for any other text;
// FAILED_PRECONDITION, with the system's reason, for an address that cannot be had. Removes the
// socket file that a dead server left behind.
absl::Status CheckAddress(const std::string& address);

// `address` with `port` for its last part; a unix address stays as it is.
std::string WithPort(const std::string& address, int port);

}  // namespace convserve

#endif  // CONVSERVE_SERVER_LISTEN_H_
