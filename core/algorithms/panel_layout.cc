#include "core/algorithms/panel_layout.h"

#include <algorithm>
#include <limits>

#include "core/algorithms/border.h"
#include "core/divide.h"
#include "core/kernels/panel_kernel.h"
#include "fmt/format.h"

namespace convserve {
namespace {

// Columns of a box at most, about, and at least where there are so many.
constexpr std::int64_t kMostColumns = 1024;
constexpr std::int64_t kFewColumns = 256;
// Columns of which all patches are packed before the weights, at most.
constexpr std::int64_t kColumnsOfRows = 128;
// Filters of a task: a multiple of kRowStep, at most kMostRows where their weights are packed at
// once, and not split further below kFewRows.
constexpr std::int64_t kRowStep = 12;
constexpr std::int64_t kMostRows = 216;
constexpr std::int64_t kFewRows = 96;

// Whether two phases have the same patch matrix.
bool SamePatches(const std::array<Phase, 3>& a, const std::array<Phase, 3>& b) {
  for (std::size_t axis = 0; axis < 3; ++axis) {
    if (a[axis].outputs != b[axis].outputs || a[axis].taps != b[axis].taps ||
        a[axis].first_input != b[axis].first_input || a[axis].input_step != b[axis].input_step ||
        a[axis].tap_step != b[axis].tap_step) {
      return false;
    }
  }
  return true;
}

}  // namespace

PanelLayout::PanelLayout(const Problem& problem, const Geometry& g, const PanelPart& part,
                         const Patches& operands)
    : g_(g),
      products_(problem.multiply_adds()),
      parts_(part.parts),
      batch_(std::max<std::int64_t>(g.batch, 1)) {
  AddPhases(problem, part, operands);
  if (phases_.empty()) return;
  std::int64_t most_taps = 1;
  for (const PanelPhase& phase : phases_) most_taps = std::max(most_taps, phase.taps);
  if (most_taps > kDepthBlock) {
    refusal_ = fmt::format("more than {} taps to an output", kDepthBlock);
    return;
  }
  for (const Phase& axis : all_->phases) {
    if (axis.taps > 1 && axis.tap_step > kPanelWindows / (axis.taps - 1)) {
      refusal_ = "taps too far apart";
      return;
    }
  }
  channels_ = std::clamp<std::int64_t>(kDepthBlock / most_taps, 1, g_.channels);
  if (channels_ * taps_ > kPanelWeights / kRowStep) {
    refusal_ = "too many taps";
  } else if (!ChooseTasks()) {
    refusal_ = "windows larger than patches";
  } else {
    SetOffsets();
  }
}

void PanelLayout::AddPhases(const Problem& problem, const PanelPart& part,
                            const Patches& operands) {
  for (const std::array<Phase, 3>& axes : part.phases) {
    PanelPhase phase{{g_, operands.mode, axes, operands.input, operands.weight}};
    phase.taps = phase.patches.taps();
    phase.first_tap = taps_;
    covers_rows_ &= axes[0].taps > 0 && axes[1].taps > 0;
    if (phase.taps == 0) continue;
    taps_ += phase.taps;
    if (!phases_.empty()) {
      const auto& before = phases_.back().patches.phases;
      phase.shares_patches = SamePatches(axes, before);
      phase.shares_row = axes[0].first_output == before[0].first_output &&
                         axes[1].first_output == before[1].first_output;
    }
    phases_.push_back(std::move(phase));
  }
  covers_rows_ &= !phases_.empty() && !HasUncoveredOutputs(problem.operation(), g_.axes[0]) &&
                  !HasUncoveredOutputs(problem.operation(), g_.axes[1]);
  if (phases_.empty()) return;
  std::array<Phase, 3> axes;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    std::vector<Phase> all;
    for (const PanelPhase& phase : phases_) all.push_back(phase.patches.phases[axis]);
    axes[axis] = Union(all);
    extent_[axis] = axes[axis].outputs;
  }
  // Outputs along x that no phase has, between those of a row, are written with it.
  if (axes[2].output_step > 1) {
    extent_[2] = std::max(extent_[2], CeilDivide(g_.axes[2].output, axes[2].output_step));
  }
  all_.emplace(Patches{g_, operands.mode, axes, operands.input, operands.weight});
}

