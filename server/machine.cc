#include "server/machine.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "tbb/info.h"

namespace convserve {

int Processors() { return tbb::info::default_concurrency(); }

std::int64_t MemoryBytes() {
  std::int64_t bytes = static_cast<std::int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
  for (const char* path :
       {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    std::int64_t limit = 0;
    // Reads nothing where the file says "max".
    if (std::ifstream(path) >> limit && limit > 0) bytes = std::min(bytes, limit);
  }
  return bytes;
}

}  // namespace convserve
