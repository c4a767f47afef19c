// Accepts connections, up to a limit, and hands them on. gRPC 1.51 has no limit on connections of
// its own, and stops to listen for good once it finds no file descriptor for one; hence this.
//
// Each connection takes two file descriptors: the one that is handed on, and one by which its end
// is seen, whichever side ends it. A connection above the limit is accepted and closed at once, so
// that its caller learns of it and can turn to another replica. So is one that floods the server,
// with what it has sent and nobody has read.
#ifndef CONVSERVE_SERVER_FRONT_DOOR_H_
#define CONVSERVE_SERVER_FRONT_DOOR_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <latch>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include "server/descriptor.h"
#include "server/listen.h"
#include "server/reset_floods.h"

namespace convserve {

class FrontDoor {
 public:
  struct Options {
    std::vector<Listening> listening;
    std::int64_t max_connections = 1;
    // Takes ownership of a connected, non-blocking socket.
    std::function<void(int fd)> accepted;
    // Asked up to ten times a second, and more often while there are too many: then new connections
    // are closed too.
    std::function<ResetFloods::Found()> floods;
    // A connection of `peer` was closed: TOO_MANY_CONNECTIONS or RESET_FLOOD.
    std::function<void(std::string_view reason, std::string_view peer)> refused;
  };

  // The functions are called on the door's own thread.
  explicit FrontDoor(Options options);

  // As Close; connections that are still open are no longer watched.
  ~FrontDoor();

  // Accepts what has arrived so far, and nothing from then on; connections go on. The addresses
  // are free when this returns. Not from several threads.
  void Close();

  // Open connections. Thread-safe.
  std::int64_t connections() const { return connections_; }

 private:
  using Clock = std::chrono::steady_clock;
  enum class Phase { kOpen, kClosed, kEnded };

  void Enter(Phase phase);
  void Watch(int fd, std::uint32_t events);
  void Run();
  void AcceptAll();
  // False when nothing has arrived, or nothing can be accepted now.
  bool AcceptFrom(int listener);
  void Admit(Descriptor connection);
  void EndFloods();

  Options options_;
  const Descriptor poller_;
  const Descriptor wake_;
  // By which the ends of connections are seen; by their own numbers.
  std::unordered_map<int, Descriptor> handles_;
  std::atomic<std::int64_t> connections_ = 0;
  Clock::time_point next_look_;
  bool flooded_ = false;
  std::atomic<Phase> phase_ = Phase::kOpen;
  std::latch closed_{1};
  std::thread thread_;
};

// How many connections the limit on open files (ulimit -n) leaves room for.
std::int64_t ConnectionsThatFit();

}  // namespace convserve

#endif  // CONVSERVE_SERVER_FRONT_DOOR_H_
