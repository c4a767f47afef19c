// Operands and options of clients' tests.
#ifndef CONVSERVE_TESTS_CLIENT_SMALL_CALLS_H_
#define CONVSERVE_TESTS_CLIENT_SMALL_CALLS_H_

#include <chrono>

#include "client/convolution_client.h"
#include "tests/support/tensors.h"

namespace convserve::testing {

inline const Tensor& Ones4x4() {
  static const Tensor tensor = Filled(DataType::kFloat32, {1, 1, 4, 4}, 1);
  return tensor;
}

inline const Tensor& Ones3x3() {
  static const Tensor tensor = Filled(DataType::kFloat32, {1, 1, 3, 3}, 1);
  return tensor;
}

inline Operands SmallOperands() { return {Ones4x4().view(), Ones3x3().view(), {}}; }

// A client whose retries take no time to speak of.
inline ClientOptions Hasty() {
  ClientOptions options;
  options.initial_backoff = std::chrono::milliseconds(1);
  return options;
}

}  // namespace convserve::testing

#endif  // CONVSERVE_TESTS_CLIENT_SMALL_CALLS_H_
