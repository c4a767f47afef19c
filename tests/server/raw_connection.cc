#include "tests/server/raw_connection.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gtest/gtest.h"

namespace convserve {
namespace {

constexpr std::uint8_t kData = 0;
constexpr std::uint8_t kHeaders = 1;
constexpr std::uint8_t kResetStream = 3;
constexpr std::uint8_t kSettings = 4;
constexpr std::uint8_t kPing = 6;
constexpr std::uint32_t kCancel = 8;
constexpr std::size_t kFrameHeadBytes = 9;
constexpr std::size_t kSettingBytes = 6;
constexpr std::uint8_t kEndHeaders = 4;
constexpr std::uint8_t kAcknowledged = 1;

std::string BigEndian(std::uint32_t value, int bytes) {
  std::string text;
  for (int i = bytes - 1; i >= 0; --i) text += static_cast<char>(value >> (8 * i) & 0xFF);
  return text;
}

std::uint32_t FromBigEndian(std::string_view bytes) {
  std::uint32_t value = 0;
  for (const char byte : bytes) value = value << 8 | static_cast<unsigned char>(byte);
  return value;
}

// HPACK: a literal field without indexing and without Huffman codes.
std::string Field(std::string_view name, std::string_view value) {
  std::string text(1, '\0');
  text += static_cast<char>(name.size());
  text += name;
  text += static_cast<char>(value.size());
  return text.append(value);
}

}  // namespace

std::string Frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream,
                  std::string_view payload) {
  std::string frame = BigEndian(static_cast<std::uint32_t>(payload.size()), 3);
  frame += static_cast<char>(type);
  frame += static_cast<char>(flags);
  return frame.append(BigEndian(stream, 4)).append(payload);
}

RawConnection::RawConnection(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(colon + 1))));
  inet_pton(AF_INET, address.substr(0, colon).c_str(), &to.sin_addr);
  socket_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval patience{.tv_sec = 60, .tv_usec = 0};
  setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  EXPECT_EQ(connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0) << address;
}

RawConnection::~RawConnection() {
  if (socket_ >= 0) close(socket_);
}

std::string RawConnection::name() const {
  sockaddr_in here{};
  socklen_t size = sizeof(here);
  EXPECT_EQ(getsockname(socket_, reinterpret_cast<sockaddr*>(&here), &size), 0);
  return "ipv4:127.0.0.1:" + std::to_string(ntohs(here.sin_port));
}

bool RawConnection::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

bool RawConnection::Greet() {
  return Send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + Frame(kSettings, 0, 0, ""));
}

bool RawConnection::BeginCall(std::uint32_t stream, const std::string& method) {
  return Send(Frame(kHeaders, kEndHeaders, stream,
                    Field(":method", "POST") + Field(":scheme", "http") +
                        Field(":path", "/convserve.v1.ConvolutionService/" + method) +
                        Field(":authority", "test") + Field("te", "trailers") +
                        Field("content-type", "application/grpc")));
}

bool RawConnection::BeginMessage(std::uint32_t stream, std::uint32_t announced,
                                 std::string_view sent) {
  return Send(
      Frame(kData, 0, stream, std::string(1, '\0').append(BigEndian(announced, 4)).append(sent)));
}

bool RawConnection::ResetCall(std::uint32_t stream) {
  return Send(Frame(kResetStream, 0, stream, BigEndian(kCancel, 4)));
}

bool RawConnection::Ping() { return Send(Frame(kPing, 0, 0, "12345678")); }

bool RawConnection::Settle() {
  Ping();
  for (;;) {
    const std::string head = Read(kFrameHeadBytes);
    if (head.size() < kFrameHeadBytes) return false;
    Read(FromBigEndian(head.substr(0, 3)));
    if (head[3] == kPing && head[4] == kAcknowledged) return true;
  }
}

std::string RawConnection::Read(std::size_t size) {
  std::string bytes(size, '\0');
  const ssize_t got = recv(socket_, bytes.data(), size, MSG_WAITALL);
  bytes.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
  return bytes;
}

std::map<int, std::uint32_t> RawConnection::ReadSettings() {
  const std::string body = Read(FromBigEndian(Read(kFrameHeadBytes).substr(0, 3)));
  std::map<int, std::uint32_t> settings;
  for (std::size_t at = 0; at + kSettingBytes <= body.size(); at += kSettingBytes) {
    settings[static_cast<int>(FromBigEndian(body.substr(at, 2)))] =
        FromBigEndian(body.substr(at + 2, 4));
  }
  return settings;
}

std::string RawConnection::ReadToEnd() {
  std::string all;
  char block[4096];
  for (ssize_t n = 0; (n = recv(socket_, block, sizeof(block), 0)) > 0;) {
    all.append(block, static_cast<std::size_t>(n));
  }
  return all;
}

void RawConnection::Reset() {
  const linger now{.l_onoff = 1, .l_linger = 0};
  setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
  close(socket_);
  socket_ = -1;
}

}  // namespace convserve
