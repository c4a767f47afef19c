// What this process may use of the machine that it runs on.
#ifndef CONVSERVE_SERVER_MACHINE_H_
#define CONVSERVE_SERVER_MACHINE_H_

#include <cstdint>
#include <optional>
#include <string>

namespace convserve {

// Processors that this process may use: those that it may run on, or what the control group
// (container) has of their time where that is less. At least one.
int Processors();

// Bytes of memory: the machine's, or the limit of the control group where that is less.
std::int64_t MemoryBytes();

// The least limit of this process's control group and of those above it, version 1 or 2, as far as
// they can be seen; nothing where none is set. Files are looked for under `root`:
// proc/self/cgroup and sys/fs/cgroup. A share of processors is rounded up: with 1.5 of them two
// threads are busy for three quarters of the time, one would leave a third unused.
std::optional<std::int64_t> ControlGroupMemory(const std::string& root = "/");
std::optional<std::int64_t> ControlGroupProcessors(const std::string& root = "/");

}  // namespace convserve

#endif  // CONVSERVE_SERVER_MACHINE_H_
