#include "core/algorithms/patches.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "core/algorithms/copy_row.h"
#include "core/convert.h"

namespace convserve {
namespace {

// Where one row of the patch matrix comes from; steps through depth in order.
class TapCursor {
 public:
  TapCursor(const Patches& patches, std::int64_t depth) : phases_(patches.phases) {
    const std::int64_t taps = patches.taps();
    if (taps == 0) return;
    channel = depth / taps;
    std::int64_t rest = depth % taps;
    for (std::size_t axis = 3; axis-- > 0;) {
      tap[axis] = rest % phases_[axis].taps;
      rest /= phases_[axis].taps;
    }
  }

  void Next() {
    for (std::size_t axis = 3; axis-- > 0;) {
      if (++tap[axis] < phases_[axis].taps) return;
      tap[axis] = 0;
    }
    ++channel;
  }

  std::int64_t channel = 0;
  std::array<std::int64_t, 3> tap = {};

 private:
  const std::array<Phase, 3>& phases_;
};

// Outputs that follow each other along x.
struct Segment {
  std::array<std::int64_t, 3> input;  // coordinates that the first output meets at tap 0
  std::int64_t offset;                // of the first output in its panel
  std::int64_t length;
};

template <typename T, typename In>
class PatchPacker {
 public:
  PatchPacker(const Patches& patches, std::int64_t batch, std::int64_t group)
      : patches_(patches),
        g_(patches.geometry),
        input_(patches.input.As<In>() + batch * g_.input.batch + group * g_.input.group),
        row_{patches.phases[2].input_step, g_.input.spatial[2], g_.axes[2].input, patches.mode} {}

  // One panel: [depth][panel] from `first_column` on.
  void Pack(std::int64_t first_column, std::int64_t columns, const Block& block, std::int64_t panel,
            T* out) const {
    if (columns < panel) std::fill(out, out + block.depth * panel, T{0});
    const std::int64_t taps = patches_.taps();
    if (taps > 0 && patches_.phases[2].outputs < kShortRow && taps * columns <= kTableSize &&
        g_.channels > 1) {
      PackByTable(first_column, columns, block, panel, out);
      return;
    }
    for (std::int64_t done = 0; done < columns;) {
      const Segment segment = SegmentAt(first_column + done, done, columns - done);
      PackSegment(segment, block, panel, out);
      done += segment.length;
    }
  }

 private:
  Segment SegmentAt(std::int64_t column, std::int64_t offset, std::int64_t most) const {
    const auto& phases = patches_.phases;
    const std::int64_t x = column % phases[2].outputs;
    const std::int64_t rows = column / phases[2].outputs;
    const std::array<std::int64_t, 3> q = {rows / phases[1].outputs, rows % phases[1].outputs, x};
    Segment segment{{}, offset, std::min(most, phases[2].outputs - x)};
    for (std::size_t axis = 0; axis < 3; ++axis) {
      segment.input[axis] = phases[axis].first_input + q[axis] * phases[axis].input_step;
    }
    return segment;
  }

  void PackSegment(const Segment& segment, const Block& block, std::int64_t panel, T* out) const {
    const auto& phases = patches_.phases;
    TapCursor cursor(patches_, block.first_depth);
    out += segment.offset;
    for (std::int64_t k = 0; k < block.depth; ++k, out += panel, cursor.Next()) {
      std::int64_t at = cursor.channel * g_.input.channel;
      bool padding = false;
      for (std::size_t axis = 0; axis < 2; ++axis) {
        const std::int64_t source = SourceIndex(
            patches_.mode, segment.input[axis] + cursor.tap[axis] * phases[axis].tap_step,
            g_.axes[axis].input);
        padding |= source < 0;
        at += source * g_.input.spatial[axis];
      }
      if (padding) {
        std::fill(out, out + segment.length, T{0});
      } else {
        CopyRow(input_ + at, row_, segment.input[2] + cursor.tap[2] * phases[2].tap_step,
                segment.length, out);
      }
    }
  }

  // Where rows are short, each element on its own: for every tap and column its place in a channel,
  // -1 for padding.
  void PackByTable(std::int64_t first_column, std::int64_t columns, const Block& block,
                   std::int64_t panel, T* out) const {
    const auto& phases = patches_.phases;
    std::array<std::int64_t, kTableSize> table;
    const std::int64_t taps = patches_.taps();
    for (std::int64_t done = 0; done < columns;) {
      const Segment segment = SegmentAt(first_column + done, done, columns - done);
      TapCursor cursor(patches_, 0);
      for (std::int64_t tap = 0; tap < taps; ++tap, cursor.Next()) {
        for (std::int64_t i = 0; i < segment.length; ++i) {
          std::int64_t at = 0;
          for (std::size_t axis = 0; axis < 3; ++axis) {
            const std::int64_t shift = axis == 2 ? i * phases[2].input_step : 0;
            const std::int64_t source =
                SourceIndex(patches_.mode,
                            segment.input[axis] + shift + cursor.tap[axis] * phases[axis].tap_step,
                            g_.axes[axis].input);
            if (source < 0 || at < 0) {
              at = -1;
            } else {
              at += source * g_.input.spatial[axis];
            }
          }
          table[static_cast<std::size_t>(tap * columns + done + i)] = at;
        }
      }
      done += segment.length;
    }
    std::int64_t tap = block.first_depth % taps;
    const In* channel = input_ + block.first_depth / taps * g_.input.channel;
    for (std::int64_t k = 0; k < block.depth; ++k, out += panel) {
      const std::int64_t* at = table.data() + tap * columns;
      for (std::int64_t j = 0; j < columns; ++j) {
        const T value = Widen<T>(channel[std::max<std::int64_t>(at[j], 0)]);
        out[j] = at[j] < 0 ? T{0} : value;
      }
      if (++tap == taps) {
        tap = 0;
        channel += g_.input.channel;
      }
    }
  }

