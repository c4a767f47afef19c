#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "cblas.h"
#include "oneapi/tbb/parallel_for.h"
#include "tests/bench/rivals/rivals.h"

namespace convserve::bench {
namespace {

// The patch matrix is built in slices of at most about this size along the outermost output axis.
constexpr std::int64_t kSliceBytes = std::int64_t{8} << 20;

blasint Size(std::int64_t value) { return static_cast<blasint>(value); }

struct Tap {
  std::int64_t offset[3];  // tap * dilation - padding, an axis
};

Tap TapAt(const Axes3& axes, std::int64_t index) {
  Tap tap{};
  for (std::size_t a = 3; a-- > 0;) {
    tap.offset[a] = index % axes[a].kernel * axes[a].dilation - axes[a].padding_begin;
    index /= axes[a].kernel;
  }
  return tap;
}

// Output positions, an axis.
using Box = std::array<Range, 3>;

// One row of the patch matrix: what `tap` sees of `plane` from the outputs in `box`.
void CopyPatches(const Axes3& axes, const float* plane, const Tap& tap, const Box& box,
                 float* row) {
  const auto [z, y, x] = axes;
  const Range inside = Inside(x.output, x.stride, tap.offset[2], x.input);
  const Range columns{std::clamp(inside.begin, box[2].begin, box[2].end),
                      std::clamp(inside.end, box[2].begin, box[2].end)};
  for (std::int64_t oz = box[0].begin; oz < box[0].end; ++oz) {
    const std::int64_t iz = oz * z.stride + tap.offset[0];
    for (std::int64_t oy = box[1].begin; oy < box[1].end; ++oy) {
      const std::int64_t iy = oy * y.stride + tap.offset[1];
      float* const row_end = row + (box[2].end - box[2].begin);
      if (iz < 0 || iz >= z.input || iy < 0 || iy >= y.input) {
        row = std::fill_n(row, row_end - row, 0.0F);
        continue;
      }
      const float* line = plane + (iz * y.input + iy) * x.input + tap.offset[2];
      row = std::fill_n(row, columns.begin - box[2].begin, 0.0F);
      if (x.stride == 1) {
        row = std::copy(line + columns.begin, line + columns.end, row);
      } else {
        for (std::int64_t o = columns.begin; o < columns.end; ++o) *row++ = line[o * x.stride];
      }
      row = std::fill_n(row, row_end - row, 0.0F);
    }
  }
}

// The reverse for a transposed layer: one row of products is added into the output plane.
void AddPatches(const Axes3& axes, const float* row, const Tap& tap, float* plane) {
  const auto [z, y, x] = axes;
  const Range columns = Inside(x.input, x.stride, tap.offset[2], x.output);
  for (std::int64_t iz = 0; iz < z.input; ++iz) {
    const std::int64_t oz = iz * z.stride + tap.offset[0];
    for (std::int64_t iy = 0; iy < y.input; ++iy, row += x.input) {
      const std::int64_t oy = iy * y.stride + tap.offset[1];
      if (oz < 0 || oz >= z.output || oy < 0 || oy >= y.output) continue;
      float* line = plane + (oz * y.output + oy) * x.output + tap.offset[2];
      for (std::int64_t i = columns.begin; i < columns.end; ++i) line[i * x.stride] += row[i];
    }
  }
}

class Im2colRunner : public Runner {
 public:
  explicit Im2colRunner(const Workload& workload)
      : workload_(workload),
        axes_(workload.axes()),
        outermost_(3 - workload.problem.axes().size()),
        inputs_(workload.group_inputs()),
        outputs_(workload.group_outputs()),
        output_(DataType::kFloat32, workload.problem.output_shape()) {
    const std::int64_t taps = Taps(axes_);
    if (workload.transposed()) {
      rows_ = outputs_ * taps;
      cells_ = InputCells(axes_);
    } else {
      rows_ = inputs_ * taps;
      const Axis& outermost = axes_[outermost_];
      const std::int64_t inner = OutputCells(axes_) / outermost.output;
      slice_ = std::clamp<std::int64_t>(kSliceBytes / (rows_ * inner * 4), 1, outermost.output);
      cells_ = slice_ * inner;
    }
    matrix_ = Tensor(DataType::kFloat32, {IsPlainProduct() ? 1 : rows_ * cells_});
  }

