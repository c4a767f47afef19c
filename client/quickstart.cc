// Doubles the size of a small picture on a server, and then asks for the impossible.
//
//   quickstart [ADDRESS]
#include <iostream>

#include "client/xtensor_api.h"
#include "xtensor/xio.hpp"

int main(int argc, char** argv) {
  const convserve::ConvolutionClient client(argc > 1 ? argv[1] : "127.0.0.1:50051");

  const xt::xarray<float> picture = {{{{1, 2}, {3, 4}}}};
  const xt::xarray<float> kernel = {{{{1, 1}, {1, 1}}}};
  const auto doubled = convserve::xt_api::ConvTranspose(client, picture, kernel, {.stride = {2}});
  if (!doubled.ok()) {
    std::cerr << doubled.status() << '\n';
    return 1;
  }
  std::cout << doubled->output << '\n';

  const auto refused = convserve::xt_api::Conv(client, picture, kernel, {.stride = {0}});
  for (const convserve::FieldViolation& violation : convserve::ViolationsOf(refused.status())) {
    std::cout << violation.field << ": " << violation.description << '\n';
  }
}
