// The command line of `convserve`. Each option can also stand in the environment (CONVSERVE_THREADS
// for --threads) and in the file that --config names; the command line is the strongest, then the
// environment, then the file.
#ifndef CONVSERVE_SERVER_OPTIONS_H_
#define CONVSERVE_SERVER_OPTIONS_H_

#include <chrono>
#include <iosfwd>
#include <variant>

#include "server/server.h"

namespace convserve {

struct CommandLine {
  ServerOptions server;
  // After SIGTERM or SIGINT: how long calls are still taken, and then what accepted requests get to
  // finish (Server::Shutdown).
  std::chrono::milliseconds drain_wait{2500};
  std::chrono::seconds drain{30};
  // Only see whether the server would start.
  bool check = false;
};

// The process is to end at once with this code: 0 after --help and --version, which print to `out`;
// 2 after a mistake, which is explained on `err`.
struct ExitCode {
  int value = 0;
};

std::variant<CommandLine, ExitCode> ParseCommandLine(int argc, const char* const* argv,
                                                     std::ostream& out, std::ostream& err);

}  // namespace convserve

#endif  // CONVSERVE_SERVER_OPTIONS_H_