  void Run() override {
    const Problem& problem = workload_.problem;
    const std::int64_t taps = Taps(axes_);
    for (std::int64_t n = 0; n < problem.batch(); ++n) {
      for (std::int64_t g = 0; g < problem.groups(); ++g) {
        const std::int64_t index = n * problem.groups() + g;
        const float* input = workload_.input.As<float>() + index * inputs_ * InputCells(axes_);
        const float* weight = workload_.weight.As<float>() + g * inputs_ * outputs_ * taps;
        float* output = output_.As<float>() + index * outputs_ * OutputCells(axes_);
        if (workload_.transposed()) {
          Transposed(input, weight, output);
        } else {
          Forward(input, weight, output);
        }
      }
    }
  }

  std::span<const float> Output() override {
    return {output_.As<float>(), static_cast<std::size_t>(output_.size())};
  }

 private:
  // The input is the patch matrix already.
  bool IsPlainProduct() const {
    return !workload_.transposed() && std::all_of(axes_.begin(), axes_.end(), [](const Axis& a) {
      return a.kernel == 1 && a.stride == 1 && a.padding_begin == 0 && a.padding_end == 0;
    });
  }

  void Forward(const float* input, const float* weight, float* output) {
    const std::int64_t all = OutputCells(axes_);
    const auto multiply = [&](const float* matrix, std::int64_t cells, std::int64_t stride,
                              float* to) {
      cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, Size(outputs_), Size(cells),
                  Size(rows_), 1, weight, Size(rows_), matrix, Size(stride), 0, to, Size(all));
    };
    if (IsPlainProduct()) return multiply(input, all, all, output);
    const std::int64_t steps = axes_[outermost_].output;
    const std::int64_t inner = all / steps;
    const std::int64_t taps = Taps(axes_);
    for (std::int64_t begin = 0; begin < steps; begin += slice_) {
      Box box{Range{0, axes_[0].output}, Range{0, axes_[1].output}, Range{0, axes_[2].output}};
      box[outermost_] = {begin, std::min(begin + slice_, steps)};
      const std::int64_t cells = (box[outermost_].end - begin) * inner;
      tbb::parallel_for(std::int64_t{0}, rows_, [&](std::int64_t row) {
        CopyPatches(axes_, input + row / taps * InputCells(axes_), TapAt(axes_, row % taps), box,
                    matrix_.As<float>() + row * cells);
      });
      multiply(matrix_.As<float>(), cells, cells, output + begin * inner);
    }
  }

  void Transposed(const float* input, const float* weight, float* output) {
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, Size(rows_), Size(cells_), Size(inputs_),
                1, weight, Size(rows_), input, Size(cells_), 0, matrix_.As<float>(), Size(cells_));
    const std::int64_t taps = Taps(axes_);
    tbb::parallel_for(std::int64_t{0}, outputs_, [&](std::int64_t m) {
      float* plane = output + m * OutputCells(axes_);
      std::fill_n(plane, OutputCells(axes_), 0.0F);
      for (std::int64_t t = 0; t < taps; ++t) {
        AddPatches(axes_, matrix_.As<float>() + (m * taps + t) * cells_, TapAt(axes_, t), plane);
      }
    });
  }

  const Workload& workload_;
  const Axes3 axes_;
  const std::size_t outermost_;          // the first of the problem's own axes
  const std::int64_t inputs_, outputs_;  // channels of a group
  std::int64_t rows_ = 0, cells_ = 0, slice_ = 0;
  Tensor output_;
  Tensor matrix_;  // [rows_, cells_]
};

}  // namespace

Prepared PrepareIm2col(const Workload& workload) {
  return std::make_unique<Im2colRunner>(workload);
}

}  // namespace convserve::bench
