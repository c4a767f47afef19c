#include "core/aligned_buffer.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <new>

#include "core/block_cache.h"

namespace convserve {
namespace {

bool IsLarge(std::size_t bytes) { return bytes >= AlignedBuffer::kHugePage; }

BlockCache::Block Allocate(std::size_t size) {
  const std::size_t alignment =
      IsLarge(size) ? AlignedBuffer::kHugePage : AlignedBuffer::kAlignment;
  // std::aligned_alloc wants a multiple of the alignment; of huge pages, what is not reached takes
  // no memory.
  const std::size_t bytes =
      std::max<std::size_t>((size + alignment - 1) / alignment, 1) * alignment;
  if (IsLarge(size)) {
    const BlockCache::Block kept = BlockCache::Instance().Take(bytes);
    if (kept.data != nullptr) return kept;
  }
  auto* data = static_cast<std::byte*>(std::aligned_alloc(alignment, bytes));
  if (data == nullptr) throw std::bad_alloc();
  if (IsLarge(size)) madvise(data, size / alignment * alignment, MADV_HUGEPAGE);
  return {data, bytes};
}

}  // namespace

AlignedBuffer::AlignedBuffer(std::int64_t size) : size_(static_cast<std::size_t>(size)) {
  const BlockCache::Block block = Allocate(size_);
  data_ = {block.data, Release{block.bytes}};
}

void AlignedBuffer::Release::operator()(std::byte* data) const {
  if (IsLarge(bytes)) return BlockCache::Instance().Give({data, bytes});
  std::free(data);
}

}  // namespace convserve
