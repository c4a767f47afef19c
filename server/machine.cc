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

// What one group is limited to by its own files, if it is.
using Limit = std::optional<std::int64_t> (*)(const fs::path& group);

// A controller of control groups, and its limit under either version.
struct Controller {
  const char* name;
  Limit version1;
  Limit version2;
};

std::optional<std::int64_t> FirstNumber(const fs::path& file) {
  std::int64_t number = 0;
  // There is none where the file says "max".
  if (std::ifstream(file) >> number && number > 0) return number;
  return std::nullopt;
}

// So many whole processors hold `quota` microseconds of computing in each `period`.
std::optional<std::int64_t> WholeProcessors(std::optional<std::int64_t> quota,
                                            std::optional<std::int64_t> period) {
  if (!quota || !period) return std::nullopt;
  return (*quota - 1) / *period + 1;
}

constexpr Controller kMemory{
    .name = "memory",
    .version1 = [](const fs::path& group) { return FirstNumber(group / "memory.limit_in_bytes"); },
    .version2 = [](const fs::path& group) { return FirstNumber(group / "memory.max"); }};

constexpr Controller kProcessors{
    .name = "cpu",
    .version1 =
        [](const fs::path& group) {
          return WholeProcessors(FirstNumber(group / "cpu.cfs_quota_us"),
                                 FirstNumber(group / "cpu.cfs_period_us"));
        },
    .version2 = [](const fs::path& group) -> std::optional<std::int64_t> {
      std::ifstream file(group / "cpu.max");
      std::int64_t quota = 0;
      std::int64_t period = 0;
      if (!(file >> quota >> period) || quota <= 0 || period <= 0) return std::nullopt;
      return WholeProcessors(quota, period);
    }};

constexpr std::int64_t kNone = std::numeric_limits<std::int64_t>::max();

// The least limit in `mount`, in `group` below it, or in between. A container often sees its own
// group as the mount itself, under a name that only the machine knows.
std::int64_t LeastLimit(const fs::path& mount, const fs::path& group, Limit limit) {
  fs::path folder = mount;
  std::int64_t least = limit(folder).value_or(kNone);
  for (const fs::path& part : group.relative_path()) {
    folder /= part;
    least = std::min(least, limit(folder).value_or(kNone));
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

// The least limit of this process's group and of those above it, as far as they can be seen.
std::optional<std::int64_t> LeastLimit(const std::string& root, const Controller& controller) {
  const fs::path mounts = fs::path(root) / "sys/fs/cgroup";
  std::int64_t least = std::min(LeastLimit(mounts, {}, controller.version2),
                                LeastLimit(mounts / controller.name, {}, controller.version1));
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
        least = std::min(least, LeastLimit(mount, group, controller.version2));
      }
    } else if (Lists(controllers, controller.name)) {
      least = std::min(least, LeastLimit(mounts / controller.name, group, controller.version1));
    }
  }
  if (least == kNone) return std::nullopt;
  return least;
}

}  // namespace

int Processors() {
  const int allowed = tbb::info::default_concurrency();
  return static_cast<int>(
      std::min<std::int64_t>(allowed, ControlGroupProcessors().value_or(allowed)));
}

std::optional<std::int64_t> ControlGroupProcessors(const std::string& root) {
  return LeastLimit(root, kProcessors);
}

std::int64_t MemoryBytes() {
  const std::int64_t bytes =
      static_cast<std::int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
  return std::min(bytes, ControlGroupMemory().value_or(bytes));
}

std::optional<std::int64_t> ControlGroupMemory(const std::string& root) {
  const std::optional<std::int64_t> least = LeastLimit(root, kMemory);
  // Version 1 spells "none" as a number that no machine has.
  constexpr std::int64_t kUnlimited = std::int64_t{1} << 60;
  return least < kUnlimited ? least : std::nullopt;
}

}  // namespace convserve