// Whether every column is an element of a channel, and in the order of the elements.
bool PanelLayout::ColumnsAreInputs() const {
  const auto& phases = phases_.front().patches.phases;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    if (phases[axis].taps != 1 || phases[axis].input_step != 1 || phases[axis].first_input != 0 ||
        phases[axis].outputs != g_.axes[axis].input) {
      return false;
    }
  }
  return std::all_of(phases_.begin() + 1, phases_.end(),
                     [](const PanelPhase& phase) { return phase.shares_patches; }) &&
         g_.input.channel <= std::numeric_limits<std::int32_t>::max() / channels_;
}

void PanelLayout::SetRows(std::int64_t most) {
  if (most < g_.filters) most = std::max(most / kRowStep, std::int64_t{1}) * kRowStep;
  const std::int64_t blocks = CeilDivide(g_.filters, most);
  rows_ = std::min(g_.filters, RoundUp(CeilDivide(g_.filters, blocks), kRowStep));
}

// A box of up to so many columns: as long along x as possible, then along y, z and the batch.
void PanelLayout::SetBox(std::int64_t most) {
  const auto part = [](std::int64_t size, std::int64_t limit) {
    return CeilDivide(size, CeilDivide(size, std::max<std::int64_t>(limit, 1)));
  };
  auto& extent = box_.extent;
  extent[2] = extent_[2] <= most
                  ? extent_[2]
                  : std::min(most, RoundUp(part(extent_[2], most - kMaxStrip), kMaxStrip));
  extent[1] = part(extent_[1], most / extent[2]);
  extent[0] = extent[1] == extent_[1] ? part(extent_[0], most / (extent[1] * extent[2])) : 1;
  box_.images = 1;
  if (extent == extent_) box_.images = part(batch_, most / box_.columns());
  if (window_) window_.emplace(*all_, Window::Extent{extent[1], extent[2]});
}

std::int64_t PanelLayout::WindowSize() const {
  return window_ ? window_->channel_size() * channels_ * box_.extent[0] * box_.images : 0;
}

bool PanelLayout::ChooseTasks() {
  constexpr std::int64_t kSpare = 2 * kMaxStrip;  // columns of totals beside those of the box
  const auto phases = static_cast<std::int64_t>(phases_.size());
  if (!ColumnsAreInputs()) window_.emplace(*all_, Window::Extent{1, 1});
  SetRows(std::min({kMostRows, kPanelWeights / (channels_ * taps_),
                    kPanelSums / (phases * (kFewColumns + kSpare))}));
  std::int64_t most = std::min(kMostColumns, kPanelSums / (rows_ * phases) - kSpare);
  SetBox(most);
  while (WindowSize() > kPanelWindows && most > kMaxStrip) SetBox(most = most * 3 / 4);
  // Of one image, as all that refuses: the choice, and with it the bits, are the same in a batch.
  const std::int64_t columns = box_.extent[0] * box_.extent[1] * box_.extent[2];
  if (window_) {
    const std::int64_t size = window_->channel_size() * box_.extent[0];
    if (size > kPanelWindows / channels_) return false;
    // Windows that copy more than the patches have are no gain, nor are those of a single tap,
    // which every task copies for itself, unless its columns are few.
    if (size > columns * taps_ * 3 / 2 + 64) return false;
    if (taps_ == 1 && columns > kColumnsOfRows) return false;
  }
  packs_rows_ = box_.columns() <= kColumnsOfRows && PatchesSize() <= kPanelStrips &&
                channels_ * taps_ * kRowsAtOnce <= kPanelWeights;
  const std::int64_t wanted = WantedTasks();
  if (packs_rows_) {
    SetRows(kPanelSums / (phases * (box_.columns() + kSpare)));
  } else {
    while (tasks() < wanted && most > kFewColumns) SetBox(most = std::max(most / 2, kFewColumns));
  }
  const std::int64_t boxes = tasks() / CeilDivide(g_.filters, rows_);
  std::int64_t blocks = std::max(CeilDivide(g_.filters, rows_), CeilDivide(wanted, boxes));
  if (wanted > 1 && boxes == 1) blocks += blocks % 2;  // for two threads
  SetRows(std::min(rows_, std::max(CeilDivide(g_.filters, blocks), kFewRows)));
  pitch_ = OddLines(box_.columns() + kMaxStrip);
  return true;
}

