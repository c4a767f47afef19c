#include "server/reset_floods.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "absl/strings/numbers.h"
#include "grpc/grpc.h"
#include "grpc/support/alloc.h"
#include "nlohmann/json.hpp"

namespace convserve {
namespace {

using nlohmann::json;

// Connections are looked at after so many calls.
constexpr std::int64_t kCallsBetweenLooks = 512;

// Takes ownership of an answer of channelz.
json Parsed(char* answer) {
  const std::unique_ptr<char, void (*)(void*)> text(answer, gpr_free);
  return text == nullptr ? json::object() : json::parse(text.get());
}

// Channelz writes numbers as text, and leaves out zeros and what is empty.
std::int64_t Number(const json& object, const char* key) {
  std::int64_t number = 0;
  return absl::SimpleAtoi(object.value(key, "0"), &number) ? number : 0;
}

json Member(const json& object, const char* key) { return object.value(key, json::object()); }

struct Connection {
  std::int64_t id = 0;
  std::string peer;
  std::int64_t excess = 0;  // calls beyond those that it may have open
};

std::vector<Connection> ConnectionsOf(std::int64_t server, std::int64_t max_streams) {
  std::vector<Connection> connections;
  std::int64_t next = 0;
  for (bool end = false; !end;) {
    const json page = Parsed(grpc_channelz_get_server_sockets(server, next, 0));
    end = page.value("end", true);
    for (const json& reference : Member(page, "socketRef")) {
      Connection connection{.id = Number(reference, "socketId"),
                            .peer = reference.value("name", "")};
      next = connection.id + 1;
      connection.peer.erase(0, connection.peer.find(' ') + 1);  // "chttp2 ipv4:10.0.0.7:40112"
      const json answer = Parsed(grpc_channelz_get_socket(connection.id));
      const json counts = Member(Member(answer, "socket"), "data");
      connection.excess = Number(counts, "streamsStarted") - Number(counts, "streamsSucceeded") -
                          Number(counts, "streamsFailed") - max_streams;
      if (connection.excess > 0) connections.push_back(std::move(connection));
    }
  }
  return connections;
}

}  // namespace

ResetFloods::Found ResetFloods::Find() {
  try {
    return Look();
  } catch (const std::exception&) {
    return {.too_many = too_many_};  // without memory for it, it looks again the next time
  }
}

ResetFloods::Found ResetFloods::Look() {
  const json answer = Parsed(grpc_channelz_get_servers(0));
  const json servers = Member(answer, "server");
  std::int64_t calls = 0;
  for (const json& server : servers) calls += Number(Member(server, "data"), "callsStarted");
  // Fewer than before where a server of this process has ended.
  const bool few = calls >= calls_seen_ && calls - calls_seen_ < kCallsBetweenLooks;
  if (few && !too_many_) return {};
  calls_seen_ = calls;

  std::vector<Connection> connections;
  for (const json& server : servers) {
    for (Connection& connection :
         ConnectionsOf(Number(Member(server, "ref"), "serverId"), max_streams_)) {
      connections.push_back(std::move(connection));
    }
  }
  std::int64_t all = 0;
  for (const Connection& connection : connections) all += connection.excess;
  std::ranges::sort(connections, std::greater<>(), &Connection::excess);
  too_many_ = all > kAllowed;
  Found found{.too_many = too_many_};
  std::map<std::int64_t, std::int64_t> named;
  for (const Connection& connection : connections) {
    if (all <= kAllowed) break;
    named[connection.id] = connection.excess;
    const auto before = named_.find(connection.id);
    if (before != named_.end() && before->second >= connection.excess) continue;
    found.peers.push_back(connection.peer);
    all -= connection.excess;
  }
  named_ = std::move(named);
  return found;
}

}  // namespace convserve
