#include "tests/server/child.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "gtest/gtest.h"

namespace convserve {

Child::Child(const std::vector<std::string>& arguments, const std::vector<std::string>& environment)
    : Child(Program{CONVSERVE_BINARY_DIR "/bin/convserve"}, arguments, [&] {
        std::vector<std::string> all = environment;
        all.emplace_back("CONVSERVE_DRAIN_WAIT=0");
        return all;
      }()) {}

Child::Child(const Program& program, const std::vector<std::string>& arguments,
             const std::vector<std::string>& environment) {
  const std::string& binary = program.path;
  std::vector<char*> argv = {const_cast<char*>(binary.c_str())};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  std::vector<char*> envp;
  for (const std::string& entry : environment) envp.push_back(const_cast<char*>(entry.c_str()));
  for (char** entry = environ; *entry != nullptr; ++entry) envp.push_back(*entry);
  envp.push_back(nullptr);

  int pipe_ends[2];
  EXPECT_EQ(pipe2(pipe_ends, O_CLOEXEC), 0);
  output_ = pipe_ends[0];
  errors_ = memfd_create("errors", MFD_CLOEXEC);  // unlike a pipe, never full
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, pipe_ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, errors_, STDERR_FILENO);
  EXPECT_EQ(posix_spawn(&pid_, binary.c_str(), &actions, nullptr, argv.data(), envp.data()), 0)
      << binary;
  posix_spawn_file_actions_destroy(&actions);
  close(pipe_ends[1]);
}

Child::~Child() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  close(output_);
  close(errors_);
}

std::string Child::ReadLine() {
  std::string line;
  for (char c = 0; read(output_, &c, 1) == 1 && c != '\n';) line += c;
  return line;
}

std::string Child::ReadErrors() {
  std::string text;
  lseek(errors_, 0, SEEK_SET);
  char block[4096];
  for (ssize_t n = 0; (n = read(errors_, block, sizeof(block))) > 0;) {
    text.append(block, static_cast<std::size_t>(n));
  }
  return text;
}

void Child::Signal(int number) { kill(pid_, number); }

std::int64_t Child::PeakMemory() const {
  std::ifstream status("/proc/" + std::to_string(pid_) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stoll(line.substr(6)) << 10;
  }
  ADD_FAILURE() << "no peak in the status of process " << pid_;
  return 0;
}

int Child::Wait() {
  int status = 0;
  EXPECT_EQ(waitpid(pid_, &status, 0), pid_);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace convserve
