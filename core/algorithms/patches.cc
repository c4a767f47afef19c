#include "core/algorithms/patches.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <tuple>
#include <type_traits>
#include <vector>

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
  std::int64_t offset;                // of the first output among the columns packed
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

  // [depth][pitch] from `first_column` on.
  void Pack(std::int64_t first_column, std::int64_t columns, const Block& block, std::int64_t pitch,
            T* out) const {
    if (block.depth == 0) return;
    const std::int64_t taps = patches_.taps();
    const std::int64_t width = patches_.phases[2].outputs;
    if (width < kShortRow && !CopiesVectors<T>(row_.elements(), width) && taps <= kTableSize &&
        g_.channels > 1) {
      for (std::int64_t done = 0; done < columns;) {
        const std::int64_t some = std::min(kTableSize / taps, columns - done);
        PackByTable(first_column + done, some, block, pitch, out + done);
        done += some;
      }
      return;
    }
    const auto most = static_cast<std::size_t>(
        std::max<std::int64_t>(kTableSize / std::min(taps, block.depth), 1));
    std::vector<Segment> segments;
    for (std::int64_t done = 0; done < columns;) {
      segments.push_back(SegmentAt(first_column + done, done, columns - done));
      done += segments.back().length;
      if (segments.size() < most && done < columns) continue;
      PackSegments(segments, block, pitch, out);
      segments.clear();
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

  // The row that a tap of a segment's outputs reads.
  struct TapRow {
    std::int64_t from = -1;   // where it begins, seen from the block's first channel; -1: padding
    std::int64_t first = 0;   // the coordinate along it that the first output meets
    std::int64_t inside = 0;  // the outputs that meet real input: [inside, outside)
    std::int64_t outside = 0;
  };

  TapRow TapRowAt(const Segment& segment, const TapCursor& cursor, std::int64_t channel) const {
    const auto& phases = patches_.phases;
    TapRow row;
    std::int64_t from = channel * g_.input.channel;
    for (std::size_t axis = 0; axis < 2; ++axis) {
      const std::int64_t source =
          SourceIndex(patches_.mode, segment.input[axis] + cursor.tap[axis] * phases[axis].tap_step,
                      g_.axes[axis].input);
      if (source < 0) return row;
      from += source * g_.input.spatial[axis];
    }
    row.from = from;
    row.first = segment.input[2] + cursor.tap[2] * phases[2].tap_step;
    std::tie(row.inside, row.outside) = row_.Inside(row.first, segment.length);
    return row;
  }

  // Row by row of the patch matrix. What is the same for every channel is found once.
  void PackSegments(const std::vector<Segment>& segments, const Block& block, std::int64_t pitch,
                    T* out) const {
    TapCursor cursor(patches_, block.first_depth);
    const In* channel = input_ + cursor.channel * g_.input.channel;
    const std::int64_t first_channel = cursor.channel;
    const std::int64_t taps = std::min(patches_.taps(), block.depth);
    std::vector<TapRow> rows;  // [tap][segment]
    rows.reserve(static_cast<std::size_t>(taps) * segments.size());
    for (std::int64_t k = 0; k < taps; ++k, cursor.Next()) {
      for (const Segment& segment : segments) {
        rows.push_back(TapRowAt(segment, cursor, cursor.channel - first_channel));
      }
    }
    const TapRow* row = rows.data();
    for (std::int64_t k = 0; k < block.depth; ++k, out += pitch) {
      if (k > 0 && k % taps == 0) {
        row = rows.data();
        channel += g_.input.channel;
      }
      for (const Segment& segment : segments) {
        CopyRow(channel, *row++, segment.length, out + segment.offset);
      }
    }
  }

  void CopyRow(const In* channel, const TapRow& row, std::int64_t length, T* out) const {
    if (row.from < 0) {
      std::fill_n(out, length, T{0});
      return;
    }
    const In* from = channel + row.from;
    const auto pad = [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t i = first; i < last; ++i) {
        const std::int64_t at = SourceIndex(row_.mode, row.first + i * row_.step, row_.size);
        out[i] = at < 0 ? T{0} : Widen<T>(from[at * row_.stride]);
      }
    };
    pad(0, row.inside);
    if (row.inside < row.outside) {
      CopyStrided(from + (row.first + row.inside * row_.step) * row_.stride, row_.elements(),
                  row.outside - row.inside, out + row.inside);
    }
    pad(row.outside, length);
  }

  // Where rows are short, each element on its own: for every tap and column its place in a channel,
  // -1 for padding.
  void PackByTable(std::int64_t first_column, std::int64_t columns, const Block& block,
                   std::int64_t pitch, T* out) const {
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
    for (std::int64_t k = 0; k < block.depth; ++k, out += pitch) {
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

}  // namespace

template <typename T>
void PackPatches(const Patches& patches, std::int64_t batch, std::int64_t group, const Block& block,
                 std::int64_t pitch, T* out) {
  VisitDataType(patches.input.data_type, [&](auto zero) {
    using In = decltype(zero);
    if constexpr (kTakes<T, In>) {
      const PatchPacker<T, In> packer(patches, batch, group);
      packer.Pack(block.first, block.count, block, pitch, out);
    }
  });
}

double TapsToMultiply(const Patches& patches, std::size_t axis) {
  const Phase& phase = patches.phases[axis];
  const auto product = [](const Phase& part) {
    return static_cast<double>(part.outputs) * static_cast<double>(part.taps);
  };
  if (phase.tap_step == 1 || patches.mode != PaddingMode::kZeros) return product(phase);
  double taps = 0;
  for (const Phase& stretch : SplitByTaps(phase, patches.geometry.axes[axis].input)) {
    taps += product(stretch);
  }
  return taps;
}

bool WeightsInOrder(const Problem& problem, const Patches& patches, DataType type) {
  if (problem.operation() != Operation::kConv || problem.flip_kernel() ||
      problem.weight_layout() != WeightLayout::kChannelsFirst || problem.weight_type() != type) {
    return false;
  }
  for (std::size_t axis = 0; axis < 3; ++axis) {
    if (patches.phases[axis].taps != patches.geometry.axes[axis].kernel) return false;
  }
  return true;
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

bool FiltersInOrder(const Patches& patches, const std::vector<std::int64_t>& tap_offsets) {
  bool in_order = patches.geometry.weight.channel == patches.taps();
  for (std::size_t tap = 0; tap < tap_offsets.size(); ++tap) {
    in_order &= tap_offsets[tap] == static_cast<std::int64_t>(tap);
  }
  return in_order;
}

template <typename T>
bool PackWeights(const Patches& patches, const std::vector<std::int64_t>& tap_offsets,
                 std::int64_t depth_block, const WeightPart& part, T* out) {
  const Geometry& g = patches.geometry;
  const std::int64_t taps = patches.taps();
  const std::int64_t depth = patches.depth();
  const bool in_order = FiltersInOrder(patches, tap_offsets);
  bool finite = true;
  VisitDataType(patches.weight.data_type, [&](auto zero) {
    using In = decltype(zero);
    if constexpr (kTakes<T, In>) {
      const In* base = patches.weight.As<In>() + g.weight.offset + part.group * g.weight.group;
      // Of some filters: depth [k, k + length), of one block, and of one channel unless in order.
      const auto pack = [&](std::int64_t filter, std::int64_t filters, std::int64_t k,
                            std::int64_t length) {
        const std::int64_t block = k / depth_block * depth_block;
        const std::int64_t block_depth = std::min(depth_block, depth - block);
        const In* from = base + filter * g.weight.filter + k / taps * g.weight.channel;
        const std::int64_t* offsets = tap_offsets.data() + k % taps;
        T* to = out + block * g.filters + filter * block_depth + k - block;
        for (; filters > 0; --filters, from += g.weight.filter, to += block_depth) {
          if (in_order) {
            WidenRow(from + k % taps, length, to);
            finite = finite && AllFinite(to, length);
            continue;
          }
          for (std::int64_t t = 0; t < length; ++t) {
            const T value = Widen<T>(from[offsets[t]]);
            finite &= value - value == T{0};  // not so for infinities and NaNs
            to[t] = value;
          }
        }
      };
      const auto length = [&](std::int64_t k, std::int64_t end) {
        return std::min(end, k / depth_block * depth_block + depth_block) - k;
      };
      const std::int64_t begin = part.first_channel * taps;
      const std::int64_t end = begin + part.channels * taps;
      if (in_order) {
        for (std::int64_t i = 0; i < part.filters; ++i) {
          for (std::int64_t k = begin; k < end; k += length(k, end)) {
            pack(part.first_filter + i, 1, k, length(k, end));
          }
        }
        return;
      }
      // Channel by channel, as either operation's tensor has the taps of one channel close
      // together.
      for (std::int64_t k = begin; k < end;) {
        const std::int64_t now = length(k, k / taps * taps + taps);
        pack(part.first_filter, part.filters, k, now);
        k += now;
      }
    }
  });
  return finite;
}

template void PackPatches<float>(const Patches&, std::int64_t, std::int64_t, const Block&,
                                 std::int64_t, float*);
template void PackPatches<double>(const Patches&, std::int64_t, std::int64_t, const Block&,
                                  std::int64_t, double*);
template void PackPatches<std::uint8_t>(const Patches&, std::int64_t, std::int64_t, const Block&,
                                        std::int64_t, std::uint8_t*);
template void PackPatches<BFloat16>(const Patches&, std::int64_t, std::int64_t, const Block&,
                                    std::int64_t, BFloat16*);
template bool PackWeights<float>(const Patches&, const std::vector<std::int64_t>&, std::int64_t,
                                 const WeightPart&, float*);
template bool PackWeights<double>(const Patches&, const std::vector<std::int64_t>&, std::int64_t,
                                  const WeightPart&, double*);

}  // namespace convserve
