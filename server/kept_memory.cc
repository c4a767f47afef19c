#include "server/kept_memory.h"

#include <malloc.h>

#include <algorithm>

#include "core/block_cache.h"

namespace convserve {
namespace {

// What the C library keeps at the end of its heap.
constexpr int kKeptBytes = 32 << 20;

void Trim() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

}  // namespace

KeptMemory::KeptMemory(std::int64_t budget, std::chrono::milliseconds period)
    : budget_(budget),
      least_(std::min(static_cast<std::int64_t>(BlockCache::kLimit), budget / 8)),
      period_(period),
      thread_([this](const std::stop_token& stop) { GiveBackWhenIdle(stop); }) {}

void KeptMemory::Held(std::int64_t bytes) {
  used_ = true;
  BlockCache::Instance().SetLimit(static_cast<std::size_t>(std::max(least_, budget_ - bytes)));
}

// The C library gives back the end of its heap by itself, but not where small objects lie behind
// what was freed.
void KeptMemory::MessageFreed(std::int64_t bytes) {
  if (bytes > kKeptBytes && !long_messages_.exchange(true)) Trim();
}

void KeptMemory::GiveBackWhenIdle(const std::stop_token& stop) {
  bool given_back = false;
  std::unique_lock lock(mutex_);
  while (!stopped_.wait_for(lock, stop, period_, [&] { return stop.stop_requested(); })) {
    if (used_.exchange(false)) {
      given_back = false;
    } else if (!given_back) {
      // What computes for longer than a period has its memory already.
      BlockCache::Instance().SetLimit(static_cast<std::size_t>(least_));
      long_messages_ = false;
      Trim();
      given_back = true;
    }
  }
}

// gRPC receives a message in many small pieces, and by itself the C library gives their memory back
// as soon as they are freed. One heap for all threads: what is kept is kept once. Large blocks stay
// apart, so that each can go back alone.
void KeepFreedMemory() {
#ifdef __GLIBC__
  mallopt(M_ARENA_MAX, 1);
  mallopt(M_MMAP_THRESHOLD, 1 << 20);
  mallopt(M_TRIM_THRESHOLD, kKeptBytes);
#endif
}

}  // namespace convserve
