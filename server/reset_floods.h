// Finds connections whose calls are reset as they begin, faster than gRPC lets go of them
// ("rapid reset", CVE-2023-44487).
//
// gRPC 1.51 frees a call that was reset only once its connection has had nothing to read for a
// moment. A peer that sends without a pause makes it keep some 17 KiB of each of tens of thousands
// of calls a second, whatever their method, those that the guard refuses included; no limit of
// gRPC's counts them. What channelz knows of a connection does: the streams that began less those
// that were freed. An honest peer has as many as it may have open, and for a moment some more.
#ifndef CONVSERVE_SERVER_RESET_FLOODS_H_
#define CONVSERVE_SERVER_RESET_FLOODS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace convserve {

class ResetFloods {
 public:
  // Calls beyond `max_streams` that connections may have unfinished, all of them together.
  static constexpr std::int64_t kAllowed = 4096;

  // `max_streams` are the calls that a connection may have open. The servers of this process have
  // channelz enabled.
  explicit ResetFloods(std::int64_t max_streams) : max_streams_(max_streams) {}

  struct Found {
    // Of the connections to end, as gRPC names them ("ipv4:10.0.0.7:40112", "unix:"): those with
    // the most calls beyond `max_streams`, until all have no more than kAllowed. One that was named
    // before is named again only when it has more: gRPC takes a while to free what an ended
    // connection leaves.
    std::vector<std::string> peers = {};
    // There are more than kAllowed: no connection should be added to them.
    bool too_many = false;
  };

  // Takes microseconds where there are few and little was called since the last time. Not from
  // several threads.
  Found Find();

 private:
  Found Look();

  const std::int64_t max_streams_;
  std::int64_t calls_seen_ = 0;
  bool too_many_ = false;
  std::map<std::int64_t, std::int64_t> named_;  // what connections had then, by channelz' numbers
};

}  // namespace convserve

#endif  // CONVSERVE_SERVER_RESET_FLOODS_H_
