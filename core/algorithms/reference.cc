// The specification of both operations, written to be read.
//
// Everything is brought into one form first: operands in the arithmetic's type, channels first,
// three spatial axes, kernels unflipped. Then the sums are formed exactly as the formulas of
// core/convolve.h state them, in order of channel and tap.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

#include "core/algorithms/algorithm.h"
#include "core/algorithms/border.h"
#include "core/convert.h"
#include "core/geometry.h"
#include "xtensor/xbuilder.hpp"
#include "xtensor/xmanipulation.hpp"
#include "xtensor/xtensor.hpp"

namespace convserve {
namespace {

using Index = std::array<std::int64_t, 3>;

// Calls body({z, y, x}) for every index below `sizes`.
template <typename Body>
void Each(const Index& sizes, Body body) {
  for (std::int64_t z = 0; z < sizes[0]; ++z) {
    for (std::int64_t y = 0; y < sizes[1]; ++y) {
      for (std::int64_t x = 0; x < sizes[2]; ++x) body(Index{z, y, x});
    }
  }
}

// Five axes, of which those that are missing have one element each: xtensor ends the process where
// memory does not suffice for a shape of any number of axes.
using Shape = std::array<std::size_t, 5>;

// The elements of `view`, whatever its own shape.
template <typename Acc>
xt::xtensor<Acc, 5> Load(const TensorView& view, const Shape& shape) {
  xt::xtensor<Acc, 5> values = xt::xtensor<Acc, 5>::from_shape(shape);
  VisitDataType(view.data_type, [&](auto zero) {
    const auto* data = view.As<decltype(zero)>();
    for (std::size_t i = 0; i < values.size(); ++i) values.flat(i) = Widen<Acc>(data[i]);
  });
  return values;
}

// [N, C, z, y, x], whatever the layout, batched or not.
template <typename Acc>
xt::xtensor<Acc, 5> CanonicalInput(const Problem& problem, const TensorView& view) {
  const bool channels_last = problem.tensor_layout() == TensorLayout::kChannelsLast;
  Shape shape = {1, 1, 1, 1, 1};
  auto size = view.shape.begin();
  if (view.shape.size() == problem.axes().size() + 2) shape[0] = static_cast<std::size_t>(*size++);
  if (!channels_last) shape[1] = static_cast<std::size_t>(*size++);
  std::copy_backward(size, view.shape.end(), shape.end());
  xt::xtensor<Acc, 5> x = Load<Acc>(view, shape);
  if (channels_last) return xt::transpose(x, Shape{0, 4, 1, 2, 3});
  return x;
}

// [M, C/g, kz, ky, kx] for Conv and [C, M/g, kz, ky, kx] for ConvTranspose, unflipped.
template <typename Acc>
xt::xtensor<Acc, 5> CanonicalWeight(const Problem& problem, const TensorView& view) {
  const bool channels_last = problem.weight_layout() == WeightLayout::kChannelsLast;
  Shape shape = {1, 1, 1, 1, 1};
  auto size = view.shape.begin();
  if (!channels_last) {
    shape[0] = static_cast<std::size_t>(*size++);
    shape[1] = static_cast<std::size_t>(*size++);
  }
  std::copy_backward(size, view.shape.end(), shape.end());
  xt::xtensor<Acc, 5> w = Load<Acc>(view, shape);
  if (channels_last) w = xt::xtensor<Acc, 5>(xt::transpose(w, Shape{4, 3, 0, 1, 2}));
  if (problem.flip_kernel()) {
    const auto taps = static_cast<std::ptrdiff_t>(w.shape(2) * w.shape(3) * w.shape(4));
    for (auto first = w.begin(); taps > 0 && first != w.end(); first += taps) {
      std::reverse(first, first + taps);
    }
  }
  return w;
}

// One fused multiply-add; exact for integers.
template <typename Acc>
Acc MultiplyAdd(Acc a, Acc b, Acc sum) {
  if constexpr (std::is_floating_point_v<Acc>) {
    return std::fma(a, b, sum);
  } else {
    return a * b + sum;
  }
}

template <typename Acc>
class Reference {
 public:
  explicit Reference(const Run& run)
      : run_(run),
        g_(run.problem),
        x_(CanonicalInput<Acc>(run.problem, run.operands.input)),
        w_(CanonicalWeight<Acc>(run.problem, run.operands.weight)) {
    const auto size = [](std::int64_t n) { return static_cast<std::size_t>(n); };
    y_ = xt::zeros<Acc>({size(g_.batch), size(g_.groups * g_.filters), size(g_.axes[0].output),
                         size(g_.axes[1].output), size(g_.axes[2].output)});
  }

  absl::Status Compute() {
    for (std::int64_t n = 0; n < g_.batch; ++n) {
      for (std::int64_t m = 0; m < g_.groups * g_.filters; ++m) {
        if (run_.problem.operation() == Operation::kConv) {
          Gather(n, m);
        } else {
          Scatter(n, m);
        }
        if (stopped()) return absl::CancelledError("a stop was requested");
      }
    }
    Store();
    return absl::OkStatus();
  }

