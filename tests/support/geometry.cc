#include "tests/support/geometry.h"

#include "fmt/format.h"

namespace convserve::testing {
namespace {

template <typename Parameters>
Parameters Common(const Geometry& geometry) {
  Parameters parameters;
  for (const Axis& axis : geometry.axes) {
    parameters.stride.push_back(axis.stride);
    parameters.dilation.push_back(axis.dilation);
    parameters.padding.push_back(axis.padding_begin);
  }
  for (const Axis& axis : geometry.axes) parameters.padding.push_back(axis.padding_end);
  parameters.groups = geometry.groups;
  return parameters;
}

}  // namespace

std::int64_t Draw(std::mt19937& random, std::int64_t lowest, std::int64_t highest) {
  return std::uniform_int_distribution<std::int64_t>(lowest, highest)(random);
}

ConvParameters Geometry::conv() const { return Common<ConvParameters>(*this); }

ConvTransposeParameters Geometry::adjoint() const {
  auto parameters = Common<ConvTransposeParameters>(*this);
  for (const Axis& axis : axes) parameters.output_padding.push_back(axis.output_padding);
  return parameters;
}

Shape Geometry::input_shape() const {
  Shape shape = {batch, input_channels};
  for (const Axis& axis : axes) shape.push_back(axis.input);
  return shape;
}

Shape Geometry::weight_shape() const {
  Shape shape = {output_channels, input_channels / groups};
  for (const Axis& axis : axes) shape.push_back(axis.kernel);
  return shape;
}

Shape Geometry::output_shape() const {
  Shape shape = {batch, output_channels};
  for (const Axis& axis : axes) shape.push_back(axis.output);
  return shape;
}

std::string Geometry::ToString() const {
  std::string text = fmt::format("N{} C{} M{} g{}", batch, input_channels, output_channels, groups);
  for (const Axis& axis : axes) {
    text += fmt::format(" (n{} k{} s{} d{} p{},{} op{} o{})", axis.input, axis.kernel, axis.stride,
                        axis.dilation, axis.padding_begin, axis.padding_end, axis.output_padding,
                        axis.output);
  }
  return text;
}

Axis RandomConvAxis(std::mt19937& random, const GeometryLimits& limits) {
  Axis axis;
  std::int64_t room = -1;
  while (room < 0) {
    axis.input = Draw(random, 1, limits.input);
    axis.kernel = Draw(random, 1, limits.kernel);
    axis.stride = Draw(random, 1, limits.stride);
    axis.dilation = Draw(random, 1, limits.dilation);
    axis.padding_begin = Draw(random, 0, limits.padding);
    axis.padding_end = Draw(random, 0, limits.padding);
    room = axis.input + axis.padding_begin + axis.padding_end - axis.effective_kernel();
  }
  axis.output = room / axis.stride + 1;
  axis.output_padding = room % axis.stride;
  return axis;
}

Geometry RandomGeometry(std::mt19937& random, std::size_t axes, const GeometryLimits& limits) {
  Geometry geometry;
  geometry.batch = Draw(random, 1, limits.batch);
  geometry.groups = Draw(random, 1, limits.groups);
  geometry.input_channels = geometry.groups * Draw(random, 1, limits.channels_per_group);
  geometry.output_channels = geometry.groups * Draw(random, 1, limits.channels_per_group);
  for (std::size_t i = 0; i < axes; ++i) geometry.axes.push_back(RandomConvAxis(random, limits));
  return geometry;
}

Geometry OneAxis(const Axis& axis) { return {.axes = {axis}}; }

}  // namespace convserve::testing
