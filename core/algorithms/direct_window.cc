#include "core/algorithms/direct_window.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "core/algorithms/border.h"
#include "core/algorithms/largest_that.h"
#include "core/divide.h"
#include "core/geometry.h"
#include "core/phases.h"
#include "fmt/format.h"

namespace convserve {
namespace {

// More make a matrix product that is faster.
constexpr std::int64_t kMaxFilters = 2;
// Elements that a block of output rows meets at most. Windows of longer rows are copied faster, but
// those of few rows share many with the next window.
constexpr std::int64_t kBlockWindowSize = kDirectWindow / 2;
// Outputs of a row that a window must have room for.
constexpr std::int64_t kMinWidth = 32;
// Taps of a kernel at most.
constexpr std::int64_t kMaxTaps = 4096;

// Tiles along the rows of a plane that many threads want, where each has enough to do and shares
// less than half of its window with others.
std::int64_t WantedTiles(const Patches& patches, std::int64_t width) {
  constexpr double kTiles = 16;
  constexpr auto kLeastProducts = static_cast<double>(kDirectTaskProducts);
  const auto& phases = patches.phases;
  const auto planes = static_cast<double>(patches.geometry.batch * patches.geometry.groups) *
                      static_cast<double>(phases[0].outputs);
  const auto row = static_cast<double>(std::min(width, phases[2].outputs)) *
                   static_cast<double>(patches.taps() * patches.geometry.channels);
  const auto rows = static_cast<double>(phases[1].outputs);
  const double most =
      std::min(rows * row / kLeastProducts, rows / (2.0 * static_cast<double>(phases[1].taps)));
  const double x_tiles = static_cast<double>(CeilDivide(phases[2].outputs, width));
  return static_cast<std::int64_t>(std::min(kTiles / (planes * x_tiles), most));
}

// The tile of outputs for which windows of so many channels have room: rows as wide as possible,
// then as many as possible.
Window::Extent TileExtent(const Patches& patches, std::int64_t channels) {
  const auto fits = [&](std::int64_t rows, std::int64_t width, std::int64_t size) {
    return Window(patches, {rows, width}).channel_size() * channels <= size;
  };
  const std::int64_t block_rows = std::min<std::int64_t>(4, patches.phases[1].outputs);
  Window::Extent extent{1, patches.phases[2].outputs};
  while (extent.width > kMinWidth && !fits(block_rows, extent.width, kBlockWindowSize)) {
    extent.width = RoundUp(CeilDivide(extent.width, 2), kMinWidth);
  }
  const std::int64_t rows =
      LargestThat(1, std::min(patches.phases[1].outputs, kDirectWindow),
                  [&](std::int64_t r) { return fits(r, extent.width, kDirectWindow); });
  const std::int64_t outputs = patches.phases[1].outputs;
  extent.rows =
      CeilDivide(outputs, std::max(CeilDivide(outputs, rows), WantedTiles(patches, extent.width)));
  return extent;
}

}  // namespace

DirectWindow::DirectWindow(const Patches& union_of_phases, std::int64_t channels_at_once,
                           std::int64_t groups_at_once)
    : patches(union_of_phases),
      channels(channels_at_once),
      groups(std::clamp<std::int64_t>(
          kDirectWindow / channels / Window(patches, {1, kMinWidth}).channel_size(), 1,
          groups_at_once)),
      extent(TileExtent(patches, channels * groups)),
      window(patches, extent) {}

DataType DirectSums(const Problem& problem) {
  return problem.arithmetic() == Arithmetic::kFloat64 ? DataType::kFloat64 : DataType::kFloat32;
}

std::string DirectRefusal(const Problem& problem) {
  const Geometry g(problem);
  if (g.filters > kMaxFilters) {
    return fmt::format("{} filters a group, at most {}", g.filters, kMaxFilters);
  }
  // The phases with all their taps; those of a phase lie within one.
  Patches patches{g, PaddingMode::kReplicate, {}, {}, {}};
  std::int64_t taps = 1;
  std::int64_t most = 1;  // taps of a phase
  for (std::size_t i = 0; i < 3; ++i) {
    if (g.axes[i].kernel > kMaxTaps / taps) return fmt::format("more than {} taps", kMaxTaps);
    taps *= g.axes[i].kernel;
    std::vector<Phase> phases;
    for (std::int64_t index = 0; index < PhaseCount(problem.operation(), g.axes[i]); ++index) {
      phases.push_back(PhaseAt(problem.operation(), g.axes[i], PaddingMode::kReplicate, index));
    }
    most *= phases.front().taps;
    patches.phases[i] = Union(phases);
    const Phase& phase = patches.phases[i];
    if (phase.taps > kDirectWindow ||
        phase.tap_step / phase.input_step > kDirectWindow / phase.taps) {
      return "taps too far apart";
    }
  }
  if (most > kDepthBlock) return fmt::format("more than {} taps to an output", kDepthBlock);
  const bool rounds =
      problem.arithmetic() == Arithmetic::kInteger || problem.output_type() != DirectSums(problem);
  if (rounds && most * g.channels > kDepthBlock) {
    return "sums in several parts, of another type than the output";
  }
  const std::int64_t channels = std::clamp<std::int64_t>(kDepthBlock / most, 1, g.channels);
  if (Window(patches, {1, kMinWidth}).channel_size() > kDirectWindow / channels) {
    return "taps too far apart";
  }
  return "";
}

}  // namespace convserve
