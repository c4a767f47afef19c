// Memory of a thread that kernels work in, kept from run to run.
#ifndef CONVSERVE_CORE_SCRATCH_H_
#define CONVSERVE_CORE_SCRATCH_H_

#include <cstddef>
#include <cstdint>

#include "core/aligned_buffer.h"

namespace convserve {

// What one thread has: two huge pages, where the system grants them, so that reading here and there
// in it costs no look-ups of addresses.
inline constexpr std::int64_t kScratchBytes = std::int64_t{4} << 20;

// kScratchBytes uninitialised bytes of the calling thread. Whoever takes them must be done with
// them before anything else on this thread does: no task may be waited for in between.
inline std::byte* ThreadScratch() {
  thread_local AlignedBuffer scratch(kScratchBytes);
  return scratch.data();
}

}  // namespace convserve

#endif  // CONVSERVE_CORE_SCRATCH_H_
