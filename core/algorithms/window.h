// The part of the input that a tile of outputs meets, copied once so that a matrix product can read
// every row of the patch matrix (core/algorithms/patches.h) from it in place, at a fixed offset.
//
// Per channel the copy holds the input's rows with their padding, `pitch` elements apart, and
// outputs are numbered along the padded rows: column f = row * pitch + x. A tap then meets, for 16
// outputs in a row, 16 elements in a row; the columns between the width and the pitch compute
// nothing and are dropped. A stride above 1 is undone by copying each residue of the input
// coordinate (modulo the stride) into a plane of its own: within a plane neighbouring outputs meet
// neighbouring elements again. Each element is copied once, where patches would copy it once a tap.
#ifndef CONVSERVE_CORE_ALGORITHMS_WINDOW_H_
#define CONVSERVE_CORE_ALGORITHMS_WINDOW_H_

#include <array>
#include <cstdint>

#include "core/algorithms/patches.h"

namespace convserve {

// How the taps of one axis meet the window.
struct WindowAxis {
  std::int64_t planes = 1;  // residues that some tap meets
  std::int64_t first = 0;   // smallest quotient coordinate / stride that output 0 meets
  std::int64_t span = 0;    // the largest such quotient, less the smallest
};

class Window {
 public:
  // Outputs of a tile: one z, `rows` rows, `width` outputs of each.
  struct Extent {
    std::int64_t rows = 0;
    std::int64_t width = 0;
  };
  struct Origin {
    std::int64_t z = 0;
    std::int64_t y = 0;
    std::int64_t x = 0;
  };

  // The layout of a window for tiles of up to this extent.
  Window(const Patches& patches, Extent extent);

  std::int64_t pitch() const { return pitch_; }
  // Columns of a tile with `rows` rows; the columns past the width of its last row are left out.
  std::int64_t Columns(std::int64_t rows, std::int64_t width) const {
    return (rows - 1) * pitch_ + width;
  }
  // Elements of one channel.
  std::int64_t channel_size() const { return channel_size_; }

  // Where the row of the patch matrix for (channel, tap) begins, for column 0.
  std::int64_t Offset(std::int64_t channel, std::int64_t tap) const;

  // Copies channels [first, first + count) of one batch element and group for the tile at `origin`.
  // T is float or double.
  template <typename T>
  void Pack(std::int64_t batch, std::int64_t group, std::int64_t first, std::int64_t count,
            Origin origin, Extent extent, T* out) const;

 private:
  template <typename T, typename In>
  void PackAs(const In* input, std::int64_t count, Origin origin, Extent extent, T* out) const;

  const Patches& patches_;
  std::array<WindowAxis, 3> axes_;
  std::int64_t rows_ = 0;  // window rows of one plane
  std::int64_t pitch_ = 0;
  std::int64_t channel_size_ = 0;
};

}  // namespace convserve

#endif  // CONVSERVE_CORE_ALGORITHMS_WINDOW_H_