  static constexpr std::int64_t kShortRow = 16;
  static constexpr std::int64_t kTableSize = 1024;

  const Patches& patches_;
  const Geometry& g_;
  const In* input_;
  const RowSource row_;
};

// float kernels take everything but float64, double kernels only float64.
template <typename T, typename From>
constexpr bool kTakes = std::is_same_v<T, double> == std::is_same_v<From, double>;

}  // namespace

template <typename T>
void PackPatches(const Patches& patches, std::int64_t batch, std::int64_t group, const Block& block,
                 std::int64_t panel, T* out) {
  VisitDataType(patches.input.data_type, [&](auto zero) {
    using In = decltype(zero);
    if constexpr (kTakes<T, In>) {
      const PatchPacker<T, In> packer(patches, batch, group);
      for (std::int64_t done = 0; done < block.count; done += panel) {
        packer.Pack(block.first + done, std::min(panel, block.count - done), block, panel, out);
        out += block.depth * panel;
      }
    }
  });
}

std::vector<std::int64_t> TapOffsets(const Patches& patches) {
  std::vector<std::int64_t> offsets;
  TapCursor cursor(patches, 0);
  for (std::int64_t tap = 0; tap < patches.taps(); ++tap, cursor.Next()) {
    std::int64_t offset = 0;
    for (std::size_t axis = 0; axis < 3; ++axis) {
      const Phase& phase = patches.phases[axis];
      offset += (phase.first_kernel + cursor.tap[axis] * phase.kernel_step) *
                patches.geometry.weight.kernel[axis];
    }
    offsets.push_back(offset);
  }
  return offsets;
}

template <typename T>
bool PackWeights(const Patches& patches, const std::vector<std::int64_t>& tap_offsets,
                 const WeightPanels& panels, std::int64_t group, std::int64_t first,
                 std::int64_t count, T* out) {
  const Geometry& g = patches.geometry;
  const std::int64_t taps = patches.taps();
  const std::int64_t depth = patches.depth();
  bool finite = true;
  VisitDataType(patches.weight.data_type, [&](auto zero) {
    using In = decltype(zero);
    if constexpr (kTakes<T, In>) {
      const In* base = patches.weight.As<In>() + g.weight.offset + group * g.weight.group;
      // Tap by tap within a channel: filters and taps of one channel lie close together in either
      // operation's tensor.
      for (std::int64_t channel = first; channel < first + count; ++channel) {
        for (std::int64_t tap = 0; tap < taps;) {
          const std::int64_t k = channel * taps + tap;
          const std::int64_t block = k / panels.depth_block * panels.depth_block;
          const std::int64_t block_depth = std::min(panels.depth_block, depth - block);
          const std::int64_t last = std::min(taps, tap + block + block_depth - k);
          for (std::int64_t filter = 0; filter < g.filters; filter += panels.panel) {
            const std::int64_t rows = std::min(panels.panel, g.filters - filter);
            T* to = out + WeightPanels::Offset(patches, block, block_depth, filter) +
                    (k - block) * rows;
            const In* from = base + channel * g.weight.channel + filter * g.weight.filter;
            for (std::int64_t t = tap; t < last; ++t, to += rows) {
              const In* element = from + tap_offsets[static_cast<std::size_t>(t)];
              for (std::int64_t i = 0; i < rows; ++i) {
                const T value = Widen<T>(element[i * g.weight.filter]);
                finite &= value - value == T{0};  // not so for infinities and NaNs
                to[i] = value;
              }
            }
          }
          tap = last;
        }
      }
    }
  });
  return finite;
}

template void PackPatches<float>(const Patches&, std::int64_t, std::int64_t, const Block&,
                                 std::int64_t, float*);
template void PackPatches<double>(const Patches&, std::int64_t, std::int64_t, const Block&,
                                  std::int64_t, double*);
template bool PackWeights<float>(const Patches&, const std::vector<std::int64_t>&,
                                 const WeightPanels&, std::int64_t, std::int64_t, std::int64_t,
                                 float*);
template bool PackWeights<double>(const Patches&, const std::vector<std::int64_t>&,
                                  const WeightPanels&, std::int64_t, std::int64_t, std::int64_t,
                                  double*);

}  // namespace convserve
