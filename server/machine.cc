#include "server/machine.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string_view>

#include "tbb/info.h"

namespace convserve {
namespace {

namespace fs = std::filesystem;

// The least number that `file` states in `mount`, in `group` below it, or in between. A container
// often sees its own group as the mount itself, under a name that only the machine knows.
std::int64_t LeastLimit(const fs::path& mount, const fs::path& group, const char* file) {
  std::int64_t least = std::numeric_limits<std::int64_t>::max();
  fs::path folder = mount;
  const auto look = [&] {
    std::int64_t limit = 0;
    // Reads nothing where the file says "max".
    if (std::ifstream(folder / file) >> limit && limit > 0) least = std::min(least, limit);
  };
  look();
  for (const fs::path& part : group.relative_path()) {
    folder /= part;
    look();
  }
  return least;
}

bool Lists(std::string_view controllers, std::string_view wanted) {
  while (!controllers.empty()) {
    const std::size_t comma = std::min(controllers.find(','), controllers.size());
    if (controllers.substr(0, comma) == wanted) return true;
    controllers.remove_prefix(std::min(comma + 1, controllers.size()));
  }
  return false;
}

}  // namespace

int Processors() { return tbb::info::default_concurrency(); }

std::int64_t MemoryBytes() {
  const std::int64_t bytes =
      static_cast<std::int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
  return std::min(bytes, ControlGroupMemory().value_or(bytes));
}

std::optional<std::int64_t> ControlGroupMemory(const std::string& root) {
  const fs::path mounts = fs::path(root) / "sys/fs/cgroup";
  std::int64_t least = std::min(LeastLimit(mounts, {}, "memory.max"),
                                LeastLimit(mounts / "memory", {}, "memory.limit_in_bytes"));
  std::ifstream groups(fs::path(root) / "proc/self/cgroup");
  // Lines of ID:CONTROLLERS:PATH; version 2 is the one without controllers.
  for (std::string line; std::getline(groups, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const fs::path group = line.substr(second + 1);
    if (controllers.empty()) {
      for (const fs::path& mount : {mounts, mounts / "unified"}) {
        least = std::min(least, LeastLimit(mount, group, "memory.max"));
      }
    } else if (Lists(controllers, "memory")) {
      least = std::min(least, LeastLimit(mounts / "memory", group, "memory.limit_in_bytes"));
    }
  }
  // Version 1 spells "none" as a number that no machine has.
  constexpr std::int64_t kUnlimited = std::int64_t{1} << 60;
  if (least >= kUnlimited) return std::nullopt;
  return least;
}

}  // namespace convserve
