// Convolution as a matrix product of packed panels, for both operations.
//
//   output [filters x columns] = weights [filters x depth] * patches [depth x columns]
//
// per phase (core/phases.h) and group. A task has some filters of all phases, for a box of outputs
// (core/algorithms/panel_layout.h). Block by block of depth it packs its weights into panels and
// copies the part of the input that the box meets into a window (core/algorithms/window.h). A few
// strips of columns at a time it then packs patches from the window, for all of its filters: tasks
// are as large as the number of threads lets them be, as others pack some of the same again.
// Weights may come packed (core/algorithms/weight_panels.h).
//
// A block of depth is as many whole channels as hold kDepthBlock products at most; each block's sum
// starts at zero (and within it anew, core/kernels/running_sum.h) and is then added to the total.
// Where dilated taps often meet nothing but padding, outputs that meet the same taps are apart
// (core/algorithms/panel_parts.h), and a block is kRunningSum channels at most: it is summed tap by
// tap, and outputs pass over the taps that they do not meet. That fixed order gives the same bits
// for any number of threads, box or instruction set.
//
// Totals are kept in the thread's scratch; complete ones go where they belong
// (core/algorithms/panel_output.h).
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "core/algorithms/algorithm.h"
#include "core/algorithms/border.h"
#include "core/algorithms/panel_layout.h"
#include "core/algorithms/panel_output.h"
#include "core/algorithms/panel_patches.h"
#include "core/algorithms/tasks.h"
#include "core/algorithms/totals.h"
#include "core/algorithms/weight_panels.h"
#include "core/geometry.h"
#include "core/kernels/packing_kernel.h"
#include "core/kernels/panel_kernel.h"
#include "core/phases.h"
#include "core/scratch.h"
#include "fmt/format.h"

namespace convserve {
namespace {

// Fewer read a packed strip too seldom. Where several taps meet one window and nothing else shares
// its patches, kGemm reads them from it in place: packing pays for more filters only.
constexpr std::int64_t kLeastFilters = 12;
constexpr std::int64_t kLeastFiltersOfWindow = 28;
// Products of an output at least: with fewer a strip is packed for too little.
constexpr std::int64_t kLeastDepth = 8;
// Taps of a kernel at most.
constexpr std::int64_t kMostTaps = std::int64_t{16} * 1024;
constexpr std::int64_t kMostPhases = 64;

// Strips multiplied at once, at most.
constexpr std::int64_t kStripsAtOnce = 32;
static_assert(kPanelPatches >= kDepthBlock * kMaxStrip);

// What a thread works in.
struct PanelScratch {
  float* weights = reinterpret_cast<float*>(ThreadScratch());
  float* windows = weights + kPanelWeights + kPanelSlack;
  float* strip = windows + kPanelWindows;
  float* sums = strip + kPanelPatches;

  static constexpr std::int64_t kSize =
      kPanelWeights + kPanelSlack + kPanelWindows + kPanelPatches + kPanelSums;
};
static_assert(PanelScratch::kSize * std::int64_t{sizeof(float)} <= kScratchBytes);

class Panels {
 public:
  explicit Panels(const Run& run)
      : run_(run),
        g_(Geometry::Joined(run.problem)),
        layout_(run.problem, g_,
                {g_, run.problem.padding_mode(), {}, run.operands.input, run.operands.weight}),
        weights_(run.problem, g_, layout_, run.operands.weight, run.packed_weight),
        patches_(run, g_, layout_),
        totals_(run, g_),
        output_(run, g_, layout_, totals_.bias()) {
    if (!layout_.covers_rows()) totals_.FillWithBias();
  }

  absl::Status Compute() const {
    if (!layout_.phases().empty()) {
      ForEachTask(layout_.tasks(), run_.stop, [&](std::int64_t task) { RunTask(task); });
      Repair();
    }
    return StatusAfter(run_.stop);
  }

 private:
  using Task = PanelLayout::Task;
  using Channels = PanelChannels;
  // Of a box.
  struct Columns {
    std::int64_t first, count;
  };

  void RunTask(std::int64_t index) const {
    const Task task = layout_.TaskAt(index);
    const auto& phases = layout_.phases();
    const PanelScratch scratch;
    const std::vector<WindowCopy> copies = patches_.Copies(task);
    for (std::int64_t c = 0; c < g_.channels; c += layout_.channels()) {
      if (stopped()) return;
      const Channels channels = BlockAt(c);
      patches_.CopyWindows(task, channels, copies, scratch.windows);
      AddChannels(task, channels, copies, scratch);
    }
    std::vector<const float*> totals_of_phases;
    for (std::size_t first = 0; first < phases.size() && !stopped();) {
      std::size_t last = first + 1;
      while (last < phases.size() && phases[last].shares_row) ++last;
      totals_of_phases.clear();
      for (std::size_t i = first; i < last; ++i) totals_of_phases.push_back(SumsOf(i, scratch));
      output_.Store(task, first, totals_of_phases);
      first = last;
    }
  }

