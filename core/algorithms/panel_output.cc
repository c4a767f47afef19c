#include "core/algorithms/panel_output.h"

#include <algorithm>
#include <utility>

#include "core/algorithms/border.h"
#include "core/algorithms/copy_row.h"
#include "hwy/cache_control.h"

namespace convserve {

// Columns that lie side by side in the output.
std::int64_t PanelOutput::Together(const PanelPhase& phase, const Box& box) const {
  return box.Together([&](std::size_t axis) { return g_.axes[axis].output; },
                      [&](std::size_t axis) { return phase.patches.phases[axis].output_step; });
}

bool PanelOutput::TakesStrips(const PanelPhase& phase, const Box& box, std::int64_t column,
                              std::int64_t columns) const {
  if (columns < kernels_.strip || g_.channels_last()) return false;
  const std::int64_t together = Together(phase, box);
  return column + columns <= together || column / together == (column + columns - 1) / together;
}

bool PanelOutput::TreatsAlike(const PanelPhase& phase, const Box& box, std::int64_t column,
                              std::int64_t columns) const {
  return columns <= kernels_.strip || TakesStrips(phase, box, column, columns) ||
         phase.patches.phases[2].output_step != 1 || g_.channels_last();
}

float* PanelOutput::At(const PanelLayout::Task& task, const PanelPhase& phase, const Box& box,
                       std::int64_t column) const {
  const auto [image, q] = box.At(column);
  return reinterpret_cast<float*>(run_.output.data()) + (box.image + image) * g_.output.batch +
         task.group * g_.output.group + task.first_row * g_.output.channel +
         OutputOffset(g_, phase.patches.phases,
                      {box.origin[0] + q[0], box.origin[1] + q[1], box.origin[2] + q[2]});
}

void PanelOutput::Store(const PanelLayout::Task& task, std::size_t first,
                        std::span<const float* const> totals) const {
  const PanelPhase& phase = layout_.phases()[first];
  if (g_.channels_last()) {
    for (std::size_t p = 0; p < totals.size(); ++p) {
      StoreTransposed(task, layout_.phases()[first + p], totals[p]);
    }
  } else if (totals.size() == 1 && phase.patches.phases[2].output_step == 1) {
    StoreStrips(task, phase, totals[0]);
  } else {
    StoreInterleaved(task, first, totals);
  }
}

void PanelOutput::StoreStrips(const PanelLayout::Task& task, const PanelPhase& phase,
                              const float* totals) const {
  const Box box = task.box.Cut(phase.patches.phases);
  const std::int64_t together = Together(phase, box);
  for (std::int64_t column = 0; column < box.columns(); column += kernels_.strip) {
    const std::int64_t columns = std::min(kernels_.strip, box.columns() - column);
    if (TakesStrips(phase, box, column, columns)) continue;
    Box::ForEachPiece(column, columns, together, [&](std::int64_t at, std::int64_t length) {
      float* to = At(task, phase, box, at);
      for (std::int64_t i = 0; i < task.rows; ++i, to += g_.output.channel) {
        CopyStrided(totals + i * layout_.pitch() + at, 1, length, to);
      }
    });
  }
}

// Filters side by side.
void PanelOutput::StoreTransposed(const PanelLayout::Task& task, const PanelPhase& phase,
                                  const float* totals) const {
  const Box box = task.box.Cut(phase.patches.phases);
  const std::int64_t step = phase.patches.phases[2].output_step;
  const bool past_caches = LeavesCaches(run_.problem);
  const std::int64_t together = step == 1 ? Together(phase, box) : box.extent[2];
  Box::ForEachPiece(0, box.columns(), together, [&](std::int64_t at, std::int64_t length) {
    packing_.transpose({.from = totals + at,
                        .from_pitch = layout_.pitch(),
                        .rows = length,
                        .columns = task.rows,
                        .to = At(task, phase, box, at),
                        .to_pitch = step * g_.output.spatial[2],
                        .past_caches = past_caches});
  });
  if (past_caches) hwy::FlushStream();
}

// Whole rows, with the bias where no phase is.
void PanelOutput::StoreInterleaved(const PanelLayout::Task& task, std::size_t first,
                                   std::span<const float* const> totals) const {
  // The first phase tells which rows they are; along x they have all outputs.
  PanelPhase row_phase{layout_.phases()[first].patches};
  Phase& x = row_phase.patches.phases[2];
  const std::int64_t step = x.output_step;
  x = {.outputs = g_.axes[2].output};
  Box rows = task.box;
  rows.origin[2] *= step;
  rows.extent[2] = 1;
  rows = rows.Cut(row_phase.patches.phases);
  const std::int64_t outputs =
      std::min(g_.axes[2].output - rows.origin[2], task.box.extent[2] * step);
  const std::int64_t whole = outputs / step;

  const bool past_caches = LeavesCaches(run_.problem);
  std::vector<float> filling(static_cast<std::size_t>(task.box.extent[2] + kPanelSlack));
  std::vector<const float*> from(static_cast<std::size_t>(step), filling.data());
  // Where each phase stands in a row, and how far its rows are apart.
  struct Part {
    std::size_t at;
    std::int64_t pitch;
  };
  std::vector<Part> parts;
  for (std::size_t p = 0; p < totals.size(); ++p) {
    const auto& phases = layout_.phases()[first + p].patches.phases;
    parts.push_back(
        {static_cast<std::size_t>(phases[2].first_output), task.box.Cut(phases).extent[2]});
  }
  std::vector<float*> places;  // of the rows of the first filter
  for (std::int64_t row = 0; row < rows.columns(); ++row) {
    places.push_back(At(task, row_phase, rows, row));
  }
  for (std::int64_t i = 0; i < task.rows; ++i) {
    if (std::cmp_less(totals.size(), step)) {
      const std::int64_t filter = task.group * g_.filters + task.first_row + i;
      std::fill(filling.begin(), filling.end(), bias_[static_cast<std::size_t>(filter)]);
    }
    for (std::size_t p = 0; p < parts.size(); ++p) {
      from[parts[p].at] = totals[p] + i * layout_.pitch();
    }
    for (float* place : places) {
      float* const to = place + i * g_.output.channel;
      packing_.interleave({from, whole, to, past_caches});
      for (std::int64_t p = 0; p < outputs % step; ++p) {
        to[whole * step + p] = from[static_cast<std::size_t>(p)][whole];
      }
      for (const Part& part : parts) from[part.at] += part.pitch;
    }
  }
  if (past_caches) hwy::FlushStream();
}

}  // namespace convserve
