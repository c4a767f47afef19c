#include "core/algorithms/window.h"

#include <algorithm>
#include <numeric>
#include <type_traits>

#include "core/algorithms/copy_row.h"

namespace convserve {
namespace {

std::int64_t TapCoordinate(const Phase& phase, std::int64_t tap) {
  return phase.first_input + tap * phase.tap_step;
}

WindowAxis MakeAxis(const Phase& phase) {
  WindowAxis axis;
  const std::int64_t period = phase.input_step / std::gcd(phase.input_step, phase.tap_step);
  axis.planes = std::min(phase.taps, period);
  const std::int64_t ends[] = {FloorDivide(TapCoordinate(phase, 0), phase.input_step),
                               FloorDivide(TapCoordinate(phase, phase.taps - 1), phase.input_step)};
  axis.first = std::min(ends[0], ends[1]);
  axis.span = std::max(ends[0], ends[1]) - axis.first;
  return axis;
}

}  // namespace

Window::Window(const Patches& patches, Extent extent) : patches_(patches) {
  for (std::size_t i = 0; i < 3; ++i) axes_[i] = MakeAxis(patches.phases[i]);
  rows_ = extent.rows + axes_[1].span;
  pitch_ = extent.width + axes_[2].span;
  const Phase& x = patches.phases[2];
  const Axis& axis = patches.geometry.axes[2];
  if (patches.mode == PaddingMode::kZeros && x.input_step == 1 && extent.width == x.outputs) {
    // Zeros at the end of a row serve as those at the beginning of the next.
    const std::int64_t before = std::max<std::int64_t>(-axes_[2].first, 0);
    const std::int64_t after = std::max<std::int64_t>(axes_[2].first + pitch_ - axis.input, 0);
    pitch_ = std::max(pitch_ - std::min(before, after), extent.width);
  }
  const std::int64_t size =
      patches.phases[0].taps * axes_[1].planes * axes_[2].planes * rows_ * pitch_;
  // An odd number of cache lines, so that channels do not compete for the same places in the cache.
  constexpr std::int64_t kLine = 16;
  channel_size_ = (((size + kLine - 1) / kLine) | 1) * kLine;
}

std::int64_t Window::Offset(std::int64_t channel, std::int64_t tap) const {
  const auto& phases = patches_.phases;
  const std::int64_t x = tap % phases[2].taps;
  const std::int64_t y = tap / phases[2].taps % phases[1].taps;
  const std::int64_t z = tap / phases[2].taps / phases[1].taps;
  const auto quotient = [&](std::size_t axis, std::int64_t t) {
    return FloorDivide(TapCoordinate(phases[axis], t), phases[axis].input_step) - axes_[axis].first;
  };
  const std::int64_t plane =
      (z * axes_[1].planes + y % axes_[1].planes) * axes_[2].planes + x % axes_[2].planes;
  return channel * channel_size_ + (plane * rows_ + quotient(1, y)) * pitch_ + quotient(2, x);
}

template <typename T, typename In>
void Window::PackAs(const In* input, std::int64_t count, Origin origin, Extent extent,
                    T* out) const {
  const Geometry& g = patches_.geometry;
  const auto& phases = patches_.phases;
  const std::int64_t rows = extent.rows + axes_[1].span;
  const std::int64_t width = extent.width + axes_[2].span;
  // Row `row` of the window in plane `y` meets this input row.
  const auto source_row = [&](std::int64_t y, std::int64_t row) {
    const std::int64_t step = phases[1].input_step;
    const std::int64_t residue =
        TapCoordinate(phases[1], y) - FloorDivide(TapCoordinate(phases[1], y), step) * step;
    return SourceIndex(patches_.mode, (axes_[1].first + origin.y + row) * step + residue,
                       g.axes[1].input);
  };
  for (std::int64_t c = 0; c < count; ++c, out += channel_size_, input += g.input.channel) {
    T* plane = out;
    for (std::int64_t z = 0; z < phases[0].taps; ++z) {
      const std::int64_t source_z =
          SourceIndex(patches_.mode, TapCoordinate(phases[0], z) + origin.z * phases[0].input_step,
                      g.axes[0].input);
      for (std::int64_t y = 0; y < axes_[1].planes; ++y) {
        for (std::int64_t x = 0; x < axes_[2].planes; ++x, plane += rows_ * pitch_) {
          const std::int64_t step = phases[2].input_step;
          const std::int64_t residue =
              TapCoordinate(phases[2], x) - FloorDivide(TapCoordinate(phases[2], x), step) * step;
          const RowSource source{step, g.input.spatial[2], g.axes[2].input, patches_.mode};
          const std::int64_t first = (axes_[2].first + origin.x) * step + residue;
          for (std::int64_t row = 0; row < rows; ++row) {
            const std::int64_t source_y = source_row(y, row);
            T* to = plane + row * pitch_;
            if (source_z < 0 || source_y < 0) {
              std::fill(to, to + width, T{0});
              continue;
            }
            CopyRow(input + source_z * g.input.spatial[0] + source_y * g.input.spatial[1], source,
                    first, width, to);
          }
        }
      }
    }
  }
}

template <typename T>
void Window::Pack(std::int64_t batch, std::int64_t group, std::int64_t first, std::int64_t count,
                  Origin origin, Extent extent, T* out) const {
  const Geometry& g = patches_.geometry;
  VisitDataType(patches_.input.data_type, [&](auto zero) {
    using In = decltype(zero);
    if constexpr (std::is_same_v<T, double> == std::is_same_v<In, double>) {
      PackAs(patches_.input.As<In>() + batch * g.input.batch + group * g.input.group +
                 first * g.input.channel,
             count, origin, extent, out);
    }
  });
}

template void Window::Pack<float>(std::int64_t, std::int64_t, std::int64_t, std::int64_t, Origin,
                                  Extent, float*) const;
template void Window::Pack<double>(std::int64_t, std::int64_t, std::int64_t, std::int64_t, Origin,
                                   Extent, double*) const;

}  // namespace convserve
