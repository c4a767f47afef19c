#include "core/algorithms/window.h"

#include <algorithm>
#include <numeric>

#include "core/divide.h"

namespace convserve {

WindowAxis::WindowAxis(const Phase& phase, std::int64_t outputs) : phase_(phase) {
  const std::int64_t step = phase.input_step;
  const std::int64_t ends[] = {FloorDivide(phase.Input(0, 0), step),
                               FloorDivide(phase.Input(0, phase.taps - 1), step)};
  quotient_ = std::min(ends[0], ends[1]);
  span_ = std::max(ends[0], ends[1]) - quotient_;
  planes_ = std::min(phase.taps, step / std::gcd(step, phase.tap_step));
  // Whether taps * outputs < planes * (outputs + span), which might be too large.
  apart_ = span_ > (phase.taps - planes_) * outputs / planes_;
  if (apart_) {
    planes_ = phase.taps;
    span_ = 0;
  }
}

std::int64_t WindowAxis::ElementOf(std::int64_t tap) const {
  return apart_ ? 0 : FloorDivide(phase_.Input(0, tap), phase_.input_step) - quotient_;
}

std::int64_t WindowAxis::First(std::int64_t plane) const {
  return phase_.Input(0, plane) - ElementOf(plane) * phase_.input_step;
}

Window::Window(const Patches& patches, Extent extent)
    : patches_(patches), y_(patches.phases[1], extent.rows), x_(patches.phases[2], extent.width) {
  rows_ = extent.rows + y_.span();
  pitch_ = extent.width + x_.span();
  const Phase& x = patches.phases[2];
  const Axis& axis = patches.geometry.axes[2];
  if (patches.mode == PaddingMode::kZeros && x.input_step == 1 && extent.width == x.outputs &&
      x_.planes() == 1) {
    // Zeros at the end of a row serve as those at the beginning of the next.
    const std::int64_t before = std::max<std::int64_t>(-x_.First(0), 0);
    const std::int64_t after = std::max<std::int64_t>(x_.First(0) + pitch_ - axis.input, 0);
    const std::int64_t shared = std::min({before, after, pitch_ - extent.width});
    pitch_ -= shared;
    overhang_ = shared;
  }
  channel_size_ = OddLines(patches.phases[0].taps * y_.planes() * x_.planes() * rows_ * pitch_);
}

std::int64_t Window::Offset(std::int64_t channel, std::int64_t tap) const {
  const auto& phases = patches_.phases;
  const std::int64_t x = tap % phases[2].taps;
  const std::int64_t y = tap / phases[2].taps % phases[1].taps;
  const std::int64_t z = tap / phases[2].taps / phases[1].taps;
  const std::int64_t plane = (z * y_.planes() + y_.PlaneOf(y)) * x_.planes() + x_.PlaneOf(x);
  return channel * channel_size_ + (plane * rows_ + y_.ElementOf(y)) * pitch_ + x_.ElementOf(x);
}

WindowCopy Window::Copies(Origin origin, Extent extent) const {
  const Geometry& g = patches_.geometry;
  const auto& phases = patches_.phases;
  const std::int64_t rows = extent.rows + y_.span();
  const std::int64_t width = extent.width + x_.span();
  const RowSource source{phases[2].input_step, g.input.spatial[2], g.axes[2].input, patches_.mode};
  WindowCopy copies;
  copies.stride_ = source.elements();
  copies.plane_pitch_ = rows_ * pitch_;
  copies.channel_step_ = g.input.channel;
  copies.channels_last_ = g.channels_last();
  for (std::int64_t x = 0; x < x_.planes(); ++x) {
    copies.AddPlane(source, x_.First(x) + origin.x * source.step + origin.beside_x, width,
                    x * copies.plane_pitch_);
  }
  std::int64_t plane = 0;
  for (std::int64_t z = 0; z < phases[0].taps; ++z) {
    const std::int64_t source_z =
        SourceIndex(patches_.mode, phases[0].Input(origin.z, z), g.axes[0].input);
    for (std::int64_t y = 0; y < y_.planes(); ++y) {
      for (std::int64_t row = 0; row < rows; ++row) {
        const std::int64_t source_y = SourceIndex(
            patches_.mode, y_.First(y) + (origin.y + row) * phases[1].input_step + origin.beside_y,
            g.axes[1].input);
        const std::int64_t to = plane + row * pitch_;
        if (source_z >= 0 && source_y >= 0) {
          copies.rows_.push_back(
              {source_z * g.input.spatial[0] + source_y * g.input.spatial[1], to});
          continue;
        }
        for (std::int64_t x = 0; x < x_.planes(); ++x) {
          copies.outside_.push_back({to + x * copies.plane_pitch_, width});
        }
      }
      plane += x_.planes() * copies.plane_pitch_;
    }
  }
  copies.JoinRows();
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

WindowCopy::Reach WindowCopy::Reads() const {
  Reach reach;
  for (const Row& row : rows_) {  // reflected ones are in any order
    for (const Copy& copy : copies_) {
      const std::int64_t first = row.from + copy.from;
      const std::int64_t last = first + (copy.count - 1) * stride_ + copy.planes;
      if (reach.last == 0) reach = {first, last};
      reach = {std::min(reach.first, first), std::max(reach.last, last)};
    }
  }
  return reach;
}

// Whether rows are stretches of the input, and no padding.
bool WindowCopy::HasPlainRows() const {
  return !rows_.empty() && copies_.size() == 1 && copies_[0].planes == 1 && stride_ == 1 &&
         padding_.empty() && outside_.empty();
}

std::optional<WindowCopy::Stretch> WindowCopy::OneStretch() const {
  if (!HasPlainRows() || rows_.size() != 1) return std::nullopt;
  return Stretch{rows_[0].from + copies_[0].from, rows_[0].to + copies_[0].to, copies_[0].count};
}

// Rows that follow each other in the input and in the window alike are one.
void WindowCopy::JoinRows() {
  if (!HasPlainRows()) return;
  const std::int64_t count = copies_[0].count;
  for (std::size_t i = 1; i < rows_.size(); ++i) {
    const Row& last = rows_[i - 1];
    if (rows_[i].from != last.from + count || rows_[i].to != last.to + count) return;
  }
  copies_[0].count *= static_cast<std::int64_t>(rows_.size());
  rows_.erase(rows_.begin() + 1, rows_.end());
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
