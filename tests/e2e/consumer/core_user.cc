// Links the core alone: no gRPC, no server. Every installed header stands alone and is found.
#include "core/aligned_buffer.h"
#include "core/convolve.h"
#include "core/data_type.h"
#include "core/describe.h"
#include "core/explain.h"
#include "core/limits.h"
#include "core/parameters.h"
#include "core/planner.h"
#include "core/problem.h"
#include "core/solve.h"
#include "core/tensor.h"
#include "core/violation.h"
#include "core/xtensor_api.h"

#include <iostream>
#include <xtensor/xarray.hpp>
#include <xtensor/xio.hpp>

int main() {
  const xt::xarray<float> input = {{{{1, 2}, {3, 4}}}};
  const xt::xarray<float> weight = {{{{1, 2}, {0, 1}}}};
  const auto output = convserve::xt_api::ConvTranspose(input, weight, {.stride = {4}});
  if (!output.ok()) {
    std::cerr << output.status() << "\n";
    return 1;
  }
  std::cout << *output << "\n";
  return (*output)(0, 0, 5, 5) == 4 ? 0 : 1;
}
