#include "server/front_door.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "fmt/format.h"

namespace convserve {
namespace {

// Descriptors for everything but connections: files, pollers, listeners, the operators' port.
constexpr std::int64_t kOtherDescriptors = 128;

// Without a descriptor to spare, the next connection is tried after this.
constexpr int kPauseMilliseconds = 50;

// Between looks for floods. In calm they take a fiftieth of the time at most: with a thousand
// connections a look is a matter of milliseconds.
constexpr std::chrono::milliseconds kCalm{100};
constexpr std::chrono::milliseconds kFlooded{10};
constexpr int kShare = 50;

bool IsShortage(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

// As gRPC names the peer of a connection.
std::string PeerOf(int fd) {
  sockaddr_storage peer{};
  socklen_t size = sizeof(peer);
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0) return "";
  if (peer.ss_family == AF_UNIX) return "unix:";
  char host[INET6_ADDRSTRLEN] = "";
  if (peer.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(peer);
    inet_ntop(AF_INET, &v4.sin_addr, host, sizeof(host));
    return fmt::format("ipv4:{}:{}", host, ntohs(v4.sin_port));
  }
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(peer);
  inet_ntop(AF_INET6, &v6.sin6_addr, host, sizeof(host));
  const std::string scope = v6.sin6_scope_id == 0 ? "" : fmt::format("%25{}", v6.sin6_scope_id);
  return fmt::format("ipv6:%5B{}{}%5D:{}", host, scope, ntohs(v6.sin6_port));
}

// What has arrived is dropped too: reading it would cost gRPC what the flood does.
void End(int connection) {
  // Resets a TCP connection at once, so that its peer does not wait for room to send more.
  const sockaddr nobody{.sa_family = AF_UNSPEC, .sa_data = ""};
  if (connect(connection, &nobody, sizeof(nobody)) == 0) return;
  shutdown(connection, SHUT_RDWR);
  char dropped[1 << 14];
  while (recv(connection, dropped, sizeof(dropped), MSG_DONTWAIT) > 0) {
  }
}

}  // namespace

FrontDoor::FrontDoor(Options options)
    : options_(std::move(options)),
      poller_(epoll_create1(EPOLL_CLOEXEC)),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  Watch(wake_.get(), EPOLLIN);
  for (const Listening& listening : options_.listening) {
    for (const Descriptor& socket : listening.sockets()) Watch(socket.get(), EPOLLIN);
  }
  thread_ = std::thread([this] { Run(); });
}

FrontDoor::~FrontDoor() {
  if (phase_ == Phase::kOpen) Close();
  Enter(Phase::kEnded);
  thread_.join();
}

void FrontDoor::Close() {
  Enter(Phase::kClosed);
  closed_.wait();
  options_.listening.clear();
}

void FrontDoor::Enter(Phase phase) {
  phase_ = phase;
  const std::uint64_t one = 1;
  (void)!write(wake_.get(), &one, sizeof(one));
}

void FrontDoor::Watch(int fd, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  epoll_ctl(poller_.get(), EPOLL_CTL_ADD, fd, &event);
}

void FrontDoor::Run() {
  while (phase_ != Phase::kEnded) {
    epoll_event events[64];
    const bool idle = connections_ == 0 && !flooded_;
    const auto wait = flooded_ ? kFlooded : kCalm;
    const int count =
        epoll_wait(poller_.get(), events, 64, idle ? -1 : static_cast<int>(wait.count()));
    for (int i = 0; i < count; ++i) {
      const int fd = events[i].data.fd;
      const auto handle = handles_.find(fd);
      if (fd == wake_.get()) {
        std::uint64_t ignored = 0;
        (void)!read(fd, &ignored, sizeof(ignored));
        if (!closed_.try_wait()) {
          AcceptAll();
          closed_.count_down();
        }
      } else if (handle == handles_.end()) {
        while (AcceptFrom(fd)) {
        }
      } else {
        // Closing does not suffice: the other descriptor of the connection may still be open.
        epoll_ctl(poller_.get(), EPOLL_CTL_DEL, fd, nullptr);
        handles_.erase(handle);
        --connections_;
      }
    }
    if (!idle && Clock::now() >= next_look_) EndFloods();
  }
}

void FrontDoor::EndFloods() {
  const Clock::time_point begin = Clock::now();
  const ResetFloods::Found found = options_.floods();
  const Clock::duration calm = std::max<Clock::duration>(kCalm, kShare * (Clock::now() - begin));
  flooded_ = found.too_many;
  for (const std::string& peer : found.peers) {
    // The peers of unix sockets have one name: which of them it is cannot be told.
    for (const auto& [fd, handle] : handles_) {
      if (PeerOf(fd) != peer) continue;
      End(fd);
      options_.refused("RESET_FLOOD", peer);
    }
  }
  next_look_ = Clock::now() + (flooded_ ? kFlooded : calm);
}

void FrontDoor::AcceptAll() {
  for (const Listening& listening : options_.listening) {
    for (const Descriptor& socket : listening.sockets()) {
      while (AcceptFrom(socket.get())) {
      }
      epoll_ctl(poller_.get(), EPOLL_CTL_DEL, socket.get(), nullptr);
    }
  }
}

bool FrontDoor::AcceptFrom(int listener) {
  Descriptor connection(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (connection.get() >= 0) {
    Admit(std::move(connection));
    return true;
  }
  if (IsShortage(errno)) {
    pollfd wake = {wake_.get(), POLLIN, 0};
    poll(&wake, 1, kPauseMilliseconds);
  }
  return errno == ECONNABORTED;
}

void FrontDoor::Admit(Descriptor connection) {
  Descriptor handle(fcntl(connection.get(), F_DUPFD_CLOEXEC, 0));
  if (flooded_ || connections_ >= options_.max_connections || handle.get() < 0) {
    options_.refused(flooded_ ? "RESET_FLOOD" : "TOO_MANY_CONNECTIONS", PeerOf(connection.get()));
    return;
  }
  const int on = 1;
  setsockopt(connection.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));  // not for unix sockets
  ++connections_;
  Watch(handle.get(), EPOLLRDHUP);
  handles_.emplace(handle.get(), std::move(handle));
  options_.accepted(connection.Release());
}

std::int64_t ConnectionsThatFit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  const auto files = static_cast<std::int64_t>(std::min<rlim_t>(limit.rlim_cur, 1 << 20));
  return std::max<std::int64_t>(0, files - kOtherDescriptors) / 2;
}

}  // namespace convserve
