#include <iostream>

#include "core/xtensor_api.h"
#include "xtensor/xio.hpp"

int main() {
  const xt::xarray<float> input = {{{{1, 2}, {3, 4}}}};
  const xt::xarray<float> weight = {{{{1, 2}, {0, 1}}}};
  const auto output = convserve::xt_api::ConvTranspose(input, weight, {.stride = {4}});
  if (!output.ok()) {
    std::cerr << output.status() << "\n";
    return 1;
  }
  std::cout << *output << "\n";
}