 private:
  bool stopped() const { return run_.stop.stop_requested(); }

  // y[n, m, o] = sum over c, t of x[n, c, o*s + t*d - p] * w[m, c, t]
  void Gather(std::int64_t n, std::int64_t m) {
    const std::int64_t first_channel = m / g_.filters * g_.channels;
    Each({g_.axes[0].output, g_.axes[1].output, g_.axes[2].output}, [&](const Index& o) {
      Acc sum = 0;
      for (std::int64_t c = 0; c < g_.channels && !stopped(); ++c) {
        Each({g_.axes[0].kernel, g_.axes[1].kernel, g_.axes[2].kernel}, [&](const Index& t) {
          Index i;
          for (std::size_t axis = 0; axis < 3; ++axis) {
            const Axis& a = g_.axes[axis];
            i[axis] =
                SourceIndex(run_.problem.padding_mode(),
                            o[axis] * a.stride + t[axis] * a.dilation - a.padding_begin, a.input);
            if (i[axis] < 0) return;  // a padded tap is skipped, not multiplied
          }
          sum = MultiplyAdd(x_(n, first_channel + c, i[0], i[1], i[2]), w_(m, c, t[0], t[1], t[2]),
                            sum);
        });
      }
      y_(n, m, o[0], o[1], o[2]) = sum;
    });
  }

  // y[n, m, i*s + t*d - p] += x[n, c, i] * w[c, m, t], where that lies inside the output
  void Scatter(std::int64_t n, std::int64_t m) {
    const std::int64_t first_channel = m / g_.filters * g_.channels;
    for (std::int64_t c = first_channel; c < first_channel + g_.channels; ++c) {
      Each({g_.axes[0].input, g_.axes[1].input, g_.axes[2].input}, [&](const Index& i) {
        if (stopped()) return;
        Each({g_.axes[0].kernel, g_.axes[1].kernel, g_.axes[2].kernel}, [&](const Index& t) {
          Index o;
          for (std::size_t axis = 0; axis < 3; ++axis) {
            const Axis& a = g_.axes[axis];
            o[axis] = i[axis] * a.stride + t[axis] * a.dilation - a.padding_begin;
            if (o[axis] < 0 || o[axis] >= a.output) return;  // cropped
          }
          Acc& y = y_(n, m, o[0], o[1], o[2]);
          y = MultiplyAdd(x_(n, c, i[0], i[1], i[2]), w_(c, m % g_.filters, t[0], t[1], t[2]), y);
        });
      });
    }
  }

  // Adds the bias and rounds once, into the output's own layout.
  void Store() {
    const std::vector<Acc> bias = LoadBias<Acc>(run_);
    VisitDataType(run_.problem.output_type(), [&](auto zero) {
      using Out = decltype(zero);
      auto* out = reinterpret_cast<Out*>(run_.output.data());
      const TensorStrides& strides = g_.output;
      for (std::int64_t n = 0; n < g_.batch; ++n) {
        for (std::int64_t m = 0; m < g_.groups * g_.filters; ++m) {
          Each({g_.axes[0].output, g_.axes[1].output, g_.axes[2].output}, [&](const Index& o) {
            out[n * strides.batch + m * strides.channel + o[0] * strides.spatial[0] +
                o[1] * strides.spatial[1] + o[2] * strides.spatial[2]] =
                RoundTo<Out>(y_(n, m, o[0], o[1], o[2]) + bias[static_cast<std::size_t>(m)]);
          });
        }
      }
    });
  }

  const Run& run_;
  const Geometry g_;
  const xt::xtensor<Acc, 5> x_;
  const xt::xtensor<Acc, 5> w_;
  xt::xtensor<Acc, 5> y_;
};

std::string Refusal(const Problem& /*problem*/) { return ""; }

// Both operands twice (as loaded, and while their axes move) and the sums, in the arithmetic's
// type.
std::int64_t WorkspaceBytes(const Problem& problem) {
  const std::int64_t operands = problem.input_bytes() / SizeOf(problem.input_type()) +
                                problem.weight_bytes() / SizeOf(problem.weight_type());
  const std::int64_t sums = problem.output_bytes() / SizeOf(problem.output_type());
  const std::int64_t size = problem.arithmetic() == Arithmetic::kFloat32 ? 4 : 8;
  std::int64_t bytes = 0;
  if (__builtin_add_overflow(operands, operands + sums, &bytes) ||
      __builtin_mul_overflow(bytes, size, &bytes)) {
    return std::numeric_limits<std::int64_t>::max();
  }
  return bytes;
}

absl::Status Compute(const Run& run) {
  switch (run.problem.arithmetic()) {
    case Arithmetic::kFloat64:
      return Reference<double>(run).Compute();
    case Arithmetic::kInteger:
      return Reference<std::int64_t>(run).Compute();
    default:
      return Reference<float>(run).Compute();
  }
}

}  // namespace

constexpr Algorithm kReference = {"reference", Refusal, WorkspaceBytes, Compute};

}  // namespace convserve
