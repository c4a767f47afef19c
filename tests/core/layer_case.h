// A layer in few words, for tests of algorithms on problems that are not small.
#ifndef CONVSERVE_TESTS_CORE_LAYER_CASE_H_
#define CONVSERVE_TESTS_CORE_LAYER_CASE_H_

#include <algorithm>
#include <cstdint>
#include <ostream>
#include <string>

#include "core/problem.h"

namespace convserve::testing {

struct LayerCase {
  std::string name;
  Shape input;  // channels first
  std::int64_t filters;
  Shape kernel;
  AxisList padding = {};
  AxisList stride = {};
  AxisList dilation = {};
  PaddingMode mode = PaddingMode::kZeros;
  bool bias = true;
  bool channels_last = false;
  bool weights_last = false;
  bool flip_kernel = false;
  bool transposed = false;
  std::int64_t groups = 1;
  std::string chosen = {};  // where it is not winograd, nor channels_last for such tensors
  bool wide_tiles = false;  // of Winograd's, in which sums of integers are not exact

  std::string algorithm() const {
    if (!chosen.empty()) return chosen;
    return channels_last ? "channels_last" : "winograd";
  }

  ProblemSpec spec() const {
    ProblemSpec spec;
    spec.input = {DataType::kFloat32, input, {}};
    spec.weight = {DataType::kFloat32, {filters, input[1] / groups}, {}};
    if (transposed) spec.weight.shape = {input[1], filters / groups};
    spec.weight.shape.insert(spec.weight.shape.end(), kernel.begin(), kernel.end());
    if (bias) spec.bias = TensorSpec{DataType::kFloat32, {filters}, {}};
    if (channels_last) {
      Shape& shape = spec.input.shape;
      std::rotate(shape.begin() + 1, shape.begin() + 2, shape.end());
    }
    if (weights_last) {
      Shape& shape = spec.weight.shape;
      std::rotate(shape.begin(), shape.begin() + 2, shape.end());
      std::swap(shape[shape.size() - 2], shape.back());
    }
    const auto with = [this](auto parameters) {
      parameters.padding = padding;
      parameters.stride = stride;
      parameters.dilation = dilation;
      parameters.groups = groups;
      parameters.flip_kernel = flip_kernel;
      if (weights_last) parameters.weight_layout = WeightLayout::kChannelsLast;
      if (channels_last) parameters.tensor_layout = TensorLayout::kChannelsLast;
      return parameters;
    };
    if (transposed) {
      spec.parameters = with(ConvTransposeParameters{});
      return spec;
    }
    ConvParameters parameters = with(ConvParameters{});
    parameters.padding_mode = mode;
    spec.parameters = parameters;
    return spec;
  }
};

inline std::ostream& operator<<(std::ostream& out, const LayerCase& c) { return out << c.name; }

}  // namespace convserve::testing

#endif  // CONVSERVE_TESTS_CORE_LAYER_CASE_H_
