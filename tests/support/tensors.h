// Tensors from plain numbers and back.
#ifndef CONVSERVE_TESTS_SUPPORT_TENSORS_H_
#define CONVSERVE_TESTS_SUPPORT_TENSORS_H_

#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/tensor.h"

namespace convserve::testing {

// A tensor of `type` that holds `values`, one an element; what the type cannot hold is rounded as
// core does.
Tensor MakeTensor(DataType type, Shape shape, const std::vector<double>& values);

// Every element equal.
Tensor Filled(DataType type, Shape shape, double value);

// Non-zero integers in [-largest, largest], so that float sums are exact and none is a negative
// zero.
Tensor RandomIntegers(std::mt19937& random, DataType type, Shape shape, int largest = 4);

std::vector<double> ToDoubles(const TensorView& tensor);
inline std::vector<double> ToDoubles(const Tensor& tensor) { return ToDoubles(tensor.view()); }

// Equal type, shape and bytes.
bool SameBits(const TensorView& left, const TensorView& right);
inline bool SameBits(const Tensor& left, const Tensor& right) {
  return SameBits(left.view(), right.view());
}

// The part [begin, end) of dimension `axis`.
Tensor Slice(const Tensor& tensor, std::size_t axis, std::pair<std::int64_t, std::int64_t> range);

// `tensor` with every dimension from `first_axis` on reversed.
Tensor Reversed(const Tensor& tensor, std::size_t first_axis);

}  // namespace convserve::testing

#endif  // CONVSERVE_TESTS_SUPPORT_TENSORS_H_
