// What this process may use of the machine that it runs on.
#ifndef CONVSERVE_SERVER_MACHINE_H_
#define CONVSERVE_SERVER_MACHINE_H_

#include <cstdint>

namespace convserve {

// Processors that this process may run on.
int Processors();

// Bytes of memory: the machine's, or the limit of the control group (container) where that is less.
std::int64_t MemoryBytes();

}  // namespace convserve

#endif  // CONVSERVE_SERVER_MACHINE_H_
