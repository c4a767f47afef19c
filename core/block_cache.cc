#include "core/block_cache.h"

#include <algorithm>
#include <cstdlib>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(data, bytes) ((void)(data), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(data, bytes) ((void)(data), (void)(bytes))
#endif

namespace convserve {
BlockCache& BlockCache::Instance() {
  static auto& cache = *new BlockCache;  // tensors may outlive every static object
  return cache;
}

BlockCache::Block BlockCache::Take(std::size_t bytes) {
  Blocks given_up;
  Block found;
  {
    const std::lock_guard lock(mutex_);
    std::size_t best = blocks_.count;
    for (std::size_t i = 0; i < blocks_.count; ++i) {
      const std::size_t size = blocks_.array[i].bytes;
      if (size < bytes || size - bytes > bytes / 4) continue;
      if (best == blocks_.count || size < blocks_.array[best].bytes) best = i;
    }
    if (best == blocks_.count) {
      given_up = GiveUp(bytes);
    } else {
      found = Remove(best);
    }
  }
  Free(given_up);
  ASAN_UNPOISON_MEMORY_REGION(found.data, found.bytes);
  return found;
}

void BlockCache::Give(Block block) {
  Blocks given_up;
  {
    const std::lock_guard lock(mutex_);
    if (block.bytes > limit_) {
      given_up = {{block}, 1};
    } else {
      const std::size_t room = limit_ - block.bytes;
      given_up = GiveUp(kept_ - std::min(kept_, room));
      if (blocks_.count == kBlocks) given_up = {{Remove(0)}, 1};
      ASAN_POISON_MEMORY_REGION(block.data, block.bytes);
      blocks_.array[blocks_.count++] = block;
      kept_ += block.bytes;
    }
  }
  Free(given_up);
}

void BlockCache::SetLimit(std::size_t bytes) {
  std::unique_lock lock(mutex_);
  limit_ = bytes;
  if (kept_ <= limit_) return;
  const Blocks given_up = GiveUp(kept_ - limit_);
  lock.unlock();
  Free(given_up);
}

std::size_t BlockCache::kept() const {
  const std::lock_guard lock(mutex_);
  return kept_;
}

void BlockCache::Free(const Blocks& blocks) {
  for (std::size_t i = 0; i < blocks.count; ++i) {
    const Block& block = blocks.array[i];
    ASAN_UNPOISON_MEMORY_REGION(block.data, block.bytes);
    std::free(block.data);
  }
}

BlockCache::Block BlockCache::Remove(std::size_t index) {
  const auto at = blocks_.array.begin() + static_cast<std::ptrdiff_t>(index);
  const Block block = *at;
  std::copy(at + 1, blocks_.array.begin() + static_cast<std::ptrdiff_t>(blocks_.count), at);
  --blocks_.count;
  kept_ -= block.bytes;
  return block;
}

BlockCache::Blocks BlockCache::GiveUp(std::size_t bytes) {
  Blocks given_up;
  for (std::size_t sum = 0; blocks_.count > 0 && sum < bytes;) {
    given_up.array[given_up.count] = Remove(0);
    sum += given_up.array[given_up.count++].bytes;
  }
  return given_up;
}

}  // namespace convserve
