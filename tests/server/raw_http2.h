// HTTP/2 by hand, for what no well-behaved client sends.
#ifndef CONVSERVE_TESTS_SERVER_RAW_HTTP2_H_
#define CONVSERVE_TESTS_SERVER_RAW_HTTP2_H_

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>

#include "server/descriptor.h"

namespace convserve {

enum class FrameType : unsigned char {
  kHeaders = 1,
  kResetStream = 3,
  kSettings = 4,
  kPing = 6,
};

inline std::string BigEndian(std::uint32_t number, int bytes) {
  std::string text;
  for (int i = bytes - 1; i >= 0; --i) text += static_cast<char>(number >> (8 * i) & 0xff);
  return text;
}

inline std::string Frame(FrameType type, unsigned char flags, std::uint32_t stream,
                         const std::string& payload) {
  return BigEndian(static_cast<std::uint32_t>(payload.size()), 3) + static_cast<char>(type) +
         static_cast<char>(flags) + BigEndian(stream, 4) + payload;
}

// What a client says first.
inline std::string Hello() {
  return "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + Frame(FrameType::kSettings, 0, 0, "");
}

// The headers of a gRPC call, in HPACK without its tables.
inline std::string CallHeaders(std::uint32_t stream, const std::string& path) {
  const auto text = [](const std::string& value) {
    return static_cast<char>(value.size()) + value;
  };
  return Frame(FrameType::kHeaders, /*END_HEADERS*/ 4, stream,
               "\x83\x86\x04" + text(path) + "\x01" + text("localhost") + "\x0f\x10" +
                   text("application/grpc") + std::string(1, '\0') + text("te") + text("trailers"));
}

class RawConnection {
 public:
  // To "HOST:PORT" on 127.0.0.1. What it reads has a minute to come.
  explicit RawConnection(const std::string& address)
      : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(
        static_cast<std::uint16_t>(std::atoi(address.substr(address.rfind(':') + 1).c_str())));
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = connect(fd_.get(), reinterpret_cast<const sockaddr*>(&name), sizeof(name)) == 0;
    const timeval patience = {60, 0};
    setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  }

  bool connected() const { return connected_; }

  // False once the server has closed the connection.
  bool Send(const std::string& bytes) {
    std::size_t sent = 0;
    while (sent < bytes.size()) {
      const ssize_t n = send(fd_.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) return false;
      sent += static_cast<std::size_t>(n);
    }
    return true;
  }

  // Whatever comes until the server closes the connection.
  std::string ReadToEnd() {
    std::string all;
    char block[4096];
    for (ssize_t n = 0; (n = recv(fd_.get(), block, sizeof(block), 0)) > 0;) {
      all.append(block, static_cast<std::size_t>(n));
    }
    return all;
  }

  std::string Read(std::size_t size) {
    std::string bytes(size, '\0');
    const ssize_t n = recv(fd_.get(), bytes.data(), size, MSG_WAITALL);
    bytes.resize(n < 0 ? 0 : static_cast<std::size_t>(n));
    return bytes;
  }

  // The settings of the server, which is what it says first.
  std::map<int, std::uint32_t> ReadSettings() {
    const auto number = [](const std::string& bytes, std::size_t at, int size) {
      std::uint32_t value = 0;
      for (int i = 0; i < size; ++i) {
        value = value << 8 | static_cast<unsigned char>(bytes[at + static_cast<std::size_t>(i)]);
      }
      return value;
    };
    const std::string head = Read(9);
    const std::string body = Read(number(head, 0, 3));
    std::map<int, std::uint32_t> settings;
    for (std::size_t at = 0; at + 6 <= body.size(); at += 6) {
      settings[static_cast<int>(number(body, at, 2))] = number(body, at + 2, 4);
    }
    return settings;
  }

 private:
  Descriptor fd_;
  bool connected_ = false;
};

}  // namespace convserve

#endif  // CONVSERVE_TESTS_SERVER_RAW_HTTP2_H_
