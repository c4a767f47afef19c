// A client that speaks just enough HTTP/2 to misbehave: it begins calls and never ends them, sends
// messages in pieces, takes calls back, probes, and goes away when it likes.
#ifndef CONVSERVE_TESTS_SERVER_RAW_CONNECTION_H_
#define CONVSERVE_TESTS_SERVER_RAW_CONNECTION_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace convserve {

class RawConnection {
 public:
  // Connects to "127.0.0.1:PORT".
  explicit RawConnection(const std::string& address);
  // Closes the connection in good order.
  ~RawConnection();
  RawConnection(const RawConnection&) = delete;
  RawConnection& operator=(const RawConnection&) = delete;

  // As the server names it: "ipv4:127.0.0.1:PORT".
  std::string name() const;

  // Sends these bytes; false when the server has closed the connection.
  bool Send(std::string_view bytes);

  // The client's preface and empty settings.
  bool Greet();

  // The headers of a call of convserve.v1.ConvolutionService on `stream` (1, 3, 5, ...).
  bool BeginCall(std::uint32_t stream, const std::string& method);

  // A DATA frame that begins a message of `announced` bytes and brings `sent`.
  bool BeginMessage(std::uint32_t stream, std::uint32_t announced, std::string_view sent);

  // Takes the call on `stream` back.
  bool ResetCall(std::uint32_t stream);

  bool Ping();

  // Pings and waits for the answer: then the server has read what was sent.
  bool Settle();

  // What the server states first: its settings, by their numbers.
  std::map<int, std::uint32_t> ReadSettings();

  // Whatever comes until the server closes the connection; after a minute, what has come.
  std::string ReadToEnd();

  // Ends the connection as the kernel does for a process that was killed with data unread.
  void Reset();

 private:
  std::string Read(std::size_t size);

  int socket_ = -1;
};

// An HTTP/2 frame.
std::string Frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream,
                  std::string_view payload);

}  // namespace convserve

#endif  // CONVSERVE_TESTS_SERVER_RAW_CONNECTION_H_
