#include "server/listen.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "fmt/format.h"

namespace convserve {
namespace {

constexpr std::string_view kUnix = "unix:";

using Addresses = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

absl::Status Malformed(const std::string& address, std::string_view option) {
  return absl::InvalidArgumentError(
      fmt::format("{}: expected HOST:PORT, [IPV6]:PORT or unix:PATH, got {}", option, address));
}

absl::Status Unavailable(const std::string& address, std::string_view reason) {
  return absl::FailedPreconditionError(fmt::format("cannot listen on {}: {}", address, reason));
}

struct HostPort {
  std::string host;
  std::string port;
};

std::optional<HostPort> Split(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0) return std::nullopt;
  std::string host = address.substr(0, colon);
  std::string port = address.substr(colon + 1);
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (host.empty() || (!bracketed && host.find(':') != std::string::npos)) return std::nullopt;
  unsigned number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (error != std::errc() || end != port.data() + port.size() || number > 65535) {
    return std::nullopt;
  }
  return HostPort{std::move(host), std::move(port)};
}

// 0 or an error of getaddrinfo.
int Resolve(const HostPort& at, Addresses& addresses) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* list = nullptr;
  const int error = getaddrinfo(at.host.c_str(), at.port.c_str(), &hints, &list);
  if (error == 0) addresses.reset(list);
  return error;
}

// One address of a name, with its port in the place that its family has for it.
class Name {
 public:
  explicit Name(const addrinfo& info) : size_(info.ai_addrlen) {
    std::memcpy(&storage_, info.ai_addr, size_);
  }

  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage_); }
  socklen_t size() const { return size_; }

  in_port_t& port() {
    return storage_.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&storage_)->sin6_port
                                          : reinterpret_cast<sockaddr_in*>(&storage_)->sin_port;
  }

 private:
  sockaddr_storage storage_{};
  socklen_t size_;
};

// Binds and listens; the error is an errno.
int Open(Name& name, Descriptor& socket) {
  socket.Reset(::socket(name.get()->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (socket.get() < 0) return errno;
  const int on = 1;
  setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  // [::] and 0.0.0.0 are two addresses.
  if (name.get()->sa_family == AF_INET6) {
    setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
  }
  if (bind(socket.get(), name.get(), name.size()) != 0) return errno;
  if (listen(socket.get(), SOMAXCONN) != 0) return errno;
  socklen_t size = name.size();
  getsockname(socket.get(), name.get(), &size);
  return 0;
}

absl::StatusOr<std::vector<Descriptor>> ListenTcp(const std::string& address, const HostPort& at,
                                                  int& port) {
  Addresses addresses(nullptr, freeaddrinfo);
  if (const int error = Resolve(at, addresses); error != 0) {
    return Unavailable(address, gai_strerror(error));
  }
  // A machine without IPv6 still serves "localhost"; an address that somebody else holds is
  // refused.
  std::vector<Descriptor> sockets;
  int absent = 0;
  for (const addrinfo* info = addresses.get(); info != nullptr; info = info->ai_next) {
    Name name(*info);
    // A chosen port holds for all addresses of the name.
    if (!sockets.empty()) name.port() = htons(static_cast<in_port_t>(port));
    Descriptor socket;
    const int error = Open(name, socket);
    if (error == 0) {
      port = ntohs(name.port());
      sockets.push_back(std::move(socket));
    } else if (error == EADDRNOTAVAIL || error == EAFNOSUPPORT) {
      absent = error;
    } else {
      return Unavailable(address, std::strerror(error));
    }
  }
  if (sockets.empty()) return Unavailable(address, std::strerror(absent));
  return sockets;
}

std::string PathOf(const std::string& address) {
  std::string path = address.substr(kUnix.size());
  if (path.starts_with("//")) path.erase(0, 2);
  return path;
}

// Removes a socket file on which nobody listens.
absl::Status ClearAway(const std::string& address, const sockaddr_un& name) {
  struct stat status {};
  if (stat(name.sun_path, &status) != 0) return absl::OkStatus();
  if (!S_ISSOCK(status.st_mode)) return Unavailable(address, "a file is in the way");
  const Descriptor probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  // EAGAIN: somebody listens, and has more connections waiting than they may.
  if (connect(probe.get(), reinterpret_cast<const sockaddr*>(&name), sizeof(name)) == 0 ||
      errno == EAGAIN) {
    return Unavailable(address, std::strerror(EADDRINUSE));
  }
  if (errno != ECONNREFUSED) return Unavailable(address, std::strerror(errno));
  if (unlink(name.sun_path) != 0) return Unavailable(address, std::strerror(errno));
  return absl::OkStatus();
}

absl::StatusOr<Descriptor> ListenUnix(const std::string& address, const std::string& path,
                                      std::string_view option) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  if (path.empty()) return Malformed(address, option);
  if (path.size() >= sizeof(name.sun_path)) {
    return absl::InvalidArgumentError(
        fmt::format("{}: expected a socket path of at most {} bytes, got {}: {}", option,
                    sizeof(name.sun_path) - 1, path.size(), path));
  }
  path.copy(name.sun_path, path.size());
  if (absl::Status status = ClearAway(address, name); !status.ok()) return status;
  Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (bind(socket.get(), reinterpret_cast<const sockaddr*>(&name), sizeof(name)) != 0 ||
      listen(socket.get(), SOMAXCONN) != 0) {
    return Unavailable(address, std::strerror(errno));
  }
  return socket;
}

bool IsLoopback(const sockaddr& name) {
  if (name.sa_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(name);
    return ntohl(v4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
  }
  return name.sa_family == AF_INET6 &&
         IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6&>(name).sin6_addr);
}

}  // namespace

Listening::~Listening() {
  if (sockets_.empty() || file_.empty()) return;
  // Another server may listen there by now, where somebody removed our file.
  struct stat status {};
  if (stat(file_.c_str(), &status) != 0) return;
  if (status.st_dev == device_ && status.st_ino == inode_) unlink(file_.c_str());
}

absl::StatusOr<Listening> Listen(const std::string& address, std::string_view option) {
  Listening listening;
  listening.address_ = address;
  if (address.starts_with(kUnix)) {
    const std::string path = PathOf(address);
    auto socket = ListenUnix(address, path, option);
    if (!socket.ok()) return socket.status();
    listening.sockets_.push_back(*std::move(socket));
    listening.file_ = path;
    struct stat status {};
    if (stat(path.c_str(), &status) == 0) {
      listening.device_ = status.st_dev;
      listening.inode_ = status.st_ino;
    }
    return listening;
  }
  const std::optional<HostPort> at = Split(address);
  if (!at) return Malformed(address, option);
  int port = 0;
  auto sockets = ListenTcp(address, *at, port);
  if (!sockets.ok()) return sockets.status();
  listening.sockets_ = *std::move(sockets);
  listening.address_ = fmt::format("{}:{}", address.substr(0, address.rfind(':')), port);
  return listening;
}

bool IsLocal(const std::string& address) {
  if (address.starts_with(kUnix)) return true;
  const std::optional<HostPort> at = Split(address);
  Addresses addresses(nullptr, freeaddrinfo);
  if (!at || Resolve(*at, addresses) != 0) return false;
  for (const addrinfo* info = addresses.get(); info != nullptr; info = info->ai_next) {
    if (!IsLoopback(*info->ai_addr)) return false;
  }
  return true;
}

}  // namespace convserve
