// What is kept of freed memory, and that it is never more than was in use.
#include "core/block_cache.h"

#include <cstdlib>

#include "core/aligned_buffer.h"
#include "gtest/gtest.h"

namespace convserve {
namespace {

constexpr std::size_t kPage = AlignedBuffer::kHugePage;

BlockCache::Block Make(std::size_t pages) {
  return {static_cast<std::byte*>(std::aligned_alloc(kPage, pages * kPage)), pages * kPage};
}

TEST(BlockCache, GivesWhatFitsWithLittleToSpare) {
  BlockCache cache;
  const BlockCache::Block eight = Make(8);
  const BlockCache::Block nine = Make(9);
  cache.Give(nine);
  cache.Give(eight);
  EXPECT_EQ(cache.kept(), 17 * kPage);
  const BlockCache::Block found = cache.Take(8 * kPage);
  EXPECT_EQ(found.data, eight.data) << "the smaller of the two";
  EXPECT_EQ(cache.Take(8 * kPage).data, nine.data) << "an eighth more";
  EXPECT_EQ(cache.kept(), 0);
  cache.Give(nine);
  EXPECT_EQ(cache.Take(7 * kPage).data, nullptr) << "two sevenths more";
  std::free(eight.data);
}

TEST(BlockCache, GivesUpAsMuchAsTheSystemIsAskedFor) {
  BlockCache cache;
  for (int i = 0; i < 4; ++i) cache.Give(Make(2));
  EXPECT_EQ(cache.Take(3 * kPage).data, nullptr);
  EXPECT_EQ(cache.kept(), 4 * kPage);
  EXPECT_EQ(cache.Take(100 * kPage).data, nullptr);
  EXPECT_EQ(cache.kept(), 0);
}

TEST(BlockCache, KeepsNoMoreThanItsLimit) {
  BlockCache cache;
  cache.SetLimit(5 * kPage);
  const BlockCache::Block newest = Make(2);
  cache.Give(Make(2));
  cache.Give(Make(2));
  cache.Give(newest);
  EXPECT_EQ(cache.kept(), 4 * kPage);
  cache.Give(Make(6));
  EXPECT_EQ(cache.kept(), 4 * kPage) << "a block beyond the limit displaces nobody";
  cache.SetLimit(2 * kPage);
  EXPECT_EQ(cache.kept(), 2 * kPage);
  EXPECT_EQ(cache.Take(2 * kPage).data, newest.data);
  std::free(newest.data);
}

TEST(BlockCache, ManySmallBlocksDisplaceTheOldest) {
  BlockCache cache;
  cache.SetLimit(1000 * kPage);
  for (int i = 0; i < 100; ++i) cache.Give(Make(1));
  EXPECT_LT(cache.kept(), 100 * kPage);
  EXPECT_GT(cache.kept(), 0);
}

TEST(AlignedBuffer, LargeOnesAreUsedAgain) {
  BlockCache::Instance().SetLimit(0);  // frees what tests before this one left
  BlockCache::Instance().SetLimit(BlockCache::kLimit);
  const std::byte* data = nullptr;
  {
    AlignedBuffer buffer(3 * kPage + 1);
    data = buffer.data();
    buffer.data()[buffer.size() - 1] = std::byte{1};
  }
  const AlignedBuffer again(4 * kPage);
  EXPECT_EQ(again.data(), data);
  EXPECT_EQ(again.size(), 4 * kPage);
}

}  // namespace
}  // namespace convserve
