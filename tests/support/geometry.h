// Random convolutions for property tests. Everything follows from the generator's seed.
#ifndef CONVSERVE_TESTS_SUPPORT_GEOMETRY_H_
#define CONVSERVE_TESTS_SUPPORT_GEOMETRY_H_

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "core/parameters.h"
#include "core/problem.h"
#include "core/tensor.h"

namespace convserve::testing {

std::int64_t Draw(std::mt19937& random, std::int64_t lowest, std::int64_t highest);

// Largest values drawn; the smallest are 1, and 0 for padding.
struct GeometryLimits {
  std::int64_t input = 9;
  std::int64_t kernel = 4;
  std::int64_t stride = 4;
  std::int64_t dilation = 3;
  std::int64_t padding = 4;
  std::int64_t batch = 2;
  std::int64_t groups = 3;
  std::int64_t channels_per_group = 2;
};

// A valid Conv and the ConvTranspose that is its adjoint: same stride, dilation, padding, groups
// and weight, and the output padding that restores the input size.
struct Geometry {
  std::int64_t batch = 1;
  std::int64_t groups = 1;
  std::int64_t input_channels = 1;
  std::int64_t output_channels = 1;
  std::vector<Axis> axes;  // of the Conv; `output_padding` is the adjoint's

  ConvParameters conv() const;
  ConvTransposeParameters adjoint() const;
  Shape input_shape() const;
  Shape weight_shape() const;
  Shape output_shape() const;
  std::string ToString() const;
};

Axis RandomConvAxis(std::mt19937& random, const GeometryLimits& limits = {});
Geometry RandomGeometry(std::mt19937& random, std::size_t axes, const GeometryLimits& limits = {});

// A one-channel, one-image Conv or ConvTranspose of a single axis; `axis.output` is not looked at.
Geometry OneAxis(const Axis& axis);

}  // namespace convserve::testing

#endif  // CONVSERVE_TESTS_SUPPORT_GEOMETRY_H_
