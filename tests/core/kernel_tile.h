// A matrix product for the kernels of narrow numbers, with everything that its tile points to.
#ifndef CONVSERVE_TESTS_CORE_KERNEL_TILE_H_
#define CONVSERVE_TESTS_CORE_KERNEL_TILE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/kernels/gemm_kernel.h"

namespace convserve::testing {

template <typename T>
struct KernelTile {
  static constexpr std::int64_t kDepth = 37;
  static constexpr std::int64_t kPitch = 160;  // of the columns of B
  static constexpr T kBefore = 7;              // every element of C

  // `random(count)` makes elements.
  template <typename Make>
  KernelTile(std::int64_t rows, std::int64_t columns, Make random)
      : a(random(rows * kDepth)),
        b(random(kDepth * kPitch)),
        c(static_cast<std::size_t>(rows * columns), kBefore),
        segment{0, columns, 0} {
    for (int k = 0; k < kDepth; ++k) offsets.push_back(k * static_cast<int>(kPitch));
    tile.depth = kDepth;
    tile.a = a.data();
    tile.a_stride = kDepth;
    tile.b = b.data();
    tile.offsets = offsets.data();
    tile.rows = rows;
    tile.segments = {&segment, 1};
    tile.c = c.data();
    tile.c_stride = columns;
  }
  KernelTile(const KernelTile&) = delete;
  KernelTile& operator=(const KernelTile&) = delete;

  // Calls body(x, y) for the elements of A and B that make up element i of C, in order.
  template <typename Body>
  void ForEachProduct(std::int64_t i, Body body) const {
    const std::int64_t columns = segment.count;
    for (std::int64_t k = 0; k < kDepth; ++k) {
      body(a[static_cast<std::size_t>(i / columns * kDepth + k)],
           b[static_cast<std::size_t>(k * kPitch + i % columns)]);
    }
  }

  std::vector<T> a, b, c;
  std::vector<std::int32_t> offsets;
  GemmSegment segment;
  GemmTile<T> tile;
};

}  // namespace convserve::testing

#endif  // CONVSERVE_TESTS_CORE_KERNEL_TILE_H_
