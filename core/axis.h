// The size arithmetic of one spatial axis. Internal to MakeProblem and to what inverts it.
#ifndef CONVSERVE_CORE_AXIS_H_
#define CONVSERVE_CORE_AXIS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/parameters.h"
#include "core/problem.h"

namespace convserve {

// What was asked for one axis; every number already within its own range (sizes, stride, dilation
// >= 1, paddings >= 0).
struct AxisRequest {
  std::int64_t input = 1;
  std::int64_t kernel = 1;
  std::int64_t stride = 1;
  std::int64_t dilation = 1;
  std::int64_t padding_begin = 0;
  std::int64_t padding_end = 0;
  AutoPad auto_pad = AutoPad::kUnspecified;
  PaddingMode padding_mode = PaddingMode::kZeros;
  std::int64_t output_padding = 0;
  std::optional<std::int64_t> output_size;
};

// Which of the numbers above a refusal is about.
enum class AxisField {
  kInput,
  kKernel,
  kStride,
  kDilation,
  kPaddingBegin,
  kPaddingEnd,
  kOutputPadding,
  kOutputSize,
};

struct AxisRefusal {
  AxisField field;
  std::string description;
};

// The resolved axis. With any refusal appended to `refusals` the result means nothing.
Axis ResolveAxis(Operation operation, const AxisRequest& request,
                 std::vector<AxisRefusal>& refusals);

}  // namespace convserve

#endif  // CONVSERVE_CORE_AXIS_H_
