// Calls a convserve server with xtensor containers.
//
//   xt::xarray<float> x = ..., w = ...;
//   auto result = convserve::xt_api::Conv(client, x, w, {.stride = {2}});
//   if (result.ok()) std::cout << result->output;
//
// Containers must be row-major and dense (core/xtensor_api.h). Out is the element type that the
// output is asked for. Errors are those of client/convolution_client.h. A bias goes through
// ConvolutionClient itself, with xt_api::View.
#ifndef CONVSERVE_CLIENT_XTENSOR_API_H_
#define CONVSERVE_CLIENT_XTENSOR_API_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/convolution_client.h"
#include "core/xtensor_api.h"
#include "xtensor/xarray.hpp"

namespace convserve::xt_api {

template <typename T>
struct ArrayResult {
  xt::xarray<T> output;
  Execution execution;
};

// A server's output as an array. INTERNAL when its elements are not of type T.
template <typename T>
absl::StatusOr<ArrayResult<T>> ToArrayResult(absl::StatusOr<ConvResult> result) {
  if (!result.ok()) return result.status();
  if (result->output.data_type() != DataTypeOf<T>) {
    return absl::InternalError("the server answered with another element type than it was asked");
  }
  return ArrayResult<T>{ToXarray<T>(result->output), std::move(result->execution)};
}

template <typename Out = float, typename X, typename W>
absl::StatusOr<ArrayResult<Out>> Conv(const ConvolutionClient& client, const X& input,
                                      const W& weight, const ConvParameters& parameters = {},
                                      CallOptions options = {}) {
  options.output_type = DataTypeOf<Out>;
  return ToArrayResult<Out>(client.Conv({View(input), View(weight), {}}, parameters, options));
}

template <typename Out = float, typename X, typename W>
absl::StatusOr<ArrayResult<Out>> ConvTranspose(const ConvolutionClient& client, const X& input,
                                               const W& weight,
                                               const ConvTransposeParameters& parameters = {},
                                               CallOptions options = {}) {
  options.output_type = DataTypeOf<Out>;
  return ToArrayResult<Out>(
      client.ConvTranspose({View(input), View(weight), {}}, parameters, options));
}

}  // namespace convserve::xt_api

#endif  // CONVSERVE_CLIENT_XTENSOR_API_H_
