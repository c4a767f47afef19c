// The part of the input that a tile of outputs meets, copied once so that a matrix product can read
// every row of the patch matrix (core/algorithms/patches.h) from it in place, at a fixed offset.
//
// Per channel the copy holds the input's rows with their padding, `pitch` elements apart, and
// outputs are numbered along the padded rows: column f = row * pitch + x. A tap then meets, for 16
// outputs in a row, 16 elements in a row; the columns between the width and the pitch compute
// nothing and are dropped. A stride above 1 is undone by copying each residue of the input
// coordinate (modulo the stride) into a plane of its own: within a plane neighbouring outputs meet
// neighbouring elements again. Each element is copied once, where patches would copy it once a tap.
// Taps that are further apart than a tile is long have planes of their own, as what lies between
// them is not needed.
#ifndef CONVSERVE_CORE_ALGORITHMS_WINDOW_H_
#define CONVSERVE_CORE_ALGORITHMS_WINDOW_H_

#include <algorithm>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <vector>

#include "absl/base/attributes.h"
#include "core/algorithms/copy_row.h"
#include "core/algorithms/patches.h"
#include "core/divide.h"
#include "core/kernels/packing_kernel.h"

namespace convserve {

// Elements rounded up to an odd number of cache lines: rows so far apart do not compete for the
// same places in the cache.
constexpr std::int64_t OddLines(std::int64_t elements) {
  constexpr std::int64_t kLine = 16;
  return (CeilDivide(elements, kLine) | 1) * kLine;
}

// How the taps of one axis meet the window.
class WindowAxis {
 public:
  // For tiles of `outputs` outputs along the axis.
  WindowAxis(const Phase& phase, std::int64_t outputs);

  std::int64_t planes() const { return planes_; }
  // Elements of a plane that are not the first of an output.
  std::int64_t span() const { return span_; }
  // The plane that a tap reads, and the element of it that output 0 meets.
  std::int64_t PlaneOf(std::int64_t tap) const { return tap % planes_; }
  std::int64_t ElementOf(std::int64_t tap) const;
  // The input coordinate of the first element of a plane.
  std::int64_t First(std::int64_t plane) const;

 private:
  Phase phase_;
  bool apart_ = false;  // every tap has a plane; else every residue that some tap meets
  std::int64_t planes_ = 1;
  std::int64_t quotient_ = 0;  // the smallest of coordinate / stride that output 0 meets
  std::int64_t span_ = 0;
};

// A channel's way into the window: the same for every channel of a tile. Its rows differ in where
// they begin alone.
class WindowCopy {
 public:
  // Fills what is padding of `out`, the window of one channel.
  template <typename T>
  void FillPadding(T* out) const;
  // Copies the rest from `channel`, which begins at input coordinate 0 of every axis.
  template <typename T, typename In>
  void CopyChannel(const In* channel, T* out) const;
  // Both for `count` channels, the first of which begins at `first`, into windows that are `size`
  // elements apart; the padding only if `pads`. Of `known` channels from the first on, those that
  // come a little later are fetched ahead.
  template <typename T, typename In>
  void CopyChannels(const In* first, std::int64_t count, bool pads, T* out, std::int64_t size,
                    std::int64_t known = 0) const;
  // A stretch of a channel, and where it goes.
  struct Stretch {
    std::int64_t from, to, count;
  };
  // What CopyChannel copies where that is all there is: one stretch, and no padding.
  std::optional<Stretch> OneStretch() const;
  // The stretch of a channel, from its first element to past its last, that CopyChannel reads.
  struct Reach {
    std::int64_t first = 0;
    std::int64_t last = 0;
  };
  Reach Reads() const;
  // Has the processor fetch what CopyChannel will read. Inlined: GCC takes a function that only
  // does this for one that does nothing, and leaves out its calls.
  template <typename In>
  void Prefetch(const In* channel) const;

 private:
  friend class Window;
  // Of a row, or where one begins: elements of the input, and where they go.
  struct Row {
    std::int64_t from, to;
  };
  struct Copy {
    std::int64_t from, to, count;
    // Elements from + p + i*stride go to planes that are so far apart.
    std::int64_t planes, plane_step;
  };
  struct Padding {
    std::int64_t to, count;
  };
  void AddPlane(const RowSource& source, std::int64_t first, std::int64_t width, std::int64_t to);
  void AddCopy(const Copy& copy);
  // Channels of 32-bit elements that lie side by side.
  template <typename T>
  void CopyChannelsTogether(const T* first, std::int64_t count, T* out, std::int64_t size) const;
  bool HasPlainRows() const;
  void JoinRows();