  // After all tasks. A weight that is not finite makes NaN of every output at which its tap is
  // padded (0 * Inf). A tap that is padded anywhere along an axis is so at the first or the last
  // output: those tell.
  void Repair() const {
    if (run_.problem.padding_mode() != PaddingMode::kZeros) return;
    for (const PanelPhase& phase : layout_.phases()) {
      if (stopped()) return;
      if (MeetsPadding(phase.patches) && !totals_.CornersAreNumbers(phase.patches.phases)) {
        RepairBorder(run_, phase.patches, totals_.BiasToAdd(0, 0), layout_.channels() * phase.taps);
      }
    }
  }

  bool stopped() const { return run_.stop.stop_requested(); }

  // The block of depth that begins with channel `first`; nothing past the last one.
  Channels BlockAt(std::int64_t first) const {
    return {first, std::min(layout_.channels(), g_.channels - first)};
  }

  static WeightPanels::Block WeightsOf(const Task& task, const Channels& channels) {
    return {task.group, task.first_row, task.rows, task.panels, channels.first, channels.count};
  }

  float* SumsOf(std::size_t phase, const PanelScratch& scratch) const {
    return scratch.sums + layout_.phases()[phase].first_total;
  }

  // Columns from `column` on that are multiplied at once, and whose totals go to one place.
  std::int64_t ColumnsAtOnce(std::size_t first, std::size_t last, const Box& box,
                             std::int64_t column, std::int64_t depth) const {
    const std::int64_t left = box.columns() - column;
    if (left <= kernels_.strip) return left;
    const std::int64_t most =
        std::min({left, kPanelPatches / depth, kStripsAtOnce * kernels_.strip}) / kernels_.strip *
        kernels_.strip;
    for (std::size_t i = first; i < last; ++i) {
      if (!output_.TreatsAlike(layout_.phases()[i], box, column, most)) return kernels_.strip;
    }
    return std::max(most, kernels_.strip);
  }

  // Adds channels to all totals: weights are packed once, patches a few strips at a time.
  void AddChannels(const Task& task, const Channels& channels,
                   const std::vector<WindowCopy>& copies, const PanelScratch& scratch) const {
    const float* weights = weights_.Panels(WeightsOf(task, channels), scratch.weights);
    layout_.ForEachPatches([&](std::size_t first, std::size_t last) {
      const Box box = task.box.Cut(layout_.phases()[first].patches.phases);
      const std::int64_t depth = channels.count * layout_.phases()[first].taps;
      for (std::int64_t column = 0; column < box.columns();) {
        if (stopped()) return;
        const std::int64_t columns = ColumnsAtOnce(first, last, box, column, depth);
        std::array<const float*, kStripsAtOnce> unpacked;
        PanelProduct product{.a = weights, .b = scratch.strip};
        if (columns >= kernels_.strip) {
          product.packing = {unpacked.data(),
                             layout_.Offsets(layout_.phases()[first], channels.count).data(),
                             InputAfter(task, box, {column, columns}, channels)};
        }
        for (std::int64_t x = 0; x < columns; x += kernels_.strip) {
          StripRuns runs;
          const StripPatches patches =
              patches_.At(task, box, column + x, first, channels, scratch.windows, runs,
                          scratch.strip + x * depth);
          const bool in_place =
              patches.runs.size() == 1 && patches.runs.front().count == kernels_.strip;
          unpacked[static_cast<std::size_t>(x / kernels_.strip)] =
              in_place ? patches.from + patches.runs.front().from : nullptr;
          if (!in_place) packing_.patches(patches);
        }
        for (std::size_t i = first; i < last; ++i) {
          product.fetch = {};
          if (i == first) {
            product.fetch = Next(task, box, {column, columns}, channels, copies);
            for (PanelFetch& fetch : product.fetch) fetch = Share(fetch, first, last);
          }
          AddProduct(task, box, {column, columns}, i, channels, scratch, product);
          product.packing = {};
        }
        column += columns;
      }
    });
  }

