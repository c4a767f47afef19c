// The memory and the processors that a container leaves to this process, from files as the kernel
// lays them out.
#include "server/machine.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "gtest/gtest.h"

namespace convserve {
namespace {

namespace fs = std::filesystem;

constexpr char kNone[] = "9223372036854771712\n";  // version 1's way to say "max"

struct Case {
  const char* name;
  std::map<std::string, std::string> files;
  std::optional<std::int64_t> memory;
  std::optional<std::int64_t> processors = {};
};

class ControlGroup : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    root_ = fs::temp_directory_path() /
            ("convserve-machine-" + std::to_string(getpid()) + GetParam().name);
    for (const auto& [path, text] : GetParam().files) {
      fs::create_directories((root_ / path).parent_path());
      std::ofstream(root_ / path) << text;
    }
  }
  void TearDown() override { fs::remove_all(root_); }

  fs::path root_;
};

TEST_P(ControlGroup, LimitsMemoryAndProcessors) {
  EXPECT_EQ(ControlGroupMemory(root_.string()), GetParam().memory);
  EXPECT_EQ(ControlGroupProcessors(root_.string()), GetParam().processors);
}

INSTANTIATE_TEST_SUITE_P(
    Machine, ControlGroup,
    ::testing::Values(
        Case{"NoControlGroups", {}, {}},
        Case{"Version2Unlimited",
             {{"proc/self/cgroup", "0::/\n"}, {"sys/fs/cgroup/memory.max", "max\n"}},
             {}},
        Case{"Version2Container",
             {{"proc/self/cgroup", "0::/\n"}, {"sys/fs/cgroup/memory.max", "536870912\n"}},
             536870912},
        Case{"Version2Service",
             {{"proc/self/cgroup", "0::/system.slice/convserve.service\n"},
              {"sys/fs/cgroup/system.slice/memory.max", "max\n"},
              {"sys/fs/cgroup/system.slice/convserve.service/memory.max", "1000\n"}},
             1000},
        Case{"Version2AGroupAboveIsSmaller",
             {{"proc/self/cgroup", "0::/a/b\n"},
              {"sys/fs/cgroup/a/memory.max", "500\n"},
              {"sys/fs/cgroup/a/b/memory.max", "1000\n"}},
             500},
        Case{"Version1Unlimited",
             {{"proc/self/cgroup", "4:memory:/\n"},
              {"sys/fs/cgroup/memory/memory.limit_in_bytes", kNone}},
             {}},
        Case{"Version1ContainerThatSeesItsGroupAsTheMount",
             {{"proc/self/cgroup", "4:memory:/docker/0123\n0::/docker/0123\n"},
              {"sys/fs/cgroup/memory/memory.limit_in_bytes", "268435456\n"}},
             268435456},
        Case{"Version1GroupBelowTheMount",
             {{"proc/self/cgroup", "8:pids:/x\n5:cpu,memory:/jobs/one\n"},
              {"sys/fs/cgroup/memory/memory.limit_in_bytes", kNone},
              {"sys/fs/cgroup/memory/jobs/one/memory.limit_in_bytes", "4096\n"}},
             4096},
        Case{"Both",
             {{"proc/self/cgroup", "4:memory:/\n0::/u\n"},
              {"sys/fs/cgroup/memory/memory.limit_in_bytes", "3000\n"},
              {"sys/fs/cgroup/unified/u/memory.max", "2000\n"}},
             2000},
        Case{"Version2WholeProcessors",
             {{"proc/self/cgroup", "0::/\n"}, {"sys/fs/cgroup/cpu.max", "400000 100000\n"}},
             {},
             4},
        Case{"Version2PartOfAProcessorIsRoundedUp",
             {{"proc/self/cgroup", "0::/a\n"}, {"sys/fs/cgroup/a/cpu.max", "150000 100000\n"}},
             {},
             2},
        Case{"Version2LessThanAProcessor", {{"sys/fs/cgroup/cpu.max", "1000 100000\n"}}, {}, 1},
        Case{"Version2ProcessorsUnlimited",
             {{"proc/self/cgroup", "0::/\n"}, {"sys/fs/cgroup/cpu.max", "max 100000\n"}},
             {}},
        Case{"Version2AGroupAboveHasFewerProcessors",
             {{"proc/self/cgroup", "0::/a/b\n"},
              {"sys/fs/cgroup/a/cpu.max", "100000 50000\n"},
              {"sys/fs/cgroup/a/b/cpu.max", "300000 100000\n"}},
             {},
             2},
        Case{"Version1Processors",
             {{"proc/self/cgroup", "3:cpuset:/x\n2:cpu,cpuacct:/jobs/one\n"},
              {"sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"},
              {"sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"},
              {"sys/fs/cgroup/cpu/jobs/one/cpu.cfs_quota_us", "250000\n"},
              {"sys/fs/cgroup/cpu/jobs/one/cpu.cfs_period_us", "100000\n"}},
             {},
             3},
        Case{"Version1ContainerThatSeesItsProcessorsAsTheMount",
             {{"proc/self/cgroup", "4:cpu:/docker/0123\n"},
              {"sys/fs/cgroup/cpu/cpu.cfs_quota_us", "200000\n"},
              {"sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"}},
             {},
             2},
        Case{"MemoryAndProcessors",
             {{"proc/self/cgroup", "0::/\n"},
              {"sys/fs/cgroup/memory.max", "1000\n"},
              {"sys/fs/cgroup/cpu.max", "300000 100000\n"}},
             1000,
             3},
        Case{"Nonsense",
             {{"proc/self/cgroup", "\n:\nmemory\ncpu\n0::\n"},
              {"sys/fs/cgroup/memory.max", "-1\n"},
              {"sys/fs/cgroup/cpu.max", "100000 0\n"},
              {"sys/fs/cgroup/cpu/cpu.cfs_quota_us", "100000\n"}},
             {}}),
    [](const auto& info) { return info.param.name; });

TEST(Machine, HasMemoryAndProcessors) {
  EXPECT_GT(MemoryBytes(), 0);
  EXPECT_GE(Processors(), 1);
}

}  // namespace
}  // namespace convserve
