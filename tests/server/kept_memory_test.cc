// What of freed memory is kept while requests hold memory, and for how long.
#include "server/kept_memory.h"

#include <thread>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/block_cache.h"
#include "gtest/gtest.h"

namespace convserve {
namespace {

constexpr std::int64_t kPage = AlignedBuffer::kHugePage;
constexpr std::int64_t kBudget = 64 * kPage;

std::int64_t Kept() { return static_cast<std::int64_t>(BlockCache::Instance().kept()); }

void FreeBlocks(int count) {
  std::vector<AlignedBuffer> blocks;
  for (int i = 0; i < count; ++i) blocks.emplace_back(4 * kPage);
}

TEST(KeptMemory, RequestsAndKeptBlocksShareTheBudget) {
  BlockCache::Instance().SetLimit(0);  // nothing of other tests
  KeptMemory memory(kBudget, std::chrono::hours(1));
  memory.Held(32 * kPage);
  FreeBlocks(10);
  EXPECT_EQ(Kept(), 32 * kPage) << "what requests do not hold";
  memory.Held(44 * kPage);
  EXPECT_EQ(Kept(), 20 * kPage);
  memory.Held(kBudget);
  EXPECT_EQ(Kept(), kBudget / 8) << "a small part beside the budget";
  memory.Held(kPage);
  FreeBlocks(10);
  EXPECT_EQ(Kept(), 40 * kPage);
}

TEST(KeptMemory, AnIdleServerGivesItBack) {
  BlockCache::Instance().SetLimit(0);
  KeptMemory memory(kBudget, std::chrono::milliseconds(200));
  memory.Held(kPage);
  FreeBlocks(10);
  EXPECT_EQ(Kept(), 40 * kPage);
  while (Kept() > kBudget / 8) std::this_thread::yield();
}

}  // namespace
}  // namespace convserve
