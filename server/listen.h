// Sockets to listen on, made here rather than by gRPC: gRPC would share a busy port on some of a
// name's addresses, take the socket file of a living server away, and give no reason when it fails.
#ifndef CONVSERVE_SERVER_LISTEN_H_
#define CONVSERVE_SERVER_LISTEN_H_

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/descriptor.h"

namespace convserve {

// Where connections arrive. Closing it removes the file of a unix socket.
class Listening {
 public:
  Listening(Listening&&) = default;
  Listening& operator=(Listening&&) = delete;
  ~Listening();

  // Non-blocking, one for each address that a name has.
  const std::vector<Descriptor>& sockets() const { return sockets_; }

  // As it was given, with the port that was chosen.
  const std::string& address() const { return address_; }

 private:
  friend absl::StatusOr<Listening> Listen(const std::string& address, std::string_view option);
  Listening() = default;

  std::vector<Descriptor> sockets_;
  std::string address_;
  std::string file_;
  dev_t device_ = 0;  // where the file is while it is ours
  ino_t inode_ = 0;
};

// Listens on "HOST:PORT" (port 0: the system chooses), "[IPV6]:PORT" or "unix:PATH".
// INVALID_ARGUMENT, naming the `option`, for any other text; FAILED_PRECONDITION, with the system's
// reason, for an address that cannot be had. Removes the socket file that a dead server left
// behind.
absl::StatusOr<Listening> Listen(const std::string& address, std::string_view option);

// Whether `address` reaches this machine alone: a unix socket, or only addresses of loopback.
bool IsLocal(const std::string& address);

}  // namespace convserve

#endif  // CONVSERVE_SERVER_LISTEN_H_
