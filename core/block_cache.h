// Large blocks of memory that were freed, kept for the next who asks: the system clears each page
// that it grants, which for a tensor that is passed through once costs more than computing it.
#ifndef CONVSERVE_CORE_BLOCK_CACHE_H_
#define CONVSERVE_CORE_BLOCK_CACHE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>

namespace convserve {

// Blocks of std::aligned_alloc. Before it sends somebody to the system, it gives back as much as
// they will take from there: blocks in use and blocks kept never take more memory together than the
// blocks in use once did, or than those in use now. Allocates nothing. Thread-safe.
class BlockCache {
 public:
  // What is kept at most unless SetLimit says otherwise.
  static constexpr std::size_t kLimit = std::size_t{64} << 20;

  // The one of this process.
  static BlockCache& Instance();

  BlockCache() = default;
  ~BlockCache() { SetLimit(0); }
  BlockCache(const BlockCache&) = delete;
  BlockCache& operator=(const BlockCache&) = delete;

  struct Block {
    std::byte* data = nullptr;
    std::size_t bytes = 0;
  };

  // A block of at least `bytes` and at most a quarter more, for the caller to Give back or to free;
  // {} where none is kept.
  Block Take(std::size_t bytes);

  // Keeps the block, or frees it.
  void Give(Block block);

  // Keeps at most so many bytes from now on.
  void SetLimit(std::size_t bytes);

  std::size_t kept() const;

 private:
  static constexpr std::size_t kBlocks = 32;

  // The oldest first.
  struct Blocks {
    std::array<Block, kBlocks> array;
    std::size_t count = 0;
  };
  static void Free(const Blocks& blocks);

  // All below need mutex_.
  Block Remove(std::size_t index);
  // Takes the oldest blocks out, of `bytes` together where there are so many.
  Blocks GiveUp(std::size_t bytes);

  mutable std::mutex mutex_;
  std::size_t limit_ = kLimit;
  std::size_t kept_ = 0;
  Blocks blocks_;
};

}  // namespace convserve

#endif  // CONVSERVE_CORE_BLOCK_CACHE_H_
