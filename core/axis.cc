#include "core/axis.h"

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

#include "absl/numeric/int128.h"
#include "fmt/format.h"

namespace convserve {
namespace {

// Sums and products of a few 64-bit numbers cannot overflow here; what is kept must fit 64 bits
// again.
using Wide = absl::int128;

constexpr std::int64_t kHighest = std::numeric_limits<std::int64_t>::max();

bool Fits(Wide value) { return value <= Wide(kHighest); }

std::int64_t Narrow(Wide value) { return static_cast<std::int64_t>(value); }

std::string Text(Wide value) {
  if (Fits(value)) return fmt::format("{}", Narrow(value));
  return "more than 2^63 - 1";
}

// Splits `total` cells of padding: the odd one at the end for SAME_UPPER, at the beginning
// otherwise.
std::pair<std::int64_t, std::int64_t> Split(std::int64_t total, AutoPad auto_pad) {
  const std::int64_t smaller = total / 2;
  const std::int64_t larger = total - smaller;
  return auto_pad == AutoPad::kSameUpper ? std::pair(smaller, larger) : std::pair(larger, smaller);
}

bool IsSame(AutoPad auto_pad) {
  return auto_pad == AutoPad::kSameUpper || auto_pad == AutoPad::kSameLower;
}

void CheckPaddingMode(const AxisRequest& request, const Axis& axis,
                      std::vector<AxisRefusal>& refusals) {
  const bool reflect = request.padding_mode == PaddingMode::kReflect;
  if (!reflect && request.padding_mode != PaddingMode::kCircular) return;
  const std::int64_t most = reflect ? axis.input - 1 : axis.input;
  for (const auto& [field, padding] : {std::pair(AxisField::kPaddingBegin, axis.padding_begin),
                                       std::pair(AxisField::kPaddingEnd, axis.padding_end)}) {
    if (padding > most) {
      refusals.push_back(
          {field, fmt::format("expected at most {} with padding mode {}{}{}, got {}", most,
                              reflect ? "REFLECT (input size " : "CIRCULAR (input size ",
                              axis.input, reflect ? " - 1)" : ")", padding)});
    }
  }
}

void ResolveConv(const AxisRequest& request, Axis& axis, std::vector<AxisRefusal>& refusals) {
  const Wide effective = axis.effective_kernel();
  if (IsSame(request.auto_pad)) {
    const std::int64_t output = (axis.input - 1) / axis.stride + 1;
    const Wide total = Wide(output - 1) * axis.stride + effective - axis.input;
    std::tie(axis.padding_begin, axis.padding_end) =
        Split(Narrow(std::max(total, Wide(0))), request.auto_pad);
  }
  const Wide padded = Wide(axis.input) + axis.padding_begin + axis.padding_end;
  if (!Fits(padded)) {
    refusals.push_back(
        {AxisField::kPaddingBegin,
         fmt::format("expected input size + padding to stay below 2^63, got {} + {} + {}",
                     axis.input, axis.padding_begin, axis.padding_end)});
    return;
  }
  CheckPaddingMode(request, axis, refusals);
  if (padded < effective) {
    refusals.push_back(
        {AxisField::kKernel,
         fmt::format("expected an effective kernel of at most {} (input size {} + padding {} + "
                     "{}), got {} (dilation {} * (kernel {} - 1) + 1)",
                     Narrow(padded), axis.input, axis.padding_begin, axis.padding_end,
                     Narrow(effective), axis.dilation, axis.kernel)});
    return;
  }
  axis.output = Narrow((padded - effective) / axis.stride) + 1;
}

void ResolveTranspose(const AxisRequest& request, Axis& axis, std::vector<AxisRefusal>& refusals) {
  const std::int64_t output_padding_end = std::max(axis.stride, axis.dilation);
  if (request.output_padding >= output_padding_end) {
    refusals.push_back({AxisField::kOutputPadding,
                        fmt::format("expected less than max(stride, dilation) = {}, got {}",
                                    output_padding_end, request.output_padding)});
    return;
  }
  axis.output_padding = request.output_padding;
  // What the whole kernel at every input cell covers, nothing cropped.
  const Wide full = Wide(axis.input - 1) * axis.stride + axis.effective_kernel();
  if (!Fits(full + request.output_padding)) {
    refusals.push_back(
        {AxisField::kStride, fmt::format("expected (input size - 1) * stride + effective kernel to "
                                         "stay below 2^63, got ({} - 1) * {} + {}",
                                         axis.input, axis.stride, axis.effective_kernel())});
    return;
  }

  if (IsSame(request.auto_pad)) {
    // The padding follows from the wanted size; where even none is too little, the missing cells
    // are output padding.
    const Wide wanted =
        request.output_size ? Wide(*request.output_size) : Wide(axis.input) * axis.stride;
    const Wide total = full + axis.output_padding - wanted;
    std::tie(axis.padding_begin, axis.padding_end) =
        Split(Narrow(std::max(total, Wide(0))), request.auto_pad);
    const Wide output_padding = axis.output_padding + std::max(-total, Wide(0));
    if (output_padding >= output_padding_end) {
      refusals.push_back(
          {AxisField::kOutputSize,
           fmt::format(
               "expected at most {} (what no padding and the largest output padding reach), got {}",
               Text(full + output_padding_end - 1), Text(wanted))});
      return;
    }
    axis.output_padding = Narrow(output_padding);
    axis.output = Narrow(wanted);
    return;
  }

  const Wide cropped = full - axis.padding_begin - axis.padding_end;
  if (request.output_size) {
    const Wide needed = Wide(*request.output_size) - cropped;
    if (needed < 0 || needed >= output_padding_end) {
      refusals.push_back(
          {AxisField::kOutputSize,
           fmt::format("expected {} to {} (output padding 0 to max(stride, dilation) - 1), got {}",
                       Text(std::max(cropped, Wide(1))), Text(cropped + output_padding_end - 1),
                       *request.output_size)});
      return;
    }
    axis.output_padding = Narrow(needed);
  }
  const Wide output = cropped + axis.output_padding;
  if (output < 1) {
    refusals.push_back(
        {AxisField::kPaddingBegin,
         fmt::format(
             "expected an output size of at least 1, got {} = ({} - 1) * {} - {} - {} + {} + {} "
             "((input size - 1) * stride - padding + effective kernel + output padding)",
             output < -Wide(kHighest) ? "less than -2^63" : fmt::format("{}", Narrow(output)),
             axis.input, axis.stride, axis.padding_begin, axis.padding_end, axis.effective_kernel(),
             axis.output_padding)});
    return;
  }
  axis.output = Narrow(output);
}

}  // namespace

Axis ResolveAxis(Operation operation, const AxisRequest& request,
                 std::vector<AxisRefusal>& refusals) {
  Axis axis;
  axis.input = request.input;
  axis.kernel = request.kernel;
  axis.stride = request.stride;
  axis.dilation = request.dilation;
  axis.padding_begin = request.padding_begin;
  axis.padding_end = request.padding_end;
  if (!Fits(Wide(axis.dilation) * (axis.kernel - 1) + 1)) {
    refusals.push_back(
        {AxisField::kDilation,
         fmt::format(
             "expected dilation * (kernel - 1) + 1 to stay below 2^63, got {} * ({} - 1) + 1",
             axis.dilation, axis.kernel)});
  } else if (operation == Operation::kConv) {
    ResolveConv(request, axis, refusals);
  } else {
    ResolveTranspose(request, axis, refusals);
  }
  return axis;
}

}  // namespace convserve
