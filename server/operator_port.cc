#include "server/operator_port.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <list>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "fmt/format.h"
#include "server/descriptor.h"

namespace convserve {
namespace {

using Clock = std::chrono::steady_clock;

constexpr char kOption[] = "--metrics-listen";
constexpr std::chrono::seconds kPatience{5};
constexpr std::size_t kMaxRequestBytes = 8192;
constexpr std::size_t kMaxConnections = 64;
constexpr std::string_view kText = "text/plain; charset=utf-8";

struct Connection {
  Descriptor fd;
  Clock::time_point deadline;
  std::string request = {};
  std::string answer = {};  // empty until the request is complete
  std::size_t sent = 0;
};

std::string Answer(std::string_view status, std::string_view type, std::string_view body) {
  return fmt::format(
      "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n"
      "Connection: close\r\n\r\n{}",
      status, type, body.size(), body);
}

// Lines end with LF, before which a CR may stand; an empty one ends the head.
bool IsComplete(std::string_view request) {
  return request.find("\n\n") != std::string_view::npos ||
         request.find("\n\r\n") != std::string_view::npos;
}

// Of "/path?query", or of "http://authority/path?query" as it is said to proxies.
std::string_view PathOf(std::string_view target) {
  target = target.substr(0, target.find('?'));
  if (target.starts_with('/')) return target;
  const std::size_t authority = target.find("://");
  if (authority == std::string_view::npos) return target;
  const std::size_t path = target.find('/', authority + 3);
  return path == std::string_view::npos ? "/" : target.substr(path);
}

std::string AnswerTo(std::string_view request, const OperatorPort::Pages& pages) {
  const std::string_view line = request.substr(0, request.find('\n'));
  const std::size_t first = line.find(' ');
  const std::size_t second = line.find(' ', first + 1);
  if (first == std::string_view::npos || second == std::string_view::npos ||
      !line.substr(second + 1).starts_with("HTTP/1.")) {
    return Answer("400 Bad Request", kText, "not HTTP/1.1\n");
  }
  const std::string_view method = line.substr(0, first);
  const std::string_view path = PathOf(line.substr(first + 1, second - first - 1));
  const auto page = [&]() -> std::string {
    if (path == "/metrics") {
      return Answer("200 OK", "text/plain; version=0.0.4; charset=utf-8", pages.metrics());
    }
    if (path == "/livez") return Answer("200 OK", kText, "live\n");
    if (path == "/readyz") {
      return pages.ready() ? Answer("200 OK", kText, "ready\n")
                           : Answer("503 Service Unavailable", kText, "not ready\n");
    }
    return Answer("404 Not Found", kText, "/metrics, /livez and /readyz are here\n");
  };
  if (method == "GET") return page();
  if (method == "HEAD") {
    std::string head = page();
    head.resize(head.find("\r\n\r\n") + 4);
    return head;
  }
  return Answer("405 Method Not Allowed", kText, "GET and HEAD only\n");
}

// Goes on with a connection as far as it can; false when it is finished or broken.
bool Advance(Connection& connection, const OperatorPort::Pages& pages) {
  while (connection.answer.empty()) {
    char block[4096];
    const ssize_t size = recv(connection.fd.get(), block, sizeof(block), MSG_DONTWAIT);
    if (size < 0) return errno == EAGAIN || errno == EINTR;
    if (size == 0) return false;
    connection.request.append(block, static_cast<std::size_t>(size));
    if (IsComplete(connection.request)) {
      connection.answer = AnswerTo(connection.request, pages);
    } else if (connection.request.size() > kMaxRequestBytes) {
      connection.answer = Answer("431 Request Header Fields Too Large", kText, "too large\n");
    }
  }
  while (connection.sent < connection.answer.size()) {
    const ssize_t size =
        send(connection.fd.get(), connection.answer.data() + connection.sent,
             connection.answer.size() - connection.sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (size < 0) return errno == EAGAIN || errno == EINTR;
    connection.sent += static_cast<std::size_t>(size);
  }
  return false;
}

// A port alone is one of loopback.
std::string WithHost(const std::string& address) {
  const bool number = !address.empty() && std::all_of(address.begin(), address.end(),
                                                      [](char c) { return c >= '0' && c <= '9'; });
  return number ? fmt::format("127.0.0.1:{}", address) : address;
}

}  // namespace

class OperatorPort::Loop {
 public:
  Loop(Listening listening, Pages pages)
      : listening_(std::move(listening)),
        stop_(eventfd(0, EFD_CLOEXEC)),
        pages_(std::move(pages)),
        thread_([this] { Serve(); }) {}

  ~Loop() {
    const std::uint64_t one = 1;
    (void)!write(stop_.get(), &one, sizeof(one));
    thread_.join();
  }

 private:
  void Serve() {
    std::list<Connection> connections;  // oldest first
    const std::vector<Descriptor>& sockets = listening_.sockets();
    while (true) {
      std::vector<pollfd> polled = {{stop_.get(), POLLIN, 0}};
      for (const Descriptor& socket : sockets) polled.push_back({socket.get(), POLLIN, 0});
      for (const Connection& connection : connections) {
        const short events = connection.answer.empty() ? POLLIN : POLLOUT;
        polled.push_back({connection.fd.get(), events, 0});
      }
      poll(polled.data(), polled.size(), Timeout(connections));
      if (polled[0].revents != 0) return;
      std::size_t index = 1 + sockets.size();
      for (auto at = connections.begin(); at != connections.end(); ++index) {
        const bool late = Clock::now() >= at->deadline;
        const bool stays = !late && (polled[index].revents == 0 || Advance(*at, pages_));
        at = stays ? std::next(at) : connections.erase(at);
      }
      for (index = 1; index <= sockets.size(); ++index) {
        if (polled[index].revents != 0) Accept(polled[index].fd, connections);
      }
    }
  }

  static int Timeout(const std::list<Connection>& connections) {
    if (connections.empty()) return -1;
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(connections.front().deadline - Clock::now());
    return static_cast<int>(std::max<std::int64_t>(0, left.count()));
  }

  static void Accept(int listener, std::list<Connection>& connections) {
    Descriptor accepted(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (accepted.get() < 0) {
      // Without a descriptor to spare, one is made free, or the same connection would be announced
      // again at once.
      if ((errno == EMFILE || errno == ENFILE) && !connections.empty()) connections.pop_front();
      return;
    }
    if (connections.size() == kMaxConnections) connections.pop_front();
    connections.push_back({.fd = std::move(accepted), .deadline = Clock::now() + kPatience});
  }

  const Listening listening_;
  const Descriptor stop_;
  const Pages pages_;
  std::thread thread_;
};

absl::StatusOr<Listening> OperatorPort::Bind(const std::string& address) {
  if (address.starts_with("unix:")) {
    return absl::InvalidArgumentError(
        fmt::format("{}: expected PORT, HOST:PORT or [IPV6]:PORT, got {}", kOption, address));
  }
  return Listen(WithHost(address), kOption);
}

OperatorPort::OperatorPort(Listening listening, Pages pages)
    : loop_(std::make_unique<Loop>(std::move(listening), std::move(pages))) {}

OperatorPort::~OperatorPort() = default;

}  // namespace convserve
