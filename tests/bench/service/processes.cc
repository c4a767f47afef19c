#include "tests/bench/service/processes.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <stdexcept>
#include <string_view>

#include "grpcpp/generic/async_generic_service.h"
#include "grpcpp/grpcpp.h"

namespace convserve::bench {
namespace {

constexpr std::string_view kListening = "listening on ";

std::string ReadLine(int file) {
  std::string line;
  for (char c = 0; read(file, &c, 1) == 1 && c != '\n';) line += c;
  return line;
}

class Echo : public grpc::ServerGenericBidiReactor {
 public:
  Echo() { StartRead(&message_); }
  void OnReadDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::OK);
    StartWriteAndFinish(&message_, {}, grpc::Status::OK);
  }
  void OnDone() override { delete this; }

 private:
  grpc::ByteBuffer message_;
};

class EchoService : public grpc::CallbackGenericService {
  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext*) override {
    return new Echo;
  }
};

}  // namespace

ServerProcess::ServerProcess(const std::vector<std::string>& command, int addresses) {
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  const int failed = posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  for (int i = 0; failed == 0 && i < addresses; ++i) {
    const std::string line = ReadLine(ends[0]);
    if (!line.starts_with(kListening)) break;
    addresses_.push_back(line.substr(kListening.size()));
  }
  close(ends[0]);
  if (static_cast<int>(addresses_.size()) != addresses) {
    throw std::runtime_error(command[0] + " did not start");
  }
}

ServerProcess::~ServerProcess() {
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

std::int64_t ServerProcess::PeakMemory() const {
  std::ifstream status("/proc/" + std::to_string(pid_) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stoll(line.substr(6)) << 10;
  }
  throw std::runtime_error("the server has ended");
}

int ServeEcho(const std::vector<std::string>& listen) {
  EchoService service;
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(-1);
  builder.SetMaxSendMessageSize(-1);
  builder.RegisterCallbackGenericService(&service);
  std::vector<int> ports(listen.size());
  for (std::size_t i = 0; i < listen.size(); ++i) {
    builder.AddListeningPort(listen[i], grpc::InsecureServerCredentials(), &ports[i]);
  }
  const auto server = builder.BuildAndStart();
  if (server == nullptr) return 1;
  for (std::size_t i = 0; i < listen.size(); ++i) {
    std::string address = listen[i];
    if (address.ends_with(":0")) address.replace(address.size() - 1, 1, std::to_string(ports[i]));
    std::printf("%s%s\n", kListening.data(), address.c_str());
  }
  std::fflush(stdout);
  server->Wait();
  return 0;
}

}  // namespace convserve::bench
