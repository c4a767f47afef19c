#include "core/algorithms/border.h"

#include "core/algorithms/tasks.h"
#include "core/divide.h"
#include "core/kernels/border_kernel.h"
#include "core/kernels/running_sum.h"
#include "core/scratch.h"

namespace convserve {
namespace {

// Filters that share the inputs that were gathered for some outputs.
constexpr std::int64_t kFilters = 64;
// Rows of outputs of a task: the ends of some fill kBorderOutputs.
constexpr std::int64_t kRows = 16;

// What a thread works in.
template <typename Sum>
struct BorderScratch {
  static constexpr std::int64_t kOutputs = kFilters * kBorderOutputs;
  static constexpr std::int64_t kInputs = kRunningSum * kBorderOutputs;

  Sum* const sums = reinterpret_cast<Sum*>(ThreadScratch());
  Sum* const blocks = sums + kOutputs;
  Sum* const totals = blocks + kOutputs;
  Sum* const inputs = totals + kOutputs;
  Sum* const inside = inputs + kInputs;
  Sum* const weights = inside + kInputs;  // [filters][kRunningSum]

  static constexpr std::int64_t kSize = 3 * kOutputs + 2 * kInputs + kFilters * kRunningSum;
  static_assert(kSize * std::int64_t{sizeof(Sum)} <= kScratchBytes);
};

// Adds `part`, the first of them as it is.
template <typename Sum>
void Join(std::int64_t count, bool first, const Sum* part, Sum* whole) {
  for (std::int64_t i = 0; i < count; ++i) whole[i] = first ? part[i] : whole[i] + part[i];
}

// Coordinates are monotonic in the tap: the ends tell.
bool OutputMeetsPadding(const Patches& patches, std::size_t axis, std::int64_t q) {
  const Phase& phase = patches.phases[axis];
  const auto inside = [&](std::int64_t tap) {
    const std::int64_t coordinate = phase.Input(q, tap);
    return coordinate >= 0 && coordinate < patches.geometry.axes[axis].input;
  };
  return phase.taps > 0 && !(inside(0) && inside(phase.taps - 1));
}

template <typename Sum>
class BorderRepair {
 public:
  BorderRepair(const Run& run, const Patches& patches, const Sum* bias, std::int64_t depth_block)
      : run_(run),
        g_(patches.geometry),
        patches_(patches),
        bias_(bias),
        depth_block_(depth_block),
        tap_offsets_(TapOffsets(patches)) {}

  void Compute() const;

 private:
  using Index = std::array<std::int64_t, 3>;
  // Filters of one group, numbered within it.
  struct Filters {
    std::int64_t group;
    std::vector<std::int64_t> numbers;
  };
  // Outputs of one image whose sums are computed at once.
  struct Outputs {
    std::int64_t image;
    std::vector<Index> places;
  };

  std::vector<Filters> FiltersToRepair() const;
  void Repair(const Filters& filters, const Outputs& outputs) const;
  void GatherInputs(const Outputs& outputs, std::int64_t group, std::int64_t first,
                    std::int64_t depth, Sum* inputs, Sum* inside) const;
  void GatherWeights(const Filters& filters, std::int64_t first, std::int64_t depth,
                     Sum* weights) const;
  void Store(const Filters& filters, const Outputs& outputs, const Sum* totals) const;

  // The weights of a filter; those of tap t for channel c are tap_offsets_[t] + c*weight.channel
  // further on.
  template <typename In>
  const In* FilterAt(std::int64_t group, std::int64_t filter) const {
    return patches_.weight.As<In>() + g_.weight.offset + group * g_.weight.group +
           filter * g_.weight.filter;
  }

