// How far results are from exact ones, in the unit of the promised bound.
#ifndef CONVSERVE_TESTS_CORE_ERROR_BOUND_H_
#define CONVSERVE_TESTS_CORE_ERROR_BOUND_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string_view>

#include "core/convolve.h"
#include "tests/support/random_spec.h"

namespace convserve::testing {

// The largest |y - exact| / (eps * sum |x||w|) of what an algorithm makes of float32 operands, with
// eps = 2^-24 and sums in float64; infinity where something else than 0 was made of zeros.
inline double LargestError(const ProblemSpec& spec, const RandomOperands& operands,
                           std::string_view algorithm) {
  const auto widen = [](const Tensor& from, bool absolute) {
    Tensor to(DataType::kFloat64, from.shape());
    for (std::int64_t i = 0; i < from.size(); ++i) {
      const double value = from.As<float>()[i];
      to.As<double>()[i] = absolute ? std::fabs(value) : value;
    }
    return to;
  };
  ProblemSpec wide = spec;
  wide.input.data_type = wide.weight.data_type = DataType::kFloat64;
  if (wide.bias) wide.bias->data_type = DataType::kFloat64;
  const Problem wide_problem = *MakeProblem(wide);
  const auto sums = [&](bool absolute) {
    RandomOperands wide_operands{
        widen(operands.input, absolute), widen(operands.weight, absolute), {}};
    if (operands.bias) wide_operands.bias = widen(*operands.bias, absolute);
    return *RunAlgorithm(wide_problem, wide_operands.view(), "gemm");
  };
  const Tensor exact = sums(false);
  const Tensor magnitudes = sums(true);
  const Tensor actual = *RunAlgorithm(*MakeProblem(spec), operands.view(), algorithm);
  double largest = 0;
  for (std::int64_t i = 0; i < actual.size(); ++i) {
    const double error = std::fabs(actual.As<float>()[i] - exact.As<double>()[i]);
    const double unit = std::ldexp(magnitudes.As<double>()[i], -24);
    if (error == 0) continue;
    if (unit == 0) return std::numeric_limits<double>::infinity();
    largest = std::max(largest, error / unit);
  }
  return largest;
}

}  // namespace convserve::testing

#endif  // CONVSERVE_TESTS_CORE_ERROR_BOUND_H_
