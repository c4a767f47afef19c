// Raw memory aligned to a cache line.
#ifndef CONVSERVE_CORE_ALIGNED_BUFFER_H_
#define CONVSERVE_CORE_ALIGNED_BUFFER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace convserve {

// Owns `size` uninitialised bytes aligned to 64. Throws std::bad_alloc. data() is never null, also
// for size 0. Large ones are of huge pages where the system grants them, and come from and go to
// BlockCache.
class AlignedBuffer {
 public:
  static constexpr std::size_t kAlignment = 64;
  static constexpr std::size_t kHugePage = std::size_t{2} << 20;

  explicit AlignedBuffer(std::int64_t size);

  std::byte* data() { return data_.get(); }
  const std::byte* data() const { return data_.get(); }
  std::size_t size() const { return size_; }
  std::span<std::byte> span() { return {data_.get(), size_}; }

 private:
  struct Release {
    std::size_t bytes;  // allocated
    void operator()(std::byte* data) const;
  };
  std::size_t size_;
  std::unique_ptr<std::byte[], Release> data_;
};

}  // namespace convserve

#endif  // CONVSERVE_CORE_ALIGNED_BUFFER_H_
