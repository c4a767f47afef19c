#include "core/algorithms/panel_layout.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "core/algorithms/border.h"
#include "core/algorithms/panel_parts.h"
#include "core/divide.h"
#include "core/kernels/panel_kernel.h"
#include "core/kernels/running_sum.h"
#include "fmt/format.h"
#include "tbb/task_arena.h"

namespace convserve {
namespace {

// Columns of a box at most.
constexpr std::int64_t kMostColumns = 1024;
// Filters that any task has room for: a panel of every instruction set at least.
constexpr std::int64_t kFewRows = 24;
// Multiply-adds that are worth a thread.
constexpr std::int64_t kThreadProducts = 25'000'000;
// Tasks of a thread that are enough.
constexpr std::int64_t kTasksOfThread = 4;

// Cycles, measured: to pack a weight, to pack an element of a patch, of one in shorter pieces than
// a strip, to copy one of a window. A vector of products takes one.
constexpr double kWeight = 1;
constexpr double kPatch = 0.3;
constexpr double kPatchInPieces = 0.8;
constexpr double kWindow = 0.5;
constexpr std::int64_t kVector = 16;

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

// Has the union of some phases step as far from tap to tap as still meets all of theirs.
void WidenTapStep(const std::vector<Phase>& phases, Phase& all) {
  std::int64_t step = 0;
  for (const Phase& phase : phases) {
    step = std::gcd(step, phase.first_input - all.first_input);
    if (phase.taps > 1) step = std::gcd(step, phase.tap_step);
  }
  if (step == 0) return;
  all.taps = (all.taps - 1) * all.tap_step / step + 1;
  all.tap_step = step;
}

}  // namespace

PanelLayout::PanelLayout(const Problem& problem, const Geometry& g, const Patches& operands)
    : g_(g), batch_(std::max<std::int64_t>(g.batch, 1)) {
  AddPhases(problem, operands);
  if (phases_.empty()) return;
  std::int64_t most_taps = 1;
  for (const PanelPhase& phase : phases_) most_taps = std::max(most_taps, phase.taps);
  if (most_taps > kDepthBlock) {
    refusal_ = fmt::format("more than {} taps to an output", kDepthBlock);
    return;
  }
  if (all_->phases[2].output_step > kMostOutputStep) {
    refusal_ = "outputs too far apart";
    return;
  }
  for (const Phase& axis : all_->phases) {
    if (axis.taps > 1 && axis.tap_step > kPanelWindows / (axis.taps - 1)) {
      refusal_ = "taps too far apart";
      return;
    }
  }
  // Tap by tap, as many as a running sum takes.
  const std::int64_t channels = phases_.front().shares_taps()
                                    ? std::min(kRunningSum, kPanelPatches / kMaxStrip / most_taps)
                                    : kDepthBlock / most_taps;
  channels_ = std::clamp<std::int64_t>(channels, 1, g_.channels);
  if (channels_ * taps_ > kPanelWeights / kFewRows) {
    refusal_ = "too many taps";
    return;
  }
  if (!ColumnsAreInputs()) window_.emplace(*all_, Window::Extent{1, 1});
  const std::int64_t most = MostColumns();
  if (most == 0) {
    refusal_ = "windows larger than patches";
    return;
  }
  ChooseTasks(most, std::clamp<std::int64_t>(problem.multiply_adds() / kThreadProducts, 1,
                                             tbb::this_task_arena::max_concurrency()));
  SetOffsets();
}

void PanelLayout::AddPhases(const Problem& problem, const Patches& operands) {
  // Along which nothing but a phase writes outputs: rows of channels first are written whole.
  const std::size_t whole_axes = g_.channels_last() ? 3 : 2;
  for (const PanelPart& part : PanelParts(problem, g_)) {
    const auto& axes = part.axes;
    PanelPhase phase{{g_, operands.mode, axes, operands.input, operands.weight}};
    phase.taps = phase.patches.taps();
    phase.first_tap = part.first_tap;
    phase.shared_taps = part.shared_taps;
    for (std::size_t axis = 0; axis < whole_axes; ++axis) covers_rows_ &= axes[axis].taps > 0;
    if (phase.taps == 0) continue;
    taps_ = std::max(taps_, phase.first_tap + phase.taps);
    for (const std::int64_t tap : part.shared_taps) taps_ = std::max(taps_, tap + 1);
    if (!phases_.empty()) {
      const auto& before = phases_.back().patches.phases;
      phase.shares_patches = SamePatches(axes, before);
      phase.shares_row = axes[2].output_step > 1 &&
                         axes[0].first_output == before[0].first_output &&
                         axes[1].first_output == before[1].first_output;
    }
    phases_.push_back(std::move(phase));
  }
  for (std::size_t axis = 0; axis < whole_axes; ++axis) {
    covers_rows_ &= !HasUncoveredOutputs(problem.operation(), g_.axes[axis]);
  }
  if (phases_.empty()) {
    covers_rows_ = false;
    return;
  }
  std::array<Phase, 3> axes;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    std::vector<Phase> all;
    for (const PanelPhase& phase : phases_) all.push_back(phase.patches.phases[axis]);
    axes[axis] = Union(all);
    if (phases_.size() > 1) WidenTapStep(all, axes[axis]);
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
  if (g_.channels_last()) return false;
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
  if (window_) window_.emplace(*all_, Window::Extent{extent[1], extent[2]});
  box_.images = 1;
  if (extent == extent_) {
    std::int64_t images = most / box_.columns();
    if (window_) images = std::min(images, kPanelWindows / WindowSize());
    box_.images = part(batch_, images);
  }
  PlaceTotals();
}

std::int64_t PanelLayout::WindowSize() const {
  return window_ ? window_->channel_size() * channels_ * box_.extent[0] : 0;
}

// Side by side, in whole vectors, and with a strip to spare for each sum.
void PanelLayout::PlaceTotals() {
  std::int64_t total = 0;
  for (PanelPhase& phase : phases_) {
    phase.first_total = total;
    total += RoundUp(box_.Cut(phase.patches.phases).columns(), kVector) + kMaxStrip;
  }
  pitch_ = OddLines(total);
}

// Columns of the largest box at most; 0 where that is no good. Of one image, as all that refuses:
// the choice, and with it the bits, are the same in a batch.
std::int64_t PanelLayout::MostColumns() {
  std::int64_t most = kMostColumns;
  SetBox(most);
  while ((WindowSize() > kPanelWindows || pitch_ > kPanelSums / std::min(g_.filters, kFewRows)) &&
         most > kMaxStrip) {
    SetBox(most = most * 3 / 4);
  }
  if (!window_) return most;
  // Windows that copy more than the patches have are no gain.
  const std::int64_t columns = box_.extent[0] * box_.extent[1] * box_.extent[2];
  const bool good = WindowSize() <= kPanelWindows &&
                    window_->channel_size() * box_.extent[0] <= columns * taps_ * 3 / 2 + 64;
  return good ? most : 0;
}

// The box and the panels of a task that cost least with so many threads.
void PanelLayout::ChooseTasks(std::int64_t most, std::int64_t threads) {
  const auto enough = [&] { return threads == 1 || tasks() >= kTasksOfThread * threads; };
  double least = std::numeric_limits<double>::infinity();
  std::int64_t best_most = most;
  std::int64_t best_panels = 1;
  do {
    SetBox(most);
    const std::int64_t rows = std::min(kPanelWeights / (channels_ * taps_), kPanelSums / pitch_);
    const std::int64_t panels = std::max<std::int64_t>(rows / PanelKernels().rows, 1);
    const std::int64_t least_blocks = rows >= g_.filters ? 1 : CeilDivide(all_panels(), panels);
    for (std::int64_t blocks = least_blocks; blocks <= all_panels(); blocks += blocks / 4 + 1) {
      panels_ = CeilDivide(all_panels(), blocks);
      const double cost = Cost(threads);
      if (cost < least) {
        least = cost;
        best_most = most;
        best_panels = panels_;
      }
      if (enough()) break;
    }
    // Smaller boxes would have weights packed more often.
    if (least_blocks == 1 && enough()) break;
    most = most * 3 / 4;
  } while (most >= kMaxStrip);
  SetBox(best_most);
  panels_ = best_panels;
}

// Cycles for a channel: of all tasks, or of those that the slowest of several threads has, where
// the last one keeps the others waiting.
double PanelLayout::Cost(std::int64_t threads) const {
  constexpr double kLast = 0.1;  // of a task
  constexpr std::int64_t kFewBoxes = 64;
  const double largest = TaskCost(box_);
  if (!phases_.front().shares_taps() || boxes() > kFewBoxes) {
    if (threads == 1) return largest * static_cast<double>(tasks());
    return largest * (static_cast<double>(CeilDivide(tasks(), threads)) + kLast);
  }
  // Boxes of outputs apart differ: those after the first have none of the smaller parts.
  double all = 0;
  Box box = box_;
  for (std::int64_t i = 0; i < boxes(); ++i) {
    box.origin = BoxOrigin(i);
    all += TaskCost(box);
  }
  const std::int64_t tasks_of_box = tasks() / boxes();
  all *= static_cast<double>(tasks_of_box);
  if (threads == 1) return all;
  return std::max(all / static_cast<double>(threads), largest) + largest * kLast;
}

// Of a task of so many filters as there are at most.
double PanelLayout::TaskCost(const Box& whole) const {
  double task = static_cast<double>(rows() * taps_) * kWeight;
  for (const PanelPhase& phase : phases_) {
    const Box box = whole.Cut(phase.patches.phases);
    const std::int64_t columns = box.columns();
    task += static_cast<double>(rows() * phase.taps * CeilDivide(columns, kVector));
    if (phase.shares_patches) continue;
    const bool pieces = window_ && box.extent[2] < kMaxStrip;
    task += static_cast<double>(columns * phase.taps) * (pieces ? kPatchInPieces : kPatch);
  }
  if (window_) {
    task += static_cast<double>(window_->channel_size() * box_.extent[0] * box_.images) * kWindow;
  }
  return task;
}

void PanelLayout::SetOffsets() {
  for (PanelPhase& phase : phases_) {
    for (std::int64_t t = 0; t < phase.taps; ++t) {
      phase.taps_at.push_back(phase.shares_taps()
                                  ? phase.shared_taps[static_cast<std::size_t>(t)] * channels_
                                  : phase.first_tap * channels_ + t);
    }
    phase.offsets = OffsetsFor(phase, channels_);
    if (!phase.shares_taps()) continue;
    phase.last_offsets = OffsetsFor(phase, (g_.channels - 1) % channels_ + 1);
  }
}

// Channel by channel, or tap by tap where these are shared.
std::vector<std::int32_t> PanelLayout::OffsetsFor(const PanelPhase& phase,
                                                  std::int64_t channels) const {
  std::vector<std::int32_t> offsets;
  if (!window_) {
    for (std::int64_t c = 0; c < channels; ++c) {
      offsets.push_back(static_cast<std::int32_t>(c * g_.input.channel));
    }
    return offsets;
  }
  const auto& own = phase.patches.phases;
  const auto& all = all_->phases;
  // The taps of the window that are the phase's own.
  const std::vector<std::int64_t> taps = TapNumbers(
      own, {all[0].taps, all[1].taps, all[2].taps}, [&](std::size_t axis, std::int64_t t) {
        return (own[axis].Input(0, t) - all[axis].first_input) / all[axis].tap_step;
      });
  for (std::int64_t k = 0; k < channels * phase.taps; ++k) {
    const auto [c, t] = phase.shares_taps() ? std::pair(k % channels, k / channels)
                                            : std::pair(k / phase.taps, k % phase.taps);
    offsets.push_back(
        static_cast<std::int32_t>(window_->Offset(c, taps[static_cast<std::size_t>(t)])));
  }
  return offsets;
}

std::int64_t PanelLayout::all_panels() const { return CeilDivide(g_.filters, PanelKernels().rows); }

std::int64_t PanelLayout::FirstRow(std::int64_t panel) const {
  const std::int64_t panels = all_panels();
  return panel * (g_.filters / panels) + std::min(panel, g_.filters % panels);
}

std::int64_t PanelLayout::boxes() const {
  std::int64_t boxes = 1;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    boxes *= CeilDivide(extent_[axis], box_.extent[axis]);
  }
  return boxes;
}

