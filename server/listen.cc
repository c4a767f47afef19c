#include "server/listen.h"

#include <netdb.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <string_view>

#include "fmt/format.h"

namespace convserve {
namespace {

constexpr std::string_view kUnix = "unix:";

class Socket {
 public:
  Socket(int family, int type) : fd_(socket(family, type | SOCK_CLOEXEC, 0)) {}
  ~Socket() {
    if (fd_ >= 0) close(fd_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

absl::Status Malformed(const std::string& address) {
  return absl::InvalidArgumentError(
      fmt::format("--listen: expected HOST:PORT, [IPV6]:PORT or unix:PATH, got {}", address));
}

absl::Status Unavailable(const std::string& address, std::string_view reason) {
  return absl::FailedPreconditionError(fmt::format("cannot listen on {}: {}", address, reason));
}

absl::Status CheckUnix(const std::string& address) {
  std::string path = address.substr(kUnix.size());
  if (path.starts_with("//")) path.erase(0, 2);
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  if (path.empty()) return Malformed(address);
  if (path.size() >= sizeof(name.sun_path)) {
    return absl::InvalidArgumentError(
        fmt::format("--listen: expected a socket path of at most {} bytes, got {}: {}",
                    sizeof(name.sun_path) - 1, path.size(), path));
  }
  path.copy(name.sun_path, path.size());

  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return absl::OkStatus();
  if (!S_ISSOCK(status.st_mode)) return Unavailable(address, "a file is in the way");
  const Socket probe(AF_UNIX, SOCK_STREAM);
  if (connect(probe.fd(), reinterpret_cast<const sockaddr*>(&name), sizeof(name)) == 0) {
    return Unavailable(address, std::strerror(EADDRINUSE));
  }
  if (errno != ECONNREFUSED) return Unavailable(address, std::strerror(errno));
  if (unlink(path.c_str()) != 0) return Unavailable(address, std::strerror(errno));
  return absl::OkStatus();
}

// 0 or an errno.
int TryToBind(const addrinfo& info) {
  const Socket socket(info.ai_family, SOCK_STREAM);
  const int on = 1;
  if (socket.fd() < 0) return errno;
  setsockopt(socket.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  return bind(socket.fd(), info.ai_addr, info.ai_addrlen) == 0 ? 0 : errno;
}

absl::Status CheckTcp(const std::string& address, const std::string& host,
                      const std::string& port) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* list = nullptr;
  const int error = getaddrinfo(host.c_str(), port.c_str(), &hints, &list);
  if (error != 0) return Unavailable(address, gai_strerror(error));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(list, freeaddrinfo);

  // A machine without IPv6 still serves "localhost"; an address that somebody else holds is
  // refused.
  int absent = 0;
  bool bound = false;
  for (const addrinfo* info = list; info != nullptr; info = info->ai_next) {
    const int refused = TryToBind(*info);
    if (refused == 0) {
      bound = true;
    } else if (refused == EADDRNOTAVAIL || refused == EAFNOSUPPORT) {
      absent = refused;
    } else {
      return Unavailable(address, std::strerror(refused));
    }
  }
  return bound ? absl::OkStatus() : Unavailable(address, std::strerror(absent));
}

}  // namespace

absl::Status CheckAddress(const std::string& address) {
  if (address.starts_with(kUnix)) return CheckUnix(address);
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0) return Malformed(address);
  std::string host = address.substr(0, colon);
  const std::string port = address.substr(colon + 1);
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (host.empty() || (!bracketed && host.find(':') != std::string::npos))
    return Malformed(address);

  unsigned number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (error != std::errc() || end != port.data() + port.size() || number > 65535) {
    return Malformed(address);
  }
  return CheckTcp(address, host, port);
}

std::string WithPort(const std::string& address, int port) {
  if (address.starts_with(kUnix)) return address;
  return fmt::format("{}:{}", address.substr(0, address.rfind(':')), port);
}

}  // namespace convserve
