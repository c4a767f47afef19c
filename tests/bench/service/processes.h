// The servers of the benchmark, each a process of its own so that neither pays for the other.
#ifndef CONVSERVE_TESTS_BENCH_SERVICE_PROCESSES_H_
#define CONVSERVE_TESTS_BENCH_SERVICE_PROCESSES_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace convserve::bench {

// A running program, ended with the object. `command` begins with the program's path; it must print
// a line "listening on ADDRESS" for each of its `addresses` addresses. Throws std::runtime_error
// where that does not happen.
class ServerProcess {
 public:
  ServerProcess(const std::vector<std::string>& command, int addresses);
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  const std::string& address(std::size_t index) const { return addresses_[index]; }

  // The most bytes that it had in memory so far.
  std::int64_t PeakMemory() const;

 private:
  pid_t pid_ = -1;
  std::vector<std::string> addresses_;
};

// Serves every method of every service with the message that it was sent, untouched, until the
// process is ended. Prints the lines that ServerProcess reads.
int ServeEcho(const std::vector<std::string>& listen);

}  // namespace convserve::bench

#endif  // CONVSERVE_TESTS_BENCH_SERVICE_PROCESSES_H_