// Along x first, then y and z.
std::array<std::int64_t, 3> PanelLayout::BoxOrigin(std::int64_t index) const {
  std::array<std::int64_t, 3> origin = {};
  for (const std::size_t axis : {std::size_t{2}, std::size_t{1}, std::size_t{0}}) {
    const std::int64_t count = CeilDivide(extent_[axis], box_.extent[axis]);
    origin[axis] = index % count * box_.extent[axis];
    index /= count;
  }
  return origin;
}

std::int64_t PanelLayout::tasks() const {
  return g_.groups * CeilDivide(all_panels(), panels_) * CeilDivide(batch_, box_.images) * boxes();
}

PanelLayout::Task PanelLayout::TaskAt(std::int64_t index) const {
  const auto next = [&](std::int64_t count) {
    const std::int64_t i = index % count;
    index /= count;
    return i;
  };
  Task task{.group = 0, .first_row = 0, .rows = 0, .panels = 0, .box = box_};
  const auto take_rows = [&] {
    const std::int64_t panel = next(CeilDivide(all_panels(), panels_)) * panels_;
    task.panels = std::min(panels_, all_panels() - panel);
    task.first_row = FirstRow(panel);
    task.rows = FirstRow(panel + task.panels) - task.first_row;
  };
  // Threads have neighbouring tasks: the same inputs, or some boxes of each size.
  const bool sizes_differ = phases_.front().shares_taps();
  if (!sizes_differ) take_rows();
  task.box.origin = BoxOrigin(next(boxes()));
  if (sizes_differ) take_rows();
  task.group = next(g_.groups);
  task.box.image = index * box_.images;
  task.box.images = std::min(box_.images, g_.batch - task.box.image);
  return task;
}

}  // namespace convserve
