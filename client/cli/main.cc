#include <fcntl.h>
#include <grpc/support/log.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <iostream>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "client/cli/convctl.h"
#include "client/cli/exit_code.h"

namespace {

// Waits for SIGINT or SIGTERM on a thread of its own: the first one cancels the call, and the
// program ends by itself. If that has not happened a second later, or with the next signal, it is
// ended.
void HandleSignals(const sigset_t& signals, std::stop_source stop) {
  std::thread([signals, stop = std::move(stop)]() mutable {
    int signal = 0;
    sigwait(&signals, &signal);
    stop.request_stop();
    const timespec second{1, 0};
    sigtimedwait(&signals, nullptr, &second);
    _exit(static_cast<int>(convserve::cli::ExitCode::kInterrupted));
  }).detach();
}

// A descriptor that was passed on is not closed by exec. One that will be belongs to a library,
// which has found the number free.
bool WasPassedOn(int descriptor) {
  const int flags = fcntl(descriptor, F_GETFD);
  return flags >= 0 && (flags & FD_CLOEXEC) == 0;
}

}  // namespace

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::stop_source stop;
  HandleSignals(signals, stop);

  // What gRPC says on standard error repeats our own messages; GRPC_VERBOSITY asks for it.
  if (std::getenv("GRPC_VERBOSITY") == nullptr) gpr_set_log_function([](gpr_log_func_args*) {});
  std::ios::sync_with_stdio(false);
  if (!WasPassedOn(STDIN_FILENO)) std::cin.setstate(std::ios::badbit);
  return convserve::cli::RunConvctl(
      std::vector<std::string>(argv + 1, argv + argc), {std::cin, std::cout, std::cerr},
      {.show_progress = isatty(STDERR_FILENO) != 0, .stop = stop.get_token()});
}
