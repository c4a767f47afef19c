// Workspaces of runs, kept from run to run: memory fresh from the system is cleared page by page as
// it is touched, which takes longer than what some algorithms do in it.
#ifndef CONVSERVE_CORE_WORKSPACE_H_
#define CONVSERVE_CORE_WORKSPACE_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/aligned_buffer.h"

namespace convserve {

// Bytes that are kept at most, by the whole process, beside the workspaces in use.
inline constexpr std::int64_t kKeptWorkspaces = std::int64_t{64} << 20;

// `size` uninitialised bytes aligned to 64, for as long as it lives. Throws std::bad_alloc.
// Thread-safe.
class Workspace {
 public:
  explicit Workspace(std::int64_t size);
  ~Workspace();
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  std::span<std::byte> span() { return buffer_.span().first(size_); }

 private:
  const std::size_t size_;
  AlignedBuffer buffer_;
};

}  // namespace convserve

#endif  // CONVSERVE_CORE_WORKSPACE_H_
