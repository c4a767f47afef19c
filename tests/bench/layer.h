// The layers that are measured: rows of tests/bench/layers.csv.
//
//   name,class,op,N,C,in,K,k,s,p,d,outpad,g
//
// op is conv or deconv (ConvTranspose); N batch, C and K input and output channels, g groups; in,
// k, s, p, d and outpad hold one number an axis, joined by x: input size, kernel, stride, padding
// (the same before and after), dilation and output padding.
#ifndef CONVSERVE_TESTS_BENCH_LAYER_H_
#define CONVSERVE_TESTS_BENCH_LAYER_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/data_type.h"
#include "core/parameters.h"
#include "core/problem.h"

namespace convserve::bench {

struct Layer {
  std::string name;
  std::string class_name;
  bool transposed = false;
  std::int64_t batch = 1;
  std::int64_t input_channels = 1;
  std::int64_t output_channels = 1;
  std::int64_t groups = 1;
  AxisList input, kernel, stride, padding, dilation, output_padding;
};

// INVALID_ARGUMENT, naming file and line, for a file that cannot be read or a row that does not
// follow the format.
absl::StatusOr<std::vector<Layer>> ReadLayers(const std::string& path);

// Of input, weight and output; each name is a choice of the command line.
struct ElementTypes {
  std::string_view name;
  DataType input, weight, output;
};
inline constexpr std::array kElementTypes = {
    ElementTypes{"float32", DataType::kFloat32, DataType::kFloat32, DataType::kFloat32},
    ElementTypes{"bfloat16", DataType::kBFloat16, DataType::kBFloat16, DataType::kFloat32},
    ElementTypes{"float16", DataType::kFloat16, DataType::kFloat16, DataType::kFloat32},
    ElementTypes{"int8", DataType::kInt8, DataType::kInt8, DataType::kInt32},
    ElementTypes{"uint8", DataType::kUInt8, DataType::kInt8, DataType::kInt32},
};

// The layer as a request without bias, its weight in the plain layout of channels first.
absl::StatusOr<Problem> MakeLayerProblem(const Layer& layer,
                                         const ElementTypes& types = kElementTypes.front(),
                                         TensorLayout layout = TensorLayout::kChannelsFirst);

}  // namespace convserve::bench

#endif  // CONVSERVE_TESTS_BENCH_LAYER_H_
