// The convserve binary, or another program, as a child of the test.
#ifndef CONVSERVE_TESTS_SERVER_CHILD_H_
#define CONVSERVE_TESTS_SERVER_CHILD_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace convserve {

// A program by its path.
struct Program {
  explicit Program(std::string program_path) : path(std::move(program_path)) {}
  std::string path;
};

class Child {
 public:
  // Runs `convserve` with these arguments and, beside this process's environment, these
  // "NAME=value". Told to stop, it does not wait for load balancers unless the arguments say so.
  explicit Child(const std::vector<std::string>& arguments,
                 const std::vector<std::string>& environment = {});

  // The same with another program.
  Child(const Program& program, const std::vector<std::string>& arguments,
        const std::vector<std::string>& environment = {});

  // Kills what still runs.
  ~Child();

  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // The next line that it prints on standard output, waiting for it; empty at the end.
  std::string ReadLine();

  // Its standard error to the end: only after Wait.
  std::string ReadErrors();

  void Signal(int number);

  // The most bytes that it had in memory so far.
  std::int64_t PeakMemory() const;

  // Waits for its end: the exit code, or minus the signal that killed it.
  int Wait();

 private:
  pid_t pid_ = -1;
  int output_ = -1;
  int errors_ = -1;
};

}  // namespace convserve

#endif  // CONVSERVE_TESTS_SERVER_CHILD_H_
