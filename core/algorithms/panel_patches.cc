#include "core/algorithms/panel_patches.h"

#include <algorithm>
#include <optional>
#include <span>

#include "core/divide.h"

namespace convserve {

std::vector<WindowCopy> PanelPatches::Copies(const Task& task) const {
  std::vector<WindowCopy> copies;
  if (!layout_.window()) return copies;
  const Box box = task.box.Cut(layout_.all().phases);
  for (std::int64_t z = 0; z < box.extent[0]; ++z) {
    copies.push_back(layout_.window()->Copies({box.origin[0] + z, box.origin[1], box.origin[2]},
                                              {box.extent[1], box.extent[2]}));
  }
  return copies;
}

void PanelPatches::CopyWindows(const Task& task, const PanelChannels& channels,
                               const std::vector<WindowCopy>& copies, float* out) const {
  for (std::int64_t n = 0; n < task.box.images; ++n) {
    for (const WindowCopy& copy : copies) {
      // Padding stays in its place.
      copy.CopyChannels(Input(task, n, channels), channels.count, channels.first == 0, out,
                        layout_.window()->channel_size(), channels.count);
      out += layout_.channels() * layout_.window()->channel_size();
    }
  }
}

PanelFetch PanelPatches::Fetch(const Task& task, const PanelChannels& channels,
                               const std::vector<WindowCopy>& copies) const {
  if (copies.empty()) return {};
  const WindowCopy::Reach first = copies.front().Reads();
  const WindowCopy::Reach last = copies.back().Reads();
  const std::int64_t count = std::max(first.last, last.last) - first.first;
  if (g_.channels_last()) {
    const std::int64_t step = g_.input.spatial[2];
    const std::int64_t positions = CeilDivide(count, step);
    if (positions * channels.count > 2 * kPanelWindows) return {};
    return {Input(task, 0, channels) + first.first, positions, step, channels.count};
  }
  if (count * channels.count > 2 * kPanelWindows) return {};
  return {Input(task, 0, channels) + first.first, channels.count, g_.input.channel, count};
}

StripPatches PanelPatches::At(const Task& task, const Box& box, std::int64_t column,
                              std::size_t index, const PanelChannels& channels,
                              const float* windows, StripRuns& runs, float* out) const {
  const PanelPhase& phase = layout_.phases()[index];
  const std::int64_t columns = std::min(strip_, box.columns() - column);
  std::size_t count = 0;
  StripPatches patches{.offsets = layout_.Offsets(phase, channels.count), .out = out};
  if (const std::optional<Window>& window = layout_.window()) {
    patches.from = windows;
    // An image has windows for the planes that any phase has.
    const std::int64_t planes = task.box.Cut(layout_.all().phases).extent[0];
    Box::ForEachPiece(column, columns, box.extent[2], [&](std::int64_t at, std::int64_t length) {
      const auto [image, q] = box.At(at);
      const std::int64_t plane = image * planes + q[0];
      runs[count++] = {
          plane * layout_.channels() * window->channel_size() + q[1] * window->pitch() + q[2],
          at - column, length};
    });
  } else {
    patches.from = InputAt(task, box, column, channels);
    const auto size = [&](std::size_t axis) { return g_.axes[axis].input; };
    const std::int64_t together =
        box.Together(size, [](std::size_t /*axis*/) { return std::int64_t{1}; });
    Box::ForEachPiece(column, columns, together, [&](std::int64_t at, std::int64_t length) {
      runs[count++] = {InputAt(task, box, at, channels) - patches.from, at - column, length};
    });
  }
  patches.runs = std::span(runs).first(count);
  return patches;
}

const float* PanelPatches::InputAt(const Task& task, const Box& box, std::int64_t column,
                                   const PanelChannels& channels) const {
  const auto [image, q] = box.At(column);
  const float* at = Input(task, image, channels);
  for (std::size_t axis = 0; axis < 3; ++axis) {
    at += (box.origin[axis] + q[axis]) * g_.input.spatial[axis];
  }
  return at;
}

// An image of a task's box.
const float* PanelPatches::Input(const Task& task, std::int64_t image,
                                 const PanelChannels& channels) const {
  return run_.operands.input.As<float>() + (task.box.image + image) * g_.input.batch +
         task.group * g_.input.group + channels.first * g_.input.channel;
}

}  // namespace convserve
