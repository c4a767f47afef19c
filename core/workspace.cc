#include "core/workspace.h"

#include <array>
#include <cstddef>
#include <mutex>
#include <optional>
#include <utility>

namespace convserve {
namespace {

// Buffers that nobody uses, the one that came last first.
class Kept {
 public:
  // The smallest that holds `size` bytes, and not many times as many.
  std::optional<AlignedBuffer> Take(std::size_t size) {
    const std::scoped_lock lock(mutex_);
    std::optional<AlignedBuffer>* best = nullptr;
    for (std::optional<AlignedBuffer>& buffer : buffers_) {
      if (buffer && buffer->size() >= size && buffer->size() / 4 <= size &&
          (best == nullptr || buffer->size() < (*best)->size())) {
        best = &buffer;
      }
    }
    if (best == nullptr) return std::nullopt;
    bytes_ -= (*best)->size();
    return std::exchange(*best, std::nullopt);
  }

  // Keeps `buffer`; those that then are too much, or too many, are returned, to be freed.
  using Buffers = std::array<std::optional<AlignedBuffer>, 8>;
  Buffers Give(AlignedBuffer buffer) {
    Buffers dropped;
    if (buffer.size() > kKeptWorkspaces) return dropped;
    const std::scoped_lock lock(mutex_);
    bytes_ += buffer.size();
    std::optional<AlignedBuffer> next = std::move(buffer);
    for (std::optional<AlignedBuffer>& place : buffers_) {
      std::swap(place, next);
      if (!next) break;
    }
    if (next) bytes_ -= next->size();
    dropped[0] = std::move(next);
    for (std::size_t i = buffers_.size(); i-- > 1 && bytes_ > kKeptWorkspaces;) {
      if (!buffers_[i]) continue;
      bytes_ -= buffers_[i]->size();
      dropped[i] = std::exchange(buffers_[i], std::nullopt);
    }
    return dropped;
  }

 private:
  std::mutex mutex_;
  Buffers buffers_;
  std::size_t bytes_ = 0;
};

Kept& KeptWorkspaces() {
  static Kept& kept = *new Kept;  // for threads that outlive main
  return kept;
}

AlignedBuffer TakeOrAllocate(std::size_t size) {
  if (std::optional<AlignedBuffer> buffer = KeptWorkspaces().Take(size)) return *std::move(buffer);
  return AlignedBuffer(static_cast<std::int64_t>(size));
}

}  // namespace

Workspace::Workspace(std::int64_t size)
    : size_(static_cast<std::size_t>(size)), buffer_(TakeOrAllocate(size_)) {}

Workspace::~Workspace() { KeptWorkspaces().Give(std::move(buffer_)); }

}  // namespace convserve
