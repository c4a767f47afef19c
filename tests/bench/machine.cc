#include "tests/bench/machine.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "fmt/format.h"

namespace convserve::bench {
namespace {

constexpr char kPrepared[] = "CONVSERVE_BENCH_PREPARED";

std::string FirstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::vector<int> AllowedProcessors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> processors;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return processors;
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(i, &set)) processors.push_back(i);
  }
  return processors;
}

// Processors by preference: the last first, second threads of a core after all first ones.
std::vector<int> PreferredProcessors() {
  std::vector<int> allowed = AllowedProcessors();
  std::reverse(allowed.begin(), allowed.end());
  std::map<std::string, int> taken_of_core;
  std::vector<std::pair<int, int>> ranked;
  for (const int processor : allowed) {
    const std::string siblings = FirstLine(
        fmt::format("/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list", processor));
    ranked.emplace_back(siblings.empty() ? 0 : taken_of_core[siblings]++, processor);
  }
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<int> processors;
  for (const auto& [rank, processor] : ranked) processors.push_back(processor);
  return processors;
}

absl::Status Pin(int threads) {
  const std::vector<int> preferred = PreferredProcessors();
  cpu_set_t set;
  CPU_ZERO(&set);
  for (std::size_t i = 0; i < std::min(preferred.size(), static_cast<std::size_t>(threads)); ++i) {
    CPU_SET(preferred[i], &set);
  }
  if (sched_setaffinity(0, sizeof set, &set) == 0) return absl::OkStatus();
  return absl::UnavailableError(fmt::format("sched_setaffinity: {}", std::strerror(errno)));
}

// What the rivals call an instruction set.
struct IsaNames {
  std::string_view ours;
  const char* onednn;
  const char* openblas;
};
constexpr std::array kIsaNames = {
    IsaNames{"avx512", "AVX512_CORE", "SkylakeX"},
    IsaNames{"avx2", "AVX2", "Haswell"},
    IsaNames{"portable", "SSE41", "Prescott"},
};

void SetEnvironment(const ProcessSettings& settings) {
  const auto set = [](const char* name, const std::string& value) {
    setenv(name, value.c_str(), 1);
  };
  set(kPrepared, "1");
  set("OMP_NUM_THREADS", std::to_string(settings.threads));
  set("OPENBLAS_NUM_THREADS", std::to_string(settings.threads));
  // Idle threads of one contender would spin through the turn of the next.
  set("GOMP_SPINCOUNT", "10000");
  set("OPENBLAS_THREAD_TIMEOUT", "16");
  for (const IsaNames& names : kIsaNames) {
    if (names.ours != settings.instruction_set) continue;
    set("ONEDNN_MAX_CPU_ISA", names.onednn);
    set("OPENBLAS_CORETYPE", names.openblas);
  }
}

}  // namespace

absl::Status PrepareProcess(const ProcessSettings& settings, char** argv) {
  if (std::getenv(kPrepared) != nullptr) return absl::OkStatus();
  if (absl::Status pinned = Pin(settings.threads); !pinned.ok()) return pinned;
  SetEnvironment(settings);
  execv("/proc/self/exe", argv);
  return absl::UnavailableError(fmt::format("execv: {}", std::strerror(errno)));
}

std::string MachineName() {
  std::ifstream file("/proc/cpuinfo");
  std::string model = "unknown processor";
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) {
      model = line.substr(line.find(':') + 2);
      break;
    }
  }
  const std::vector<int> allowed = AllowedProcessors();
  return fmt::format("{}, {} of {} processors ({})", model, allowed.size(),
                     sysconf(_SC_NPROCESSORS_ONLN), fmt::join(allowed, ", "));
}

}  // namespace convserve::bench