  std::vector<Row> rows_;         // that are input
  std::vector<Copy> copies_;      // of each of them
  std::vector<Padding> padding_;  // of each of them
  std::vector<Padding> outside_;  // rows that are padding
  std::int64_t stride_ = 1;       // of the elements that follow each other in a copy
  std::int64_t plane_pitch_ = 0;  // of planes along x
  std::int64_t channel_step_ = 0;
  bool channels_last_ = false;
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
    // So many elements of the input further on than where these outputs begin to meet it.
    std::int64_t beside_y = 0;
    std::int64_t beside_x = 0;
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
  // Zeros that end the last row of a channel, past channel_size(): the first ones of the next.
  std::int64_t overhang() const { return overhang_; }

  // Where the row of the patch matrix for (channel, tap) begins, for column 0.
  std::int64_t Offset(std::int64_t channel, std::int64_t tap) const;

  // What copying one channel for the tile at `origin` takes.
  WindowCopy Copies(Origin origin, Extent extent) const;

 private:
  const Patches& patches_;
  const WindowAxis y_, x_;
  std::int64_t rows_ = 0;  // window rows of one plane
  std::int64_t pitch_ = 0;
  std::int64_t channel_size_ = 0;
  std::int64_t overhang_ = 0;
};

template <typename T>
void WindowCopy::FillPadding(T* out) const {
  for (const Padding& padding : outside_) std::fill_n(out + padding.to, padding.count, T{0});
  for (const Padding& padding : padding_) {
    for (const Row& row : rows_) {
      T* const to = out + row.to + padding.to;
      if (padding.count == 1) {
        *to = T{0};  // as beside most rows, in place of a call
      } else {
        std::fill_n(to, padding.count, T{0});
      }
    }
  }
}

template <typename T, typename In>
void WindowCopy::CopyChannel(const In* channel, T* out) const {
  for (const Copy& copy : copies_) {
    if (copy.planes == 1) {  // short rows, with nothing to decide for each
      for (const Row& row : rows_) {
        CopyStrided(channel + row.from + copy.from, stride_, copy.count, out + row.to + copy.to);
      }
    } else {
      for (const Row& row : rows_) {
        CopyPlanes(channel + row.from + copy.from, stride_, copy.count, copy.planes,
                   out + row.to + copy.to, copy.plane_step);
      }
    }
  }
}

template <typename T, typename In>
void WindowCopy::CopyChannels(const In* first, std::int64_t count, bool pads, T* out,
                              std::int64_t size, std::int64_t known) const {
  if constexpr (std::is_same_v<T, In> && sizeof(T) == 4) {
    if (channels_last_) {
      for (std::int64_t c = 0; pads && c < count; ++c) FillPadding(out + c * size);
      return CopyChannelsTogether(first, count, out, size);
    }
  }
  // Rows of different channels are too far apart for the processor to foresee them.
  constexpr std::int64_t kAhead = 4;
  for (std::int64_t c = 0; c < count; ++c, first += channel_step_, out += size) {
    if (c + kAhead < known) Prefetch(first + kAhead * channel_step_);
    if (pads) FillPadding(out);
    CopyChannel(first, out);
  }
}

template <typename T>
void WindowCopy::CopyChannelsTogether(const T* first, std::int64_t count, T* out,
                                      std::int64_t size) const {
  static_assert(sizeof(T) == 4);
  constexpr std::int64_t kFew = 8;
  for (const Copy& copy : copies_) {
    for (const Row& row : rows_) {
      for (std::int64_t plane = 0; plane < copy.planes; ++plane) {
        if (count == 1 || (count < kFew && count != stride_)) {
          CopyPlanes(first + row.from + copy.from + plane, stride_, copy.count, count,
                     out + row.to + copy.to + plane * copy.plane_step, size);
          continue;
        }
        PackingKernels().transpose({first + row.from + copy.from + plane, stride_, count,
                                    copy.count, out + row.to + copy.to + plane * copy.plane_step,
                                    size});
      }
    }
  }
}

template <typename In>
ABSL_ATTRIBUTE_ALWAYS_INLINE inline void WindowCopy::Prefetch(const In* channel) const {
  constexpr std::int64_t kLine = 64 / sizeof(In);
  const std::int64_t step = std::max(kLine, stride_);
  for (const Row& row : rows_) {
    for (const Copy& copy : copies_) {
      const In* from = channel + row.from + copy.from;
      for (std::int64_t i = 0; i < (copy.count - 1) * stride_ + copy.planes; i += step) {
        __builtin_prefetch(from + i);
      }
    }
  }
}

}  // namespace convserve

#endif  // CONVSERVE_CORE_ALGORITHMS_WINDOW_H_
