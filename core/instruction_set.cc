// Which of the compiled instruction sets kernels run on: Highway's dispatch, given names and a
// choice.
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "core/convolve.h"
#include "core/kernels/gemm_kernel.h"
#include "core/kernels/targets.h"
#include "fmt/format.h"
#include "hwy/highway.h"

namespace convserve {
namespace {

struct NamedTargets {
  std::string_view name;
  std::int64_t targets;
};

// Best first. Highway tells several generations of AVX-512 apart; the kernels do not.
constexpr std::array<NamedTargets, 4> kNames = {{
    {"avx512", HWY_AVX3 | HWY_AVX3_DL},
    {"avx2", HWY_AVX2},
    {"neon", HWY_NEON},
    {"portable", HWY_SCALAR | HWY_EMU128},
}};

// What this machine can run of what was compiled; the portable kernels run everywhere.
bool Runs(const NamedTargets& named) {
  if ((named.targets & HWY_TARGETS) == 0) return false;
  return named.name == "portable" || (named.targets & HWY_TARGETS & hwy::SupportedTargets()) != 0;
}

}  // namespace

std::string_view InstructionSet() { return Kernels().instruction_set; }

std::vector<std::string_view> InstructionSets() {
  std::vector<std::string_view> names;
  for (const NamedTargets& named : kNames) {
    if (Runs(named)) names.push_back(named.name);
  }
  return names;
}

absl::Status ForceInstructionSet(std::string_view name) {
  if (name.empty()) {
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    return absl::OkStatus();
  }
  const std::string runnable = fmt::format("{}", fmt::join(InstructionSets(), ", "));
  for (const NamedTargets& named : kNames) {
    if (named.name != name) continue;
    if (!Runs(named)) {
      return absl::FailedPreconditionError(
          fmt::format("instruction set {}: this machine runs {}", name, runnable));
    }
    hwy::GetChosenTarget().Update(named.targets & hwy::SupportedTargets());
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      fmt::format("instruction set: expected one of {}, got {}", runnable, name));
}

}  // namespace convserve
