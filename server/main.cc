// convserve: serves until a signal says to stop. See `convserve --help`.
#include <fcntl.h>
#include <grpc/support/log.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <variant>

#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "server/kept_memory.h"
#include "server/options.h"
#include "server/server.h"

namespace {

// Blocks the signals that stop the server, in this thread and all that it starts, so that they can
// be waited for.
sigset_t BlockStopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return signals;
}

void EndAtNextSignal(const sigset_t& signals) {
  for (const int number : {SIGTERM, SIGINT}) {
    signal(number, [](int n) { _exit(128 + n); });
  }
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
}

// Where the process begins without standard streams, what it opens must not come to stand for them.
void HaveStandardStreams() {
  int file = 0;
  do file = open("/dev/null", O_RDWR);
  while (file >= 0 && file <= STDERR_FILENO);
  if (file >= 0) close(file);
}

// Each connection takes two files, and the usual soft limit is for programs of another age.
void AllowManyFiles() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

int main(int argc, char** argv) {
  HaveStandardStreams();
  const auto parsed = convserve::ParseCommandLine(argc, argv, std::cout, std::cerr);
  if (const auto* exit = std::get_if<convserve::ExitCode>(&parsed)) return exit->value;
  const auto& line = std::get<convserve::CommandLine>(parsed);

  // Debian builds Abseil with the search for deadlocks on, which every lock of gRPC pays for.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  convserve::KeepFreedMemory();
  AllowManyFiles();
  const sigset_t signals = BlockStopSignals();
  // What gRPC says on standard error repeats our own messages; GRPC_VERBOSITY asks for it.
  if (std::getenv("GRPC_VERBOSITY") == nullptr) gpr_set_log_function([](gpr_log_func_args*) {});
  auto server = convserve::Server::Start(line.server);
  if (!server.ok()) {
    std::cerr << "convserve: " << server.status().message() << '\n';
    return absl::IsInvalidArgument(server.status()) ? 2 : 1;
  }
  if (line.check) {
    std::cout << "this configuration works" << std::endl;
    return 0;
  }
  for (const std::string& address : (*server)->addresses()) {
    std::cout << "listening on " << address << std::endl;
  }
  if (const std::string& address = (*server)->metrics_address(); !address.empty()) {
    std::cout << "metrics on http://" << address << "/metrics" << std::endl;
  }

  int number = 0;
  sigwait(&signals, &number);
  EndAtNextSignal(signals);
  (*server)->Shutdown(line.drain, line.drain_wait);
}
