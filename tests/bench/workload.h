// A layer with its tensors, and the geometry that simple loops over it need.
#ifndef CONVSERVE_TESTS_BENCH_WORKLOAD_H_
#define CONVSERVE_TESTS_BENCH_WORKLOAD_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "core/problem.h"
#include "core/tensor.h"
#include "tests/bench/layer.h"

namespace convserve::bench {

// Three axes always: those that a problem lacks are leading axes of size 1.
using Axes3 = std::array<Axis, 3>;

struct Workload {
  Layer layer;
  Problem problem;
  // Uniform in [-1, 1), or over all integers of the type.
  Tensor input;   // [N, C, in...], or [N, in..., C] of channels-last layers
  Tensor weight;  // [M, C/g, k...], or [C, M/g, k...] when transposed

  bool channels_last() const { return problem.tensor_layout() == TensorLayout::kChannelsLast; }
  // Where a cell of a channel is in the input, and in the output.
  std::int64_t InputAt(std::int64_t n, std::int64_t channel, std::int64_t cell) const;
  std::int64_t OutputAt(std::int64_t n, std::int64_t channel, std::int64_t cell) const;
  bool transposed() const { return problem.operation() == Operation::kConvTranspose; }
  std::int64_t group_inputs() const { return problem.input_channels() / problem.groups(); }
  std::int64_t group_outputs() const { return problem.output_channels() / problem.groups(); }
  Axes3 axes() const;
  double flops() const { return 2 * static_cast<double>(problem.multiply_adds()); }
  // What has to be read and written once: input, weight and output.
  std::int64_t mandatory_bytes() const;
};

// The same numbers on every run and in every layout.
absl::StatusOr<Workload> MakeWorkload(const Layer& layer,
                                      const ElementTypes& types = kElementTypes.front(),
                                      TensorLayout layout = TensorLayout::kChannelsFirst);

// The tensors' magnitudes, element by element, as far as their types hold them.
Workload Magnitudes(const Workload& workload);

// The elements of a result as floats: themselves, or rounded in `place`.
std::span<const float> AsFloats(const Tensor& tensor, std::vector<float>& place);

// The positions i of [0, count) for which 0 <= i * stride + offset < limit.
struct Range {
  std::int64_t begin = 0;
  std::int64_t end = 0;
};
inline Range Inside(std::int64_t count, std::int64_t stride, std::int64_t offset,
                    std::int64_t limit) {
  const std::int64_t begin = offset >= 0 ? 0 : (-offset + stride - 1) / stride;
  const std::int64_t end = limit <= offset ? 0 : (limit - offset - 1) / stride + 1;
  return {std::min(begin, count), std::clamp(end, std::min(begin, count), count)};
}

// Products over the three axes.
inline std::int64_t InputCells(const Axes3& a) { return a[0].input * a[1].input * a[2].input; }
inline std::int64_t OutputCells(const Axes3& a) { return a[0].output * a[1].output * a[2].output; }
inline std::int64_t Taps(const Axes3& a) { return a[0].kernel * a[1].kernel * a[2].kernel; }

}  // namespace convserve::bench

#endif  // CONVSERVE_TESTS_BENCH_WORKLOAD_H_
