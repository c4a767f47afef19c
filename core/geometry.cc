#include "core/geometry.h"

#include <algorithm>

namespace convserve {
namespace {

// Row-major strides of `rank` dimensions: the product of all sizes behind each.
std::array<std::int64_t, 5> RowMajor(const Shape& shape) {
  std::array<std::int64_t, 5> strides = {};
  std::int64_t stride = 1;
  for (std::size_t i = shape.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= shape[i];
  }
  return strides;
}

TensorStrides StridesOf(const Shape& shape, std::size_t axes, bool channels_last,
                        std::int64_t channels_per_group) {
  const auto row_major = RowMajor(shape);
  const std::size_t first = shape.size() - axes - 1;  // 1 with a batch, 0 without
  const std::size_t channel = channels_last ? shape.size() - 1 : first;
  const std::size_t spatial = channels_last ? first : first + 1;
  TensorStrides strides;
  strides.batch = first == 1 ? row_major[0] : 0;
  strides.channel = row_major[channel];
  strides.group = strides.channel * channels_per_group;
  for (std::size_t i = 0; i < axes; ++i) {
    strides.spatial[3 - axes + i] = row_major[spatial + i];
  }
  return strides;
}

// The axis without steps that nothing takes, which may be any number: a product of them must not
// overflow.
Axis WithSmallSteps(Operation operation, Axis axis) {
  if (axis.kernel == 1) axis.dilation = 1;
  if (operation == Operation::kConv) {
    if (axis.output == 1) axis.stride = 1;
  } else if (axis.input == 1) {
    axis.stride = std::min(axis.stride, axis.effective_kernel());
  }
  return axis;
}

}  // namespace

Geometry::Geometry(const Problem& problem)
    : batch(problem.batch()),
      groups(problem.groups()),
      channels(problem.input_channels() / problem.groups()),
      filters(problem.output_channels() / problem.groups()) {
  const std::size_t count = problem.axes().size();
  for (std::size_t i = 0; i < count; ++i) {
    axes[3 - count + i] = WithSmallSteps(problem.operation(), problem.axes()[i]);
  }

  const bool tensors_last = problem.tensor_layout() == TensorLayout::kChannelsLast;
  input = StridesOf(problem.input_shape(), count, tensors_last, channels);
  output = StridesOf(problem.output_shape(), count, tensors_last, filters);

  const bool weights_last = problem.weight_layout() == WeightLayout::kChannelsLast;
  const auto row_major = RowMajor(problem.weight_shape());
  const std::int64_t outer = row_major[weights_last ? count + 1 : 0];
  const std::int64_t inner = row_major[weights_last ? count : 1];
  if (problem.operation() == Operation::kConv) {  // [M, C/g]
    weight.filter = outer;
    weight.channel = inner;
    weight.group = outer * filters;
  } else {  // [C, M/g]
    weight.channel = outer;
    weight.filter = inner;
    weight.group = outer * channels;
  }
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t axis = 3 - count + i;
    weight.kernel[axis] = row_major[(weights_last ? 0 : 2) + i];
    if (problem.flip_kernel()) {
      weight.offset += weight.kernel[axis] * (axes[axis].kernel - 1);
      weight.kernel[axis] = -weight.kernel[axis];
    }
  }
}

Geometry Geometry::Joined(const Problem& problem) {
  Geometry geometry(problem);
  geometry.JoinPointwiseAxes();
  return geometry;
}

void Geometry::JoinPointwiseAxes() {
  const auto pointwise = [](const Axis& axis) {
    return axis.kernel == 1 && axis.stride == 1 && axis.input == axis.output &&
           axis.padding_begin == 0;
  };
  const auto side_by_side = [&](const TensorStrides& strides, std::size_t outer) {
    return strides.spatial[outer] == strides.spatial[2] * axes[2].input;
  };
  for (const std::size_t outer : {std::size_t{1}, std::size_t{0}}) {
    if (axes[outer].input == 1 && axes[outer].output == 1) continue;
    if (!pointwise(axes[outer]) || !pointwise(axes[2]) || !side_by_side(input, outer) ||
        !side_by_side(output, outer)) {
      return;
    }
    axes[2].input *= axes[outer].input;
    axes[2].output = axes[2].input;
    axes[outer].input = axes[outer].output = 1;
  }
}

}  // namespace convserve
