// Raw memory aligned to a cache line.
#ifndef CONVSERVE_CORE_ALIGNED_BUFFER_H_
#define CONVSERVE_CORE_ALIGNED_BUFFER_H_

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>

namespace convserve {

// Owns `size` uninitialised bytes aligned to 64. Throws std::bad_alloc. data() is never null, also
// for size 0.
class AlignedBuffer {
 public:
  static constexpr std::size_t kAlignment = 64;
  static constexpr std::size_t kHugePage = std::size_t{2} << 20;

  explicit AlignedBuffer(std::int64_t size) : size_(static_cast<std::size_t>(size)) {
    const std::size_t alignment = size_ >= kHugePage ? kHugePage : kAlignment;
    // std::aligned_alloc wants a multiple of the alignment; those of huge pages are given up again
    // where they are not reached.
    const std::size_t blocks = (size_ + alignment - 1) / alignment;
    data_.reset(static_cast<std::byte*>(
        std::aligned_alloc(alignment, std::max<std::size_t>(blocks, 1) * alignment)));
    if (data_ == nullptr) throw std::bad_alloc();
    if (size_ >= kHugePage) madvise(data_.get(), size_ / kHugePage * kHugePage, MADV_HUGEPAGE);
  }

  std::byte* data() { return data_.get(); }
  const std::byte* data() const { return data_.get(); }
  std::size_t size() const { return size_; }
  std::span<std::byte> span() { return {data_.get(), size_}; }

 private:
  struct Free {
    void operator()(std::byte* data) const { std::free(data); }
  };
  std::size_t size_;
  std::unique_ptr<std::byte[], Free> data_;
};

}  // namespace convserve

#endif  // CONVSERVE_CORE_ALIGNED_BUFFER_H_
