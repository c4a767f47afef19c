#include <algorithm>
#include <cstdint>

#include "oneapi/tbb/parallel_for.h"
#include "tests/bench/rivals/rivals.h"

// The compiler makes a variant of a function for every instruction set and chooses at load time.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define CONVSERVE_EVERY_ISA __attribute__((target_clones("avx512f", "avx2,fma", "default")))
#else
#define CONVSERVE_EVERY_ISA
#endif

namespace convserve::bench {
namespace {

constexpr std::int64_t kMostMultiplyAdds = std::int64_t{1} << 30;
// Outputs of a row that stay in the nearest cache while all taps are added.
constexpr std::int64_t kRowBlock = 2048;

struct Strided {
  std::int64_t to;
  std::int64_t from;
};

// to[i * strides.to] += weight * from[i * strides.from]
CONVSERVE_EVERY_ISA void Add(float* to, const float* from, float weight, std::int64_t count,
                             Strided strides) {
  if (strides.to == 1 && strides.from == 1) {
    for (std::int64_t i = 0; i < count; ++i) to[i] += weight * from[i];
  } else {
    for (std::int64_t i = 0; i < count; ++i) to[i * strides.to] += weight * from[i * strides.from];
  }
}

class NaiveRunner : public Runner {
 public:
  explicit NaiveRunner(const Workload& workload)
      : workload_(workload),
        axes_(workload.axes()),
        output_(DataType::kFloat32, workload.problem.output_shape()) {}

  void Run() override {
    const Problem& problem = workload_.problem;
    tbb::parallel_for(std::int64_t{0}, problem.batch() * problem.output_channels(),
                      [&](std::int64_t plane) {
                        if (workload_.transposed()) {
                          TransposedPlane(plane);
                        } else {
                          ForwardPlane(plane);
                        }
                      });
  }

  std::span<const float> Output() override {
    return {output_.As<float>(), static_cast<std::size_t>(output_.size())};
  }

 private:
  // Every tap of a filter with the input plane that it is applied to.
  template <typename Visit>
  void ForEachTap(std::int64_t plane, Visit visit) const {
    const Problem& problem = workload_.problem;
    const std::int64_t n = plane / problem.output_channels();
    const std::int64_t m = plane % problem.output_channels();
    const std::int64_t inputs = workload_.group_inputs();
    const std::int64_t outputs = workload_.group_outputs();
    const std::int64_t group = m / outputs;
    const float* weights = workload_.weight.As<float>();
    for (std::int64_t c = 0; c < inputs; ++c) {
      const std::int64_t channel = group * inputs + c;
      const float* input = workload_.input.As<float>() +
                           (n * problem.input_channels() + channel) * InputCells(axes_);
      const float* filter =
          weights +
          Taps(axes_) * (workload_.transposed() ? channel * outputs + m % outputs : m * inputs + c);
      for (std::int64_t t0 = 0; t0 < axes_[0].kernel; ++t0) {
        for (std::int64_t t1 = 0; t1 < axes_[1].kernel; ++t1) {
          for (std::int64_t t2 = 0; t2 < axes_[2].kernel; ++t2) {
            visit(input, *filter++, Offset(0, t0), Offset(1, t1), Offset(2, t2));
          }
        }
      }
    }
  }

  std::int64_t Offset(std::size_t axis, std::int64_t tap) const {
    return tap * axes_[axis].dilation - axes_[axis].padding_begin;
  }

  void ForwardPlane(std::int64_t plane) {
    const Axis& z = axes_[0];
    const Axis& y = axes_[1];
    const Axis& x = axes_[2];
    float* row = output_.As<float>() + plane * OutputCells(axes_);
    for (std::int64_t oz = 0; oz < z.output; ++oz) {
      for (std::int64_t oy = 0; oy < y.output; ++oy, row += x.output) {
        for (std::int64_t begin = 0; begin < x.output; begin += kRowBlock) {
          const std::int64_t end = std::min(begin + kRowBlock, x.output);
          std::fill(row + begin, row + end, 0.0F);
          ForEachTap(plane, [&](const float* input, float weight, std::int64_t dz, std::int64_t dy,
                                std::int64_t dx) {
            const std::int64_t iz = oz * z.stride + dz;
            const std::int64_t iy = oy * y.stride + dy;
            if (iz < 0 || iz >= z.input || iy < 0 || iy >= y.input) return;
            const Range inside = Inside(x.output, x.stride, dx, x.input);
            const std::int64_t first = std::clamp(inside.begin, begin, end);
            const std::int64_t last = std::clamp(inside.end, begin, end);
            Add(row + first, input + (iz * y.input + iy) * x.input + first * x.stride + dx, weight,
                last - first, {1, x.stride});
          });
        }
      }
    }
  }

  void TransposedPlane(std::int64_t plane) {
    const Axis& z = axes_[0];
    const Axis& y = axes_[1];
    const Axis& x = axes_[2];
    float* output = output_.As<float>() + plane * OutputCells(axes_);
    std::fill_n(output, OutputCells(axes_), 0.0F);
    ForEachTap(plane, [&](const float* input, float weight, std::int64_t dz, std::int64_t dy,
                          std::int64_t dx) {
      const Range rows = Inside(y.input, y.stride, dy, y.output);
      const Range columns = Inside(x.input, x.stride, dx, x.output);
      const Range slices = Inside(z.input, z.stride, dz, z.output);
      for (std::int64_t iz = slices.begin; iz < slices.end; ++iz) {
        for (std::int64_t iy = rows.begin; iy < rows.end; ++iy) {
          float* row =
              output + ((iz * z.stride + dz) * y.output + iy * y.stride + dy) * x.output + dx;
          Add(row + columns.begin * x.stride, input + (iz * y.input + iy) * x.input + columns.begin,
              weight, columns.end - columns.begin, {x.stride, 1});
        }
      }
    });
  }

  const Workload& workload_;
  const Axes3 axes_;
  Tensor output_;
};

}  // namespace

Prepared PrepareNaive(const Workload& workload) {
  if (workload.problem.multiply_adds() > kMostMultiplyAdds) {
    return absl::UnimplementedError("too slow to be a rival");
  }
  return std::make_unique<NaiveRunner>(workload);
}

}  // namespace convserve::bench
