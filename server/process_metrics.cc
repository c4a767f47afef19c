#include "server/process_metrics.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <limits>
#include <memory>
#include <optional>
#include <sstream>
#include <string>

namespace convserve {
namespace {

// proc(5), /proc/pid/stat. The fields after the name, which may contain anything, from the third.
struct Stat {
  std::uint64_t user_ticks = 0;    // 14
  std::uint64_t system_ticks = 0;  // 15
  std::uint64_t start_ticks = 0;   // 22, since boot
  std::uint64_t virtual_bytes = 0;
  std::uint64_t resident_pages = 0;
};

std::optional<Stat> ReadStat() {
  std::ifstream file("/proc/self/stat");
  const std::string text(std::istreambuf_iterator<char>(file), {});
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields(text.substr(name_end + 1));
  const auto skip = [&fields](int count) {
    for (std::string ignored; count > 0; --count) fields >> ignored;
  };
  Stat stat;
  skip(11);
  fields >> stat.user_ticks >> stat.system_ticks;
  skip(6);
  fields >> stat.start_ticks >> stat.virtual_bytes >> stat.resident_pages;
  return fields ? std::optional(stat) : std::nullopt;
}

// Seconds since 1970.
std::optional<double> BootTime() {
  std::ifstream file("/proc/stat");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("btime ")) return std::stod(line.substr(6));
  }
  return std::nullopt;
}

int OpenFileDescriptors() {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir("/proc/self/fd"), closedir);
  if (folder == nullptr) return 0;
  int count = -3;  // ".", ".." and the folder itself
  while (readdir(folder.get()) != nullptr) ++count;
  return count;
}

double MaxFileDescriptors() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur == RLIM_INFINITY ? std::numeric_limits<double>::infinity()
                                         : static_cast<double>(limit.rlim_cur);
}

}  // namespace

std::vector<ProcessMetric> ProcessMetrics() {
  std::vector<ProcessMetric> metrics = {
      {"process_open_fds", "Open file descriptors.", static_cast<double>(OpenFileDescriptors())},
      {"process_max_fds", "File descriptors that may be open.", MaxFileDescriptors()}};
  const std::optional<Stat> stat = ReadStat();
  if (!stat) return metrics;
  const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  const auto page = static_cast<double>(sysconf(_SC_PAGESIZE));
  metrics.push_back({"process_cpu_seconds_total", "Processor time spent.",
                     static_cast<double>(stat->user_ticks + stat->system_ticks) / ticks, true});
  metrics.push_back({"process_virtual_memory_bytes", "Virtual memory.",
                     static_cast<double>(stat->virtual_bytes)});
  metrics.push_back({"process_resident_memory_bytes", "Resident memory.",
                     static_cast<double>(stat->resident_pages) * page});
  if (const auto boot = BootTime()) {
    metrics.push_back({"process_start_time_seconds", "When the process started, since 1970.",
                       *boot + static_cast<double>(stat->start_ticks) / ticks});
  }
  return metrics;
}

}  // namespace convserve