  // Adds the product of the packed weights with some strips to the totals of a phase.
  void AddProduct(const Task& task, const Box& box, const Columns& columns, std::size_t index,
                  const Channels& channels, const PanelScratch& scratch,
                  PanelProduct product) const {
    const PanelPhase& phase = layout_.phases()[index];
    product.panel_depth = layout_.panel_depth();
    product.first_depth = layout_.channels() * phase.first_tap;
    product.depth = channels.count * phase.taps;
    if (phase.shares_taps()) {
      product.running_sum = channels.count;
      product.sums_at = phase.taps_at.data();
    }
    product.strip_depth = product.depth;
    product.rows = task.rows;
    product.panels = task.panels;
    product.columns = columns.count;
    product.c = SumsOf(index, scratch) + columns.first;
    product.c_stride = layout_.pitch();
    if (channels.first > 0) product.before = product.c;
    product.before_stride = layout_.pitch();
    if (channels.first + channels.count == g_.channels) {
      product.bias = totals_.BiasToAdd(task.group, task.first_row);
      if (output_.TakesStrips(phase, box, columns.first, columns.count)) {
        product.c = output_.At(task, phase, box, columns.first);
        product.c_stride = g_.output.channel;
        product.past_caches = LeavesCaches(run_.problem);
      }
    }
    kernels_.multiply(product);
  }

  // What phases [first, last) fetch of all that is to be fetched.
  PanelFetch Share(const PanelFetch& fetch, std::size_t first, std::size_t last) const {
    return fetch.Part(static_cast<std::int64_t>(first), static_cast<std::int64_t>(last - first),
                      std::ssize(layout_.phases()));
  }

  // Weights and windows of the next block of depth: a part with every product.
  std::array<PanelFetch, 2> Next(const Task& task, const Box& box, const Columns& columns,
                                 const Channels& channels,
                                 const std::vector<WindowCopy>& copies) const {
    const Channels after = BlockAt(channels.first + channels.count);
    if (after.count == 0) return {};
    const auto part = [&](const PanelFetch& fetch) {
      return fetch.Part(columns.first, columns.count, box.columns());
    };
    return {part(weights_.Fetch(WeightsOf(task, after))),
            part(patches_.Fetch(task, after, copies))};
  }

  // Where columns are inputs, those that follow some columns: of the same channels in the box, of
  // the next block of depth, or of the box after it. Null where they are not.
  const float* InputAfter(const Task& task, const Box& box, const Columns& columns,
                          const Channels& channels) const {
    if (layout_.window()) return nullptr;
    const std::int64_t next = columns.first + columns.count;
    if (next < box.columns()) return patches_.InputAt(task, box, next, channels);
    const Channels after = BlockAt(channels.first + channels.count);
    if (after.count > 0) return patches_.InputAt(task, box, 0, after);
    return patches_.InputAt(task, box, columns.first, channels) + columns.count;
  }

  const Run& run_;
  const Geometry g_;
  const PanelLayout layout_;
  const WeightPanels weights_;
  const PanelPatches patches_;
  const Totals<float, float> totals_;
  const PanelOutput output_;
  const PanelTable& kernels_ = PanelKernels();
  const PackingTable& packing_ = PackingKernels();
};

PanelLayout LayoutOf(const Problem& problem, const Geometry& g, const TensorView& weight) {
  return {problem, g, {g, problem.padding_mode(), {}, {}, weight}};
}

std::string Refusal(const Problem& problem) {
  const Geometry g = Geometry::Joined(problem);
  if (!IsFloat32(problem)) return "types other than float32";
  std::int64_t taps = 1;
  std::int64_t phases = 1;
  for (const Axis& axis : g.axes) {
    if (axis.kernel > kMostTaps / taps) return fmt::format("more than {} taps", kMostTaps);
    taps *= axis.kernel;
    phases *= PhaseCount(problem.operation(), axis);
  }
  if (phases > kMostPhases) return fmt::format("{} phases, at most {}", phases, kMostPhases);
  const std::int64_t least = taps > 1 && phases == 1 ? kLeastFiltersOfWindow : kLeastFilters;
  if (g.filters < least) {
    return fmt::format("{} filters a group, fewer than {}", g.filters, least);
  }
  if (g.channels * taps < kLeastDepth) {
    return "too few products to an output";
  }
  return LayoutOf(problem, g, {}).Refusal();
}

std::int64_t WorkspaceBytes(const Problem& /*problem*/) { return 0; }

absl::Status Compute(const Run& run) { return Panels(run).Compute(); }

std::int64_t PackedBytes(const Problem& problem) {
  const Geometry g = Geometry::Joined(problem);
  return static_cast<std::int64_t>(WeightPanels::Bytes(g, LayoutOf(problem, g, {})));
}

void Pack(const Problem& problem, const TensorView& weight, std::span<std::byte> out) {
  const Geometry g = Geometry::Joined(problem);
  const PanelLayout layout = LayoutOf(problem, g, weight);
  WeightPanels(problem, g, layout, weight, {}).PackAll(reinterpret_cast<float*>(out.data()));
}

}  // namespace

constexpr Algorithm kPanels = {"panels", Refusal, WorkspaceBytes, Compute, PackedBytes, Pack};

}  // namespace convserve
