// What a caller chooses for a convolution, as the wire contract names it.
//
// Per-axis lists hold one entry for every spatial axis, or a single entry that serves all of them,
// or none for the default; `padding` may also hold 2k entries, all beginnings and then all ends.
// Nothing is checked here: MakeProblem does (core/problem.h). Enumerators carry the numbers of the
// wire, and values that are none of them are refused there by name.
#ifndef CONVSERVE_CORE_PARAMETERS_H_
#define CONVSERVE_CORE_PARAMETERS_H_

#include <cstdint>
#include <optional>

#include "absl/container/inlined_vector.h"

namespace convserve {

// Entries of a per-axis list.
using AxisList = absl::InlinedVector<std::int64_t, 6>;

enum class Operation { kConv, kConvTranspose };

enum class AutoPad : int {
  kUnspecified = 0,  // use `padding`
  kValid = 1,        // no padding
  kSameUpper = 2,    // output = ceil(input / stride), the odd cell at the end (TensorFlow's SAME,
                     // ONNX SAME_UPPER)
  kSameLower = 3,    // the same, the odd cell at the beginning
};

enum class PaddingMode : int {
  kUnspecified = 0,  // zeros
  kZeros = 1,
  kReflect = 2,    // mirrored without repeating the edge; needs padding < input size
  kReplicate = 3,  // the edge repeated
  kCircular = 4,   // wrapped around; needs padding <= input size
};

enum class TensorLayout : int {
  kUnspecified = 0,    // channels first
  kChannelsFirst = 1,  // [N, C, spatial...] or [C, spatial...]
  kChannelsLast = 2,   // [N, spatial..., C] or [spatial..., C]
};

enum class WeightLayout : int {
  kUnspecified = 0,    // channels first
  kChannelsFirst = 1,  // Conv [M, C/g, kernel...]; ConvTranspose [C, M/g, kernel...]
  kChannelsLast = 2,   // Conv [kernel..., C/g, M]; ConvTranspose [kernel..., M/g, C]
};

struct ConvParameters {
  AxisList stride = {};    // >= 1, default 1
  AxisList dilation = {};  // >= 1, default 1
  AxisList padding = {};   // >= 0, default 0
  AutoPad auto_pad = AutoPad::kUnspecified;
  PaddingMode padding_mode = PaddingMode::kUnspecified;
  std::optional<std::int64_t> groups = {};  // >= 1, default 1
  bool flip_kernel =
      false;  // true: mathematical convolution, the kernel reversed on every spatial axis
  TensorLayout tensor_layout = TensorLayout::kUnspecified;
  WeightLayout weight_layout = WeightLayout::kUnspecified;
};

struct ConvTransposeParameters {
  AxisList stride = {};
  AxisList dilation = {};
  AxisList padding = {};  // crops the full result
  AutoPad auto_pad = AutoPad::kUnspecified;
  AxisList output_padding = {};  // >= 0 and < max(stride, dilation), default 0
  AxisList output_size = {};     // the wanted spatial size; see core/problem.h
  std::optional<std::int64_t> groups = {};
  bool flip_kernel = false;
  TensorLayout tensor_layout = TensorLayout::kUnspecified;
  WeightLayout weight_layout = WeightLayout::kUnspecified;
};

}  // namespace convserve

#endif  // CONVSERVE_CORE_PARAMETERS_H_