  const Run& run_;
  const Geometry& g_;
  const Patches& patches_;
  const Sum* const bias_;
  const std::int64_t depth_block_;
  const std::vector<std::int64_t> tap_offsets_;
};

template <typename Sum>
void BorderRepair<Sum>::Compute() const {
  const std::vector<Filters> filters = FiltersToRepair();
  const auto blocks = static_cast<std::int64_t>(filters.size());
  const auto& phases = patches_.phases;
  const std::int64_t rows = phases[0].outputs * phases[1].outputs;
  const std::int64_t bands = CeilDivide(rows, kRows);
  ForEachTask(g_.batch * bands * blocks, run_.stop, [&](std::int64_t task) {
    const Filters& some = filters[static_cast<std::size_t>(task % blocks)];
    Outputs outputs{task / blocks / bands, {}};
    const std::int64_t first = task / blocks % bands * kRows;
    const auto repair = [&] {
      if (!outputs.places.empty() && !run_.stop.stop_requested()) Repair(some, outputs);
      outputs.places.clear();
    };
    for (std::int64_t row = first; row < std::min(first + kRows, rows); ++row) {
      const std::int64_t z = row / phases[1].outputs;
      const std::int64_t y = row % phases[1].outputs;
      const bool padded_row =
          OutputMeetsPadding(patches_, 0, z) || OutputMeetsPadding(patches_, 1, y);
      for (std::int64_t x = 0; x < phases[2].outputs; ++x) {
        if (!padded_row && !OutputMeetsPadding(patches_, 2, x)) continue;
        outputs.places.push_back({z, y, x});
        if (std::ssize(outputs.places) == kBorderOutputs) repair();
      }
    }
    repair();
  });
}

template <typename Sum>
std::vector<typename BorderRepair<Sum>::Filters> BorderRepair<Sum>::FiltersToRepair() const {
  std::vector<Filters> found;
  VisitDataType(patches_.weight.data_type, [&](auto zero) {
    using In = decltype(zero);
    if constexpr (kTakes<Sum, In>) {
      const auto finite = [&](const In* filter) {
        for (std::int64_t c = 0; c < g_.channels; ++c) {
          for (const std::int64_t tap : tap_offsets_) {
            const Sum weight = Widen<Sum>(filter[c * g_.weight.channel + tap]);
            if (!(weight - weight == Sum{0})) return false;
          }
        }
        return true;
      };
      for (std::int64_t group = 0; group < g_.groups; ++group) {
        for (std::int64_t m = 0; m < g_.filters && !run_.stop.stop_requested(); ++m) {
          if (finite(FilterAt<In>(group, m))) continue;
          if (found.empty() || found.back().group != group ||
              std::ssize(found.back().numbers) == kFilters) {
            found.push_back({group, {}});
          }
          found.back().numbers.push_back(m);
        }
      }
    }
  });
  return found;
}

template <typename Sum>
void BorderRepair<Sum>::Repair(const Filters& filters, const Outputs& outputs) const {
  const BorderScratch<Sum> scratch;
  const auto count = static_cast<std::int64_t>(filters.numbers.size());
  const std::int64_t depth = patches_.depth();
  for (std::int64_t block = 0; block < depth; block += depth_block_) {
    if (run_.stop.stop_requested()) return;
    const std::int64_t block_end = std::min(block + depth_block_, depth);
    for (std::int64_t part = block; part < block_end; part += kRunningSum) {
      const std::int64_t length = std::min(kRunningSum, block_end - part);
      GatherInputs(outputs, filters.group, part, length, scratch.inputs, scratch.inside);
      GatherWeights(filters, part, length, scratch.weights);
      BorderKernels()(BorderProducts<Sum>{.inputs = scratch.inputs,
                                          .inside = scratch.inside,
                                          .depth = length,
                                          .weights = scratch.weights,
                                          .pitch = kRunningSum,
                                          .filters = count,
                                          .sums = scratch.sums});
      Join(count * kBorderOutputs, part == block, scratch.sums, scratch.blocks);
    }
    Join(count * kBorderOutputs, block == 0, scratch.blocks, scratch.totals);
  }
  Store(filters, outputs, scratch.totals);
}

// [depth][kBorderOutputs], of products [first, first + depth): what the outputs meet, and whether
// they meet anything.
template <typename Sum>
void BorderRepair<Sum>::GatherInputs(const Outputs& outputs, std::int64_t group, std::int64_t first,
                                     std::int64_t depth, Sum* inputs, Sum* inside) const {
  const auto& phases = patches_.phases;
  const std::int64_t taps = patches_.taps();
  VisitDataType(patches_.input.data_type, [&](auto zero) {
    using In = decltype(zero);
    if constexpr (kTakes<Sum, In>) {
      const In* const image =
          patches_.input.As<In>() + outputs.image * g_.input.batch + group * g_.input.group;
      for (std::int64_t k = first; k < first + depth; ++k) {
        const In* const channel = image + k / taps * g_.input.channel;
        const std::int64_t tap = k % taps;
        const Index at = {tap / phases[2].taps / phases[1].taps,
                          tap / phases[2].taps % phases[1].taps, tap % phases[2].taps};
        for (std::size_t i = 0; i < kBorderOutputs; ++i, ++inputs, ++inside) {
          // Past the last output the first one again.
          const Index& q = outputs.places[i < outputs.places.size() ? i : 0];
          bool meets = true;
          std::int64_t offset = 0;
          for (std::size_t axis = 0; axis < 3; ++axis) {
            const std::int64_t coordinate = phases[axis].Input(q[axis], at[axis]);
            meets = meets && coordinate >= 0 && coordinate < g_.axes[axis].input;
            if (meets) offset += coordinate * g_.input.spatial[axis];
          }
          *inside = meets ? Sum{1} : Sum{0};
          *inputs = meets ? Widen<Sum>(channel[offset]) : Sum{0};
        }
      }
    }
  });
}

// [filters][kRunningSum], of products [first, first + depth).
template <typename Sum>
void BorderRepair<Sum>::GatherWeights(const Filters& filters, std::int64_t first,
                                      std::int64_t depth, Sum* weights) const {
  const std::int64_t taps = patches_.taps();
  VisitDataType(patches_.weight.data_type, [&](auto zero) {
    using In = decltype(zero);
    if constexpr (kTakes<Sum, In>) {
      for (const std::int64_t m : filters.numbers) {
        const In* const filter = FilterAt<In>(filters.group, m);
        for (std::int64_t k = 0; k < depth; ++k) {
          const std::int64_t product = first + k;
          weights[k] = Widen<Sum>(filter[product / taps * g_.weight.channel +
                                         tap_offsets_[static_cast<std::size_t>(product % taps)]]);
        }
        weights += kRunningSum;
      }
    }
  });
}

template <typename Sum>
void BorderRepair<Sum>::Store(const Filters& filters, const Outputs& outputs,
                              const Sum* totals) const {
  VisitDataType(run_.problem.output_type(), [&](auto zero) {
    using Out = decltype(zero);
    auto* const out = reinterpret_cast<Out*>(run_.output.data()) + outputs.image * g_.output.batch;
    for (const std::int64_t number : filters.numbers) {
      const std::int64_t m = filters.group * g_.filters + number;
      for (std::size_t i = 0; i < outputs.places.size(); ++i) {
        const Sum total = bias_ == nullptr ? totals[i] : totals[i] + bias_[m];
        out[m * g_.output.channel + OutputOffset(g_, patches_.phases, outputs.places[i])] =
            RoundTo<Out>(total);
      }
      totals += kBorderOutputs;
    }
  });
}

}  // namespace

bool MeetsPadding(const Patches& patches) {
  for (std::size_t axis = 0; axis < 3; ++axis) {
    for (const std::int64_t q : {std::int64_t{0}, patches.phases[axis].outputs - 1}) {
      if (OutputMeetsPadding(patches, axis, q)) return true;
    }
  }
  return false;
}

template <typename Sum>
void RepairBorder(const Run& run, const Patches& patches, const Sum* bias,
                  std::int64_t depth_block) {
  BorderRepair<Sum>(run, patches, bias, depth_block).Compute();
}

template void RepairBorder(const Run&, const Patches&, const float*, std::int64_t);
template void RepairBorder(const Run&, const Patches&, const double*, std::int64_t);

}  // namespace convserve
