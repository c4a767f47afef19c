// How kPanels cuts a convolution: into phases, blocks of depth, boxes of outputs and tasks. Phases
// and blocks, which the bits depend on, follow from the problem alone; boxes and tasks from the
// number of threads and the height of panels, too.
#ifndef CONVSERVE_CORE_ALGORITHMS_PANEL_LAYOUT_H_
#define CONVSERVE_CORE_ALGORITHMS_PANEL_LAYOUT_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/algorithms/border.h"
#include "core/algorithms/patches.h"
#include "core/algorithms/window.h"
#include "core/divide.h"
#include "core/geometry.h"
#include "core/kernels/panel_kernel.h"
#include "core/problem.h"

namespace convserve {

// Elements of a task's packed weights, of all phases and one block of depth; of the windows of its
// box; of its totals. All are read in order, a few bytes a cycle: they may come from the L3 cache.
inline constexpr std::int64_t kPanelWeights = std::int64_t{264} * 1024;
inline constexpr std::int64_t kPanelWindows = std::int64_t{192} * 1024;
inline constexpr std::int64_t kPanelSums = std::int64_t{440} * 1024;
// Elements of the patches that are multiplied at once: those stay in the L2 cache, which gives a
// vector as fast as a panel takes it.
inline constexpr std::int64_t kPanelPatches = std::int64_t{27} * 1024;
// Outputs between those of a phase along x, at most: rows are put together from one vector each.
inline constexpr std::int64_t kMostOutputStep = 256;

// Outputs of a phase: columns are numbered image by image, x fastest.
struct Box {
  std::int64_t image = 0;
  std::int64_t images = 1;
  std::array<std::int64_t, 3> origin = {};
  std::array<std::int64_t, 3> extent = {};

  std::int64_t columns() const { return images * extent[0] * extent[1] * extent[2]; }

  // The part that a phase with so many outputs has.
  Box Cut(const std::array<Phase, 3>& phases) const {
    Box cut = *this;
    for (std::size_t axis = 0; axis < 3; ++axis) {
      cut.extent[axis] =
          std::clamp<std::int64_t>(phases[axis].outputs - origin[axis], 0, extent[axis]);
    }
    return cut;
  }

  // Columns that lie side by side in a tensor of such sizes, and such steps from one output to the
  // next.
  template <typename Size, typename Step>
  std::int64_t Together(Size size, Step step) const {
    std::int64_t columns = 1;
    for (std::size_t axis = 3; axis-- > 0 && step(axis) == 1;) {
      columns *= extent[axis];
      if (extent[axis] != size(axis)) break;
    }
    return columns;
  }

  struct Position {
    std::int64_t image;
    std::array<std::int64_t, 3> q;  // within the box
  };
  Position At(std::int64_t column) const {
    if (column < extent[2]) return {0, {0, 0, column}};
    const std::int64_t row = column / extent[2];
    const std::int64_t plane = row / extent[1];
    return {plane / extent[0], {plane % extent[0], row % extent[1], column % extent[2]}};
  }

  // Calls body(column, length) for the pieces of columns [first, first + count) between multiples
  // of `together`.
  template <typename Body>
  static void ForEachPiece(std::int64_t first, std::int64_t count, std::int64_t together,
                           Body body) {
    for (std::int64_t column = first; column < first + count;) {
      const std::int64_t length = std::min(together - column % together, first + count - column);
      body(column, length);
      column += length;
    }
  }
};

struct PanelPhase {
  Patches patches;
  std::int64_t taps = 0;
  std::int64_t first_tap = 0;  // this and the next as in PanelPart
  std::vector<std::int64_t> shared_taps = {};
  std::vector<std::int64_t> taps_at = {};  // where those of the first channel are in the panels
  std::int64_t first_total = 0;            // where its totals begin in each row of them
  bool shares_patches = false;             // with the phase before it
  bool shares_row = false;  // lies in the same rows of the output as the phase before it
  // Of the rows of a block of depth, in the window or the input: of a whole block, and of the last.
  std::vector<std::int32_t> offsets = {};
  std::vector<std::int32_t> last_offsets = {};

