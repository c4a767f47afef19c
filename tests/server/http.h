// A client of the operators' port, and a TCP port that is free.
#ifndef CONVSERVE_TESTS_SERVER_HTTP_H_
#define CONVSERVE_TESTS_SERVER_HTTP_H_

#include <string>

namespace convserve {

struct HttpAnswer {
  int code = 0;  // 0: no connection
  std::string head;
  std::string body;
};

// GET unless `method` says otherwise, at "HOST:PORT" with a numeric host.
HttpAnswer HttpAsk(const std::string& address, const std::string& path,
                   const std::string& method = "GET");

// A port of 127.0.0.1 that nobody listens on.
int FreePort();

}  // namespace convserve

#endif  // CONVSERVE_TESTS_SERVER_HTTP_H_
