// The process as every contender should find it.
#ifndef CONVSERVE_TESTS_BENCH_MACHINE_H_
#define CONVSERVE_TESTS_BENCH_MACHINE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace convserve::bench {

struct ProcessSettings {
  int threads = 1;
  std::string instruction_set = {};  // empty: the best there is
};

// Pins the process to `threads` processors (one a core as long as cores last, the last ones first:
// interrupts prefer the first) and tells the rivals' libraries the same number of threads and the
// same instruction set, in the environment variables that they read when they are loaded. To that
// end the program starts itself again: the first call does not return unless it fails, the call in
// the new process does nothing. UNAVAILABLE when the system refuses.
absl::Status PrepareProcess(const ProcessSettings& settings, char** argv);

// "AMD EPYC, 1 of 2 processors (1)".
std::string MachineName();

}  // namespace convserve::bench

#endif  // CONVSERVE_TESTS_BENCH_MACHINE_H_
