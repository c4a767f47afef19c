#include "server/front_door.h"

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

namespace convserve {
namespace {

// Descriptors for everything but connections: files, pollers, listeners, the operators' port.
constexpr std::int64_t kOtherDescriptors = 128;

// Without a descriptor to spare, the next connection is tried after this.
constexpr int kPauseMilliseconds = 50;

bool IsShortage(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
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
    const int count = epoll_wait(poller_.get(), events, 64, -1);
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
  }
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
  if (connections_ >= options_.max_connections || handle.get() < 0) {
    options_.refused();
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