// Each of them copies its window again: not many for small problems.
std::int64_t PanelLayout::WantedTasks() const {
  constexpr std::int64_t kLeastProducts = 50'000'000;
  constexpr std::int64_t kMost = 8;
  if (products_ < kLeastProducts) return 1;
  const std::int64_t all =
      2 * std::clamp<std::int64_t>(products_ / (2 * kLeastProducts), 1, kMost / 2);
  return CeilDivide(all, parts_);
}

// Of all patches of a block of depth.
std::int64_t PanelLayout::PatchesSize() const {
  std::int64_t size = 0;
  for (const PanelPhase& phase : phases_) {
    if (phase.shares_patches) continue;
    size += RoundUp(box_.Cut(phase.patches.phases).columns(), kMaxStrip) * channels_ * phase.taps;
  }
  return size;
}

void PanelLayout::SetOffsets() {
  for (PanelPhase& phase : phases_) {
    const auto& own = phase.patches.phases;
    const auto& all = all_->phases;
    // The tap of the window that is the phase's own.
    const auto tap = [&](std::size_t axis, std::int64_t t) {
      return (own[axis].Input(0, t) - all[axis].first_input) / all[axis].tap_step;
    };
    for (std::int64_t c = 0; c < channels_; ++c) {
      if (!window_) {
        phase.offsets.push_back(static_cast<std::int32_t>(c * g_.input.channel));
        continue;
      }
      for (std::int64_t z = 0; z < own[0].taps; ++z) {
        for (std::int64_t y = 0; y < own[1].taps; ++y) {
          for (std::int64_t x = 0; x < own[2].taps; ++x) {
            phase.offsets.push_back(static_cast<std::int32_t>(window_->Offset(
                c, (tap(0, z) * all[1].taps + tap(1, y)) * all[2].taps + tap(2, x))));
          }
        }
      }
    }
  }
}

std::int64_t PanelLayout::tasks() const {
  std::int64_t tasks = g_.groups * CeilDivide(g_.filters, rows_) * CeilDivide(batch_, box_.images);
  for (std::size_t axis = 0; axis < 3; ++axis) {
    tasks *= CeilDivide(extent_[axis], box_.extent[axis]);
  }
  return tasks;
}

std::int64_t PanelLayout::RowsPackedAt(std::int64_t first_row) const {
  const std::int64_t task_end = std::min((first_row / rows_ + 1) * rows_, g_.filters);
  return std::min(packs_rows_ ? kRowsAtOnce : rows_, task_end - first_row);
}

PanelLayout::Task PanelLayout::TaskAt(std::int64_t index) const {
  const auto next = [&](std::int64_t count) {
    const std::int64_t i = index % count;
    index /= count;
    return i;
  };
  Task task{.group = 0, .first_row = 0, .rows = 0, .box = box_};
  task.first_row = next(CeilDivide(g_.filters, rows_)) * rows_;
  task.rows = std::min(rows_, g_.filters - task.first_row);
  for (const std::size_t axis : {std::size_t{2}, std::size_t{1}, std::size_t{0}}) {
    task.box.origin[axis] = next(CeilDivide(extent_[axis], box_.extent[axis])) * box_.extent[axis];
  }
  task.group = next(g_.groups);
  task.box.image = index * box_.images;
  task.box.images = std::min(box_.images, g_.batch - task.box.image);
  return task;
}

}  // namespace convserve
