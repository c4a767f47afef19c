// Memory that runs work in, kept from run to run.
#include "core/workspace.h"

#include <algorithm>
#include <cstdint>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace convserve {
namespace {

constexpr std::int64_t kMegabyte = std::int64_t{1} << 20;

TEST(Workspace, IsTheOneThatWasGivenBack) {
  const std::byte* first = nullptr;
  {
    Workspace workspace(3 * kMegabyte);
    first = workspace.span().data();
  }
  Workspace workspace(2 * kMegabyte);
  EXPECT_EQ(workspace.span().data(), first);
  EXPECT_EQ(workspace.span().size(), 2U * kMegabyte);
}

TEST(Workspace, BelongsToOneAtATime) {
  Workspace one(kMegabyte);
  Workspace other(kMegabyte);
  EXPECT_NE(one.span().data(), other.span().data());
}

TEST(Workspace, IsNotManyTimesAsLargeAsAskedFor) {
  const std::byte* large = nullptr;
  {
    Workspace workspace(40 * kMegabyte);
    large = workspace.span().data();
  }
  Workspace workspace(64);
  EXPECT_NE(workspace.span().data(), large);
}

TEST(Workspace, ServesManyThreads) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      for (std::int64_t i = 0; i < 200; ++i) {
        Workspace workspace((i % 20 + 1) * 100'000);
        const std::span<std::byte> bytes = workspace.span();
        std::fill(bytes.begin(), bytes.end(), std::byte(t));
        std::this_thread::yield();
        EXPECT_TRUE(std::all_of(bytes.begin(), bytes.end(),
                                [&](std::byte byte) { return byte == std::byte(t); }));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace convserve
