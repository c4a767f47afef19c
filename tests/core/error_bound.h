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

// Of float32 operands, computed in float64 by an algorithm: sum x w and sum |x||w|, with the bias.
class ExactSums {
 public:
  ExactSums(ProblemSpec spec, const RandomOperands& operands, std::string_view algorithm) {
    spec.input.data_type = spec.weight.data_type = DataType::kFloat64;
    if (spec.bias) spec.bias->data_type = DataType::kFloat64;
    for (const bool absolute : {false, true}) {
      RandomOperands wide{Widen(operands.input, absolute), Widen(operands.weight, absolute), {}};
      if (operands.bias) wide.bias = Widen(*operands.bias, absolute);
      (absolute ? magnitudes_ : exact_) = *RunAlgorithm(*MakeProblem(spec), wide.view(), algorithm);
    }
  }

  // The largest |y - exact| / (eps * sum |x||w|) with eps = 2^-24; infinity where something else
  // than 0 was made of zeros, or no number of numbers.
  double LargestError(const Tensor& actual) const {
    double largest = 0;
    for (std::int64_t i = 0; i < actual.size(); ++i) {
      const double error = std::fabs(actual.As<float>()[i] - exact_.As<double>()[i]);
      const double unit = std::ldexp(magnitudes_.As<double>()[i], -24);
      if (error == 0) continue;
      if (unit == 0 || std::isnan(error)) return std::numeric_limits<double>::infinity();
      largest = std::max(largest, error / unit);
    }
    return largest;
  }

 private:
  static Tensor Widen(const Tensor& from, bool absolute) {
    Tensor to(DataType::kFloat64, from.shape());
    for (std::int64_t i = 0; i < from.size(); ++i) {
      const double value = from.As<float>()[i];
      to.As<double>()[i] = absolute ? std::fabs(value) : value;
    }
    return to;
  }

  Tensor exact_, magnitudes_;
};

// That of an algorithm.
inline double LargestError(const ProblemSpec& spec, const RandomOperands& operands,
                           std::string_view algorithm) {
  return ExactSums(spec, operands, "gemm")
      .LargestError(*RunAlgorithm(*MakeProblem(spec), operands.view(), algorithm));
}

}  // namespace convserve::testing

#endif  // CONVSERVE_TESTS_CORE_ERROR_BOUND_H_
