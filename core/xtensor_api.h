// Convolution on xtensor containers, for programs that link the core alone.
//
//   xt::xarray<float> x = ..., w = ...;
//   absl::StatusOr<xt::xarray<float>> y = convserve::xt_api::Conv(x, w, {.stride = {2}});
//
// Containers must be row-major and dense: xt::xarray, xt::xtensor, and an xt::view of leading
// indices and at most one range behind them; assign any other expression to one first. The element
// types are those of core/data_type.h; Out chooses the output type. Errors are those of
// core/convolve.h.
#ifndef CONVSERVE_CORE_XTENSOR_API_H_
#define CONVSERVE_CORE_XTENSOR_API_H_

#include <algorithm>
#include <cstddef>
#include <vector>

#include "absl/status/statusor.h"
#include "core/convolve.h"
#include "core/parameters.h"
#include "core/tensor.h"
#include "xtensor/xadapt.hpp"
#include "xtensor/xarray.hpp"
#include "xtensor/xlayout.hpp"

namespace convserve::xt_api {

// The container's elements as an operand; the container must outlive it.
template <typename Container>
TensorView View(const Container& container) {
  using T = typename Container::value_type;
  static_assert(DataTypeOf<T> != DataType::kUnspecified, "not an element type of convserve");
  static_assert(Container::static_layout == xt::layout_type::row_major,
                "convserve reads row-major containers");
  return {DataTypeOf<T>, Shape(container.shape().begin(), container.shape().end()),
          reinterpret_cast<const std::byte*>(container.data() + container.data_offset())};
}

// A copy of a tensor whose elements are of type T.
template <typename T>
xt::xarray<T> ToXarray(const Tensor& tensor) {
  const std::vector<std::size_t> shape(tensor.shape().begin(), tensor.shape().end());
  xt::xarray<T> values = xt::xarray<T>::from_shape(shape);
  std::copy_n(tensor.As<T>(), tensor.size(), values.data());
  return values;
}

// The tensor's elements as an xtensor expression without a copy; the tensor must outlive it.
template <typename T>
auto Adapt(const Tensor& tensor) {
  const std::vector<std::size_t> shape(tensor.shape().begin(), tensor.shape().end());
  return xt::adapt(tensor.As<T>(), static_cast<std::size_t>(tensor.size()), xt::no_ownership(),
                   shape);
}

template <typename Out = float, typename X, typename W>
absl::StatusOr<xt::xarray<Out>> Conv(const X& input, const W& weight,
                                     const ConvParameters& parameters = {}) {
  const auto output = convserve::Conv({View(input), View(weight)}, parameters, DataTypeOf<Out>);
  if (!output.ok()) return output.status();
  return ToXarray<Out>(*output);
}

template <typename Out = float, typename X, typename W, typename B>
absl::StatusOr<xt::xarray<Out>> Conv(const X& input, const W& weight, const B& bias,
                                     const ConvParameters& parameters) {
  const auto output =
      convserve::Conv({View(input), View(weight), View(bias)}, parameters, DataTypeOf<Out>);
  if (!output.ok()) return output.status();
  return ToXarray<Out>(*output);
}

template <typename Out = float, typename X, typename W>
absl::StatusOr<xt::xarray<Out>> ConvTranspose(const X& input, const W& weight,
                                              const ConvTransposeParameters& parameters = {}) {
  const auto output =
      convserve::ConvTranspose({View(input), View(weight)}, parameters, DataTypeOf<Out>);
  if (!output.ok()) return output.status();
  return ToXarray<Out>(*output);
}

template <typename Out = float, typename X, typename W, typename B>
absl::StatusOr<xt::xarray<Out>> ConvTranspose(const X& input, const W& weight, const B& bias,
                                              const ConvTransposeParameters& parameters) {
  const auto output = convserve::ConvTranspose({View(input), View(weight), View(bias)}, parameters,
                                               DataTypeOf<Out>);
  if (!output.ok()) return output.status();
  return ToXarray<Out>(*output);
}

}  // namespace convserve::xt_api

#endif  // CONVSERVE_CORE_XTENSOR_API_H_
