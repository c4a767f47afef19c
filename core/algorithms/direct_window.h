// The windows that core/algorithms/direct.cc reads: which problems they have room for, and the
// tiles of outputs that they serve.
#ifndef CONVSERVE_CORE_ALGORITHMS_DIRECT_WINDOW_H_
#define CONVSERVE_CORE_ALGORITHMS_DIRECT_WINDOW_H_

#include <cstdint>
#include <string>

#include "core/algorithms/patches.h"
#include "core/algorithms/window.h"
#include "core/data_type.h"
#include "core/kernels/direct_kernel.h"
#include "core/problem.h"

namespace convserve {

// Elements of a window, in the L2 cache.
inline constexpr std::int64_t kDirectWindow = std::int64_t{48} * 1024;
// The place of a window, and of the sums of its tile where they are rounded to another type.
inline constexpr std::int64_t kDirectPlace = kDirectWindow + kDirectSlack;

// Multiply-adds of a task, at least, where there are enough for several.
inline constexpr std::int64_t kDirectTaskProducts = std::int64_t{256} * 1024;

// The type that sums are formed in.
DataType DirectSums(const Problem& problem);

// Why a problem is none for windows; empty when it is one.
std::string DirectRefusal(const Problem& problem);

// A window of so many channels of so many groups, or fewer groups where that is too large, that all
// phases read, and the tile that it serves.
struct DirectWindow {
  DirectWindow(const Patches& union_of_phases, std::int64_t channels_at_once,
               std::int64_t groups_at_once);

  Patches patches;
  std::int64_t channels;
  std::int64_t groups;
  Window::Extent extent;
  Window window;
};

}  // namespace convserve

#endif  // CONVSERVE_CORE_ALGORITHMS_DIRECT_WINDOW_H_
