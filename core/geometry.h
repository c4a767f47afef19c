// A problem as loops see it: three spatial axes (missing ones in front, of size 1), groups apart,
// and an element stride for every loop, so that layouts and flipped kernels are gone.
//
//   input  [batch][group][channel][z][y][x]
//   weight [group][filter][channel][kz][ky][kx]   filters and channels of one group
//   output [batch][group][filter][z][y][x]
#ifndef CONVSERVE_CORE_GEOMETRY_H_
#define CONVSERVE_CORE_GEOMETRY_H_

#include <array>
#include <cstdint>

#include "core/problem.h"

namespace convserve {

struct TensorStrides {
  std::int64_t batch = 0;
  std::int64_t group = 0;
  std::int64_t channel = 0;
  std::array<std::int64_t, 3> spatial = {};
};

struct WeightStrides {
  // Element of the first tap; not 0 for a flipped kernel, whose spatial strides are negative.
  std::int64_t offset = 0;
  std::int64_t group = 0;
  std::int64_t filter = 0;
  std::int64_t channel = 0;
  std::array<std::int64_t, 3> kernel = {};
};

struct Geometry {
  std::int64_t batch = 0;
  std::int64_t groups = 1;
  std::int64_t channels = 0;  // input channels of one group
  std::int64_t filters = 0;   // output channels of one group
  std::array<Axis, 3> axes;
  TensorStrides input;
  WeightStrides weight;
  TensorStrides output;

  explicit Geometry(const Problem& problem);
  // With JoinPointwiseAxes() done.
  static Geometry Joined(const Problem& problem);

  // Whether channels lie side by side, and neighbours along x do not.
  bool channels_last() const { return input.spatial[2] != 1 || output.spatial[2] != 1; }

  // Of a filter for one channel, and for all channels of a group.
  std::int64_t taps() const { return axes[0].kernel * axes[1].kernel * axes[2].kernel; }
  std::int64_t depth() const { return channels * taps(); }

  // Joins neighbouring axes along which the operation is pointwise (kernel 1, stride 1, no padding)
  // and whose rows lie side by side in both tensors: a 1x1 convolution of an image is one of a long
  // row.
  void JoinPointwiseAxes();
};

// The input position that a coordinate in the padded input stands for; -1 for a zero, and for
// coordinates further out than the padding mode can reach.
inline std::int64_t SourceIndex(PaddingMode mode, std::int64_t coordinate, std::int64_t size) {
  if (coordinate >= 0 && coordinate < size) return coordinate;
  std::int64_t source = -1;
  if (mode == PaddingMode::kReflect) {
    source = coordinate < 0 ? -coordinate : 2 * (size - 1) - coordinate;
  } else if (mode == PaddingMode::kReplicate) {
    source = coordinate < 0 ? 0 : size - 1;
  } else if (mode == PaddingMode::kCircular) {
    source = coordinate < 0 ? coordinate + size : coordinate - size;
  }
  return source < size ? source : -1;
}

}  // namespace convserve

#endif  // CONVSERVE_CORE_GEOMETRY_H_
