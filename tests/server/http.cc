#include "tests/server/http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>

namespace convserve {
namespace {

sockaddr_in Loopback(int port) {
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(static_cast<std::uint16_t>(port));
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return name;
}

}  // namespace

HttpAnswer HttpAsk(const std::string& address, const std::string& path, const std::string& method) {
  const std::size_t colon = address.rfind(':');
  sockaddr_in name = Loopback(std::atoi(address.substr(colon + 1).c_str()));
  (void)inet_pton(AF_INET, address.substr(0, colon).c_str(), &name.sin_addr);
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  HttpAnswer answer;
  if (connect(fd, reinterpret_cast<const sockaddr*>(&name), sizeof(name)) == 0) {
    const std::string request =
        method + " " + path + " HTTP/1.1\r\nHost: " + address + "\r\nConnection: close\r\n\r\n";
    (void)send(fd, request.data(), request.size(), MSG_NOSIGNAL);
    std::string text;
    char block[4096];
    for (ssize_t n = 0; (n = recv(fd, block, sizeof(block), 0)) > 0;) {
      text.append(block, static_cast<std::size_t>(n));
    }
    const std::size_t head = text.find("\r\n\r\n");
    if (head != std::string::npos) {
      answer = {std::atoi(text.substr(text.find(' ')).c_str()), text.substr(0, head),
                text.substr(head + 4)};
    }
  }
  close(fd);
  return answer;
}

int FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in name = Loopback(0);
  socklen_t size = sizeof(name);
  (void)bind(fd, reinterpret_cast<const sockaddr*>(&name), size);
  getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size);
  close(fd);
  return ntohs(name.sin_port);
}

}  // namespace convserve
