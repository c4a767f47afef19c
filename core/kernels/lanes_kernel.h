// Depthwise convolution with a channel in each lane of a vector. Some neighbouring channels c lie
// side by side, position after position:
//
//   out[y*out_row + x*out_column + c] = bias[c] + sum over tap row i, tap column j of
//     weights[i*weight_row + j*weight_column + c] *
//     window[y*row_stride + i*tap_row + x*stride + j*tap_column + c]
//
// The sum runs over (i, j) in order, from zero again before a row of taps (or kLaneSum of one) with
// which it would be longer than kLaneSum products, and fuses every multiply-add: each element has
// the same bits on every instruction set.
#ifndef CONVSERVE_CORE_KERNELS_LANES_KERNEL_H_
#define CONVSERVE_CORE_KERNELS_LANES_KERNEL_H_

#include <cstdint>

namespace convserve {

// Products of a running sum at most (core/kernels/running_sum.h). Few: the sums of depthwise
// kernels are short, so that their errors average out less.
inline constexpr std::int64_t kLaneSum = 32;

// Channels of a block on any instruction set, at most.
inline constexpr std::int64_t kMaxLaneChannels = 16;

// Steps are in elements.
struct LaneRows {
  const float* window = nullptr;
  std::int64_t row_stride = 0;  // from one row of outputs to the next
  std::int64_t stride = 0;      // from one output to the next
  std::int64_t tap_row = 0;     // from one row of taps to the next
  std::int64_t tap_column = 0;
  std::int64_t tap_rows = 0;
  std::int64_t tap_columns = 0;
  // Padding before and after the inputs of a row, which `window` begins past: so many taps of the
  // first and the last output are left out. None unless there is a SharedStep() and they are fewer
  // than tap_columns.
  std::int64_t before = 0;
  std::int64_t after = 0;
  // How much further on than a row of outputs begins to read what is fetched ahead for others
  // begins; 0 fetches nothing.
  std::int64_t ahead = 0;
  const float* weights = nullptr;
  std::int64_t weight_row = 0;
  std::int64_t weight_column = 0;
  const float* bias = nullptr;
  std::int64_t channels = 0;  // those of a block at least
  float* out = nullptr;
  std::int64_t out_row = 0;
  std::int64_t out_column = 0;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
};

// How many taps further on the next output of a row begins, where outputs load what several of them
// meet only once; 0 where they do not.
constexpr std::int64_t SharedStep(std::int64_t tap_rows, std::int64_t tap_columns,
                                  std::int64_t stride, std::int64_t tap_column) {
  const bool few = (tap_columns == 3 || tap_columns == 5) && tap_rows * tap_columns <= kLaneSum;
  if (!few && tap_columns != 7) return 0;
  return stride == tap_column ? 1 : stride == 2 * tap_column ? 2 : 0;
}

// Channels of a tensor, `positions` of each: element (c, p) is c*channel_stride + p*position_stride
// from the first. Fast where one of the strides is 1.
struct LanePlanes {
  std::int64_t channels = 0;  // of a block, or fewer
  std::int64_t positions = 0;
  std::int64_t channel_stride = 0;
  std::int64_t position_stride = 0;
};

// Compiled once for each instruction set.
struct LanesTable {
  std::int64_t channels = 0;  // of a block
  void (*compute)(const LaneRows& rows) = nullptr;
  // Channels of a tensor to a block: position p to `to + offsets[p]`. The lanes of channels that
  // are not there are left as they are.
  void (*interleave)(const float* from, const LanePlanes& planes, const std::int32_t* offsets,
                     float* to) = nullptr;
  // And back, from positions side by side.
  void (*separate)(const float* from, const LanePlanes& planes, float* to) = nullptr;
};

// The kernels of the instruction set in use. Thread-safe.
const LanesTable& LanesKernels();

}  // namespace convserve

#endif  // CONVSERVE_CORE_KERNELS_LANES_KERNEL_H_
