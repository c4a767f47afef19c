// Layers that tests of the benchmark compute: every feature of a row of layers.csv, none of the
// size.
#ifndef CONVSERVE_TESTS_BENCH_SMALL_LAYERS_H_
#define CONVSERVE_TESTS_BENCH_SMALL_LAYERS_H_

#include <vector>

#include "tests/bench/layer.h"

namespace convserve::bench {

inline std::vector<Layer> SmallLayers() {
  Layer plane;
  plane.name = "plane";
  plane.batch = 2;
  plane.input_channels = 4;
  plane.output_channels = 6;
  plane.input = {7, 9};
  plane.kernel = {3, 3};
  plane.stride = plane.dilation = {1, 1};
  plane.padding = {1, 1};
  plane.output_padding = {0, 0};
  std::vector<Layer> layers = {plane};
  const auto add = [&](const char* name, auto change) {
    layers.push_back(plane);
    layers.back().name = name;
    change(layers.back());
  };
  add("pointwise", [](Layer& l) {
    l.kernel = {1, 1};
    l.padding = {0, 0};
  });
  add("strided and dilated", [](Layer& l) {
    l.stride = {2, 3};
    l.dilation = {2, 1};
    l.padding = {2, 0};
  });
  add("grouped", [](Layer& l) { l.groups = 2; });
  add("image filter", [](Layer& l) { l.input_channels = l.output_channels = l.groups = 3; });
  add("signal", [](Layer& l) {
    l.input = {50};
    l.kernel = {5};
    l.stride = {2};
    l.padding = {3};
    l.dilation = {1};
    l.output_padding = {0};
  });
  add("volume", [](Layer& l) {
    l.input = {4, 5, 6};
    l.kernel = {3, 2, 3};
    l.stride = {1, 2, 1};
    l.padding = {1, 0, 2};
    l.dilation = {1, 1, 1};
    l.output_padding = {0, 0, 0};
  });
  for (std::size_t i = 0, count = layers.size(); i < count; ++i) {
    Layer transposed = layers[i];
    transposed.name += ", transposed";
    transposed.transposed = true;
    layers.push_back(transposed);
  }
  add("transposed, with output padding", [](Layer& l) {
    l.transposed = true;
    l.stride = {2, 3};
    l.output_padding = {1, 2};
  });
  return layers;
}

}  // namespace convserve::bench

#endif  // CONVSERVE_TESTS_BENCH_SMALL_LAYERS_H_