  bool shares_taps() const { return !shared_taps.empty(); }
  // From the tap of a channel to that of the next one, in the panels.
  std::int64_t channel_step() const { return shares_taps() ? 1 : taps; }
};

class PanelLayout {
 public:
  // `operands` has the operands.
  PanelLayout(const Problem& problem, const Geometry& g, const Patches& operands);
  PanelLayout(const PanelLayout&) = delete;  // the window refers to it
  PanelLayout& operator=(const PanelLayout&) = delete;

  // Why the layout is no good; empty when it is.
  std::string Refusal() const { return refusal_; }

  // The parts that have taps.
  const std::vector<PanelPhase>& phases() const { return phases_; }
  // Calls body(first, last) for phases [first, last) that share their patches.
  template <typename Body>
  void ForEachPatches(Body body) const {
    for (std::size_t first = 0; first < phases_.size();) {
      std::size_t last = first + 1;
      while (last < phases_.size() && phases_[last].shares_patches) ++last;
      body(first, last);
      first = last;
    }
  }
  // Whether every row of outputs, along x, is in some phase.
  bool covers_rows() const { return covers_rows_; }
  std::int64_t taps() const { return taps_; }          // whose weights are packed
  std::int64_t channels() const { return channels_; }  // of a block of depth
  std::int64_t depth_blocks() const { return CeilDivide(g_.channels, channels_); }
  std::int64_t panel_depth() const { return channels_ * taps_; }
  const Patches& all() const { return *all_; }
  // The window that all phases read; nothing where columns are elements of the input.
  const std::optional<Window>& window() const { return window_; }
  std::int64_t pitch() const { return pitch_; }  // from one row of totals to the next
  // Of the rows of a block of so many channels.
  std::span<const std::int32_t> Offsets(const PanelPhase& phase, std::int64_t channels) const {
    const bool whole = channels == channels_ || !phase.shares_taps();
    return std::span(whole ? phase.offsets : phase.last_offsets)
        .first(static_cast<std::size_t>(channels * phase.taps));
  }

  std::int64_t tasks() const;
  struct Task {
    std::int64_t group, first_row, rows;
    std::int64_t panels;  // that have the rows
    Box box;
  };
  Task TaskAt(std::int64_t index) const;

 private:
  void AddPhases(const Problem& problem, const Patches& operands);
  bool ColumnsAreInputs() const;
  // The first filter of a panel: all filters of a group are cut alike, whatever has them.
  std::int64_t FirstRow(std::int64_t panel) const;
  std::int64_t all_panels() const;
  std::int64_t rows() const { return FirstRow(panels_); }  // of a task at most
  std::int64_t MostColumns();
  void ChooseTasks(std::int64_t most, std::int64_t threads);
  std::int64_t boxes() const;  // of an image
  std::array<std::int64_t, 3> BoxOrigin(std::int64_t index) const;
  double Cost(std::int64_t threads) const;
  double TaskCost(const Box& whole) const;
  void SetBox(std::int64_t most);
  std::int64_t WindowSize() const;  // of an image
  void PlaceTotals();
  void SetOffsets();
  std::vector<std::int32_t> OffsetsFor(const PanelPhase& phase, std::int64_t channels) const;

  const Geometry& g_;
  const std::int64_t batch_;  // at least 1: empty ones have plans, too
  std::string refusal_;
  std::vector<PanelPhase> phases_;
  std::optional<Patches> all_;               // one stretch of taps that holds those of all phases
  std::array<std::int64_t, 3> extent_ = {};  // outputs of the phases at most
  bool covers_rows_ = true;
  std::int64_t taps_ = 0;
  std::int64_t channels_ = 0;
  std::optional<Window> window_;
  Box box_;                  // the largest
  std::int64_t panels_ = 0;  // of a task at most
  std::int64_t pitch_ = 0;
};

}  // namespace convserve

#endif  // CONVSERVE_CORE_ALGORITHMS_PANEL_LAYOUT_H_
