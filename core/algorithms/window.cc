#include "core/algorithms/window.h"

#include <algorithm>
#include <numeric>

#include "core/divide.h"

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
  channel_size_ = OddLines(size);
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

WindowCopy Window::Copies(Origin origin, Extent extent) const {
  const Geometry& g = patches_.geometry;
  const auto& phases = patches_.phases;
  const std::int64_t rows = extent.rows + axes_[1].span;
  const std::int64_t width = extent.width + axes_[2].span;
  // The input coordinate, modulo the stride, that a plane holds.
  const auto residue = [&](std::size_t axis, std::int64_t plane) {
    const std::int64_t step = phases[axis].input_step;
    const std::int64_t coordinate = TapCoordinate(phases[axis], plane);
    return coordinate - FloorDivide(coordinate, step) * step;
  };
  const RowSource source{phases[2].input_step, g.input.spatial[2], g.axes[2].input, patches_.mode};
  WindowCopy copies;
  copies.stride_ = source.step * source.stride;
  copies.plane_pitch_ = rows_ * pitch_;
  for (std::int64_t x = 0; x < axes_[2].planes; ++x) {
    copies.AddPlane(source, (axes_[2].first + origin.x) * source.step + residue(2, x), width,
                    x * copies.plane_pitch_);
  }
  std::int64_t plane = 0;
  for (std::int64_t z = 0; z < phases[0].taps; ++z) {
    const std::int64_t source_z =
        SourceIndex(patches_.mode, TapCoordinate(phases[0], z) + origin.z * phases[0].input_step,
                    g.axes[0].input);
    for (std::int64_t y = 0; y < axes_[1].planes; ++y) {
      for (std::int64_t row = 0; row < rows; ++row) {
        const std::int64_t source_y = SourceIndex(
            patches_.mode, (axes_[1].first + origin.y + row) * phases[1].input_step + residue(1, y),
            g.axes[1].input);
        const std::int64_t to = plane + row * pitch_;
        if (source_z >= 0 && source_y >= 0) {
          copies.rows_.push_back(
              {source_z * g.input.spatial[0] + source_y * g.input.spatial[1], to});
          continue;
        }
        for (std::int64_t x = 0; x < axes_[2].planes; ++x) {
          copies.outside_.push_back({to + x * copies.plane_pitch_, width});
        }
      }
      plane += axes_[2].planes * copies.plane_pitch_;
    }
  }
  return copies;
}

// The elements of every row that belong to one plane, from coordinate `first` on.
void WindowCopy::AddPlane(const RowSource& source, std::int64_t first, std::int64_t width,
                          std::int64_t to) {
  const auto [inside, outside] = source.Inside(first, width);
  const auto pad = [&](std::int64_t begin, std::int64_t end) {
    if (source.mode == PaddingMode::kZeros) {
      if (begin < end) padding_.push_back({to + begin, end - begin});
      return;
    }
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t at = SourceIndex(source.mode, first + i * source.step, source.size);
      if (at < 0) {
        padding_.push_back({to + i, 1});
      } else {
        AddCopy({at * source.stride, to + i, 1, 1, 0});
      }
    }
  };
  pad(0, inside);
  if (inside < outside) {
    AddCopy({(first + inside * source.step) * source.stride, to + inside, outside - inside, 1, 0});
  }
  pad(outside, width);
}

// A copy of the elements beside the last one's, to the next plane, becomes a part of that one.
void WindowCopy::AddCopy(const Copy& copy) {
  Copy* last = copies_.empty() ? nullptr : &copies_.back();
  if (last != nullptr && stride_ > 1 && copy.count == last->count) {
    if (last->plane_step >= 0 && copy.from == last->from + last->planes &&
        copy.to == last->to + last->planes * plane_pitch_) {
      ++last->planes;
      last->plane_step = plane_pitch_;
      return;
    }
    if (last->plane_step <= 0 && copy.from == last->from - 1 &&
        copy.to == last->to + plane_pitch_) {
      *last = {copy.from, copy.to, copy.count, last->planes + 1, -plane_pitch_};
      return;
    }
  }
  copies_.push_back(copy);
}

}  // namespace convserve
