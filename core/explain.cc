#include "core/explain.h"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <utility>

#include "absl/numeric/int128.h"
#include "fmt/format.h"

namespace convserve {
namespace {

using absl::int128;

int128 CeilDiv(int128 a, int128 b) { return a > 0 ? (a - 1) / b + 1 : -(-a / b); }

// The smallest t >= from with t*d = position modulo s, for gcd(s, d) = 1.
int128 FirstTapOfPhase(int128 from, int128 position, int128 s, int128 d) {
  // Extended Euclid: inverse of d modulo s.
  int128 r0 = s, r1 = d % s, x0 = 0, x1 = 1;
  while (r1 != 0) {
    const int128 q = r0 / r1;
    r0 = std::exchange(r1, r0 - q * r1);
    x0 = std::exchange(x1, x0 - q * x1);
  }
  const int128 inverse = s == 1 ? 0 : (x0 % s + s) % s;
  const int128 tap = (position % s) * inverse % s;
  return from + ((tap - from) % s + s) % s;
}

// Where input position `position`, which padding of this mode covers, is copied from.
std::int64_t Unpadded(PaddingMode mode, int128 position, std::int64_t n) {
  switch (mode) {
    case PaddingMode::kReflect:
      if (position < 0) position = -position;
      if (position >= n) position = 2 * (int128{n} - 1) - position;
      break;
    case PaddingMode::kReplicate:
      position = std::clamp<int128>(position, 0, n - 1);
      break;
    case PaddingMode::kCircular:
      position = (position % n + n) % n;
      break;
    default:
      return -1;
  }
  return static_cast<std::int64_t>(position);
}

struct Indices {
  std::int64_t batch = 0;
  std::int64_t channel = 0;
  absl::InlinedVector<std::int64_t, 3> spatial = {};
};

class Explainer {
 public:
  Explainer(const Problem& problem, Indices output, const ExplainOperands& operands,
            const ExplainOptions& options)
      : problem_(problem),
        output_(std::move(output)),
        operands_(operands),
        max_contributions_(options.max_contributions),
        stop_(options.stop) {}

  absl::StatusOr<Explanation> Run() {
    const std::int64_t channels = problem_.input_channels() / problem_.groups();
    std::int64_t taps = 1, reading = 1;
    for (std::size_t a = 0; a < problem_.axes().size(); ++a) {
      const Axis& axis = problem_.axes()[a];
      ranges_.push_back(
          TapsThatRead(problem_.operation(), problem_.padding_mode(), axis, output_.spatial[a]));
      taps *= axis.kernel;
      reading *= ranges_.back().count;
    }
    explanation_.contribution_count = channels * reading;
    explanation_.padded_taps = channels * (taps - reading);
    explanation_.truncated = explanation_.contribution_count > max_contributions_;
    const bool summed = HasData(operands_.input) && HasData(operands_.weight);
    if (HasData(operands_.bias)) {
      explanation_.bias =
          LoadAsDouble(operands_.bias->data_type, operands_.bias->data, output_.channel);
    }
    explanation_.contributions.reserve(static_cast<std::size_t>(
        std::clamp<std::int64_t>(explanation_.contribution_count, 0, max_contributions_)));
    for (std::int64_t c = 0; reading > 0 && c < channels; ++c) {
      if (!summed && ListIsFull()) break;
      VisitChannel(c, summed);
      if (stopped_) return absl::CancelledError("a stop was requested");
    }
    if (summed) explanation_.value = sum_ + explanation_.bias;
    return std::move(explanation_);
  }

 private:
  static constexpr std::int64_t kTapsBetweenLooks = 4096;

  static bool HasData(const std::optional<TensorView>& view) {
    return view.has_value() && view->data != nullptr;
  }

  bool ListIsFull() const {
    return static_cast<std::int64_t>(explanation_.contributions.size()) >= max_contributions_;
  }

  // All products of the `channel`-th input channel of the group, or only those that still fit the
  // list.
  void VisitChannel(std::int64_t channel, bool summed) {
    const std::int64_t channels_per_group = problem_.input_channels() / problem_.groups();
    const std::int64_t outputs_per_group = problem_.output_channels() / problem_.groups();
    const std::int64_t group = output_.channel / outputs_per_group;
    const std::int64_t input_channel = group * channels_per_group + channel;
    const bool conv = problem_.operation() == Operation::kConv;
    Cursor input(problem_.input_shape(), InputDimensions(), output_.batch, input_channel);
    Cursor weight(problem_.weight_shape(), WeightDimensions(),
                  conv ? output_.channel : input_channel,
                  conv ? channel : output_.channel % outputs_per_group);
    absl::InlinedVector<std::int64_t, 3> step(ranges_.size(), 0);
    for (std::size_t a = 0; a < step.size(); ++a) Place(a, 0, input, weight);
    while (summed || !ListIsFull()) {
      if (++visited_ % kTapsBetweenLooks == 0 && stop_.stop_requested()) {
        stopped_ = true;
        return;
      }
      const double x = Load(operands_.input, input.offset());
      const double w = Load(operands_.weight, weight.offset());
      sum_ += x * w;
      if (!ListIsFull()) {
        explanation_.contributions.push_back({input.index(), weight.index(), x, w});
      }
      std::size_t a = step.size();
      while (a > 0) {
        --a;
        if (++step[a] < ranges_[a].count) break;
        if (a == 0) return;
        Place(a, step[a] = 0, input, weight);
      }
      Place(a, step[a], input, weight);
    }
  }

  // An element of a tensor: its index in the tensor's own layout, and its place in memory. The
  // batch (or a weight's first channel) and the channel stay; the spatial positions move.
  class Cursor {
   public:
    // Which dimension is which; -1 where there is none.
    struct Dimensions {
      std::ptrdiff_t outer = -1;
      std::ptrdiff_t inner = -1;
      std::ptrdiff_t spatial = 0;  // the first of them
    };

    Cursor(const Shape& shape, Dimensions dimensions, std::int64_t outer, std::int64_t inner)
        : dimensions_(dimensions), index_(shape.size(), 0), strides_(shape.size(), 1) {
      for (std::size_t i = shape.size() - 1; i > 0; --i) strides_[i - 1] = strides_[i] * shape[i];
      Set(dimensions.outer, outer);
      Set(dimensions.inner, inner);
    }

    void MoveTo(std::size_t axis, std::int64_t position) {
      Set(dimensions_.spatial + static_cast<std::ptrdiff_t>(axis), position);
    }

    const Shape& index() const { return index_; }
    std::int64_t offset() const { return offset_; }

   private:
    void Set(std::ptrdiff_t dimension, std::int64_t value) {
      if (dimension < 0) return;
      const auto i = static_cast<std::size_t>(dimension);
      offset_ += (value - index_[i]) * strides_[i];
      index_[i] = value;
    }

    Dimensions dimensions_;
    Shape index_;
    Shape strides_;
    std::int64_t offset_ = 0;
  };

  Cursor::Dimensions InputDimensions() const {
    const auto axes = static_cast<std::ptrdiff_t>(ranges_.size());
    const bool batched = problem_.input_shape().size() == ranges_.size() + 2;
    const std::ptrdiff_t first = batched ? 1 : 0;
    if (problem_.tensor_layout() == TensorLayout::kChannelsLast) {
      return {.outer = first - 1, .inner = first + axes, .spatial = first};
    }
    return {.outer = first - 1, .inner = first, .spatial = first + 1};
  }

  Cursor::Dimensions WeightDimensions() const {
    const auto axes = static_cast<std::ptrdiff_t>(ranges_.size());
    if (problem_.weight_layout() == WeightLayout::kChannelsLast) {
      return {.outer = axes + 1, .inner = axes, .spatial = 0};
    }
    return {.outer = 0, .inner = 1, .spatial = 2};
  }

  // Moves both cursors to the `step`-th tap of axis `a` that reads an input.
  void Place(std::size_t a, std::int64_t step, Cursor& input, Cursor& weight) const {
    const Axis& axis = problem_.axes()[a];
    const std::int64_t tap = ranges_[a].first + step * ranges_[a].step;
    const TapSource source =
        SourceOfTap(problem_.operation(), problem_.padding_mode(), axis, output_.spatial[a], tap);
    input.MoveTo(a, source.input);
    weight.MoveTo(a, problem_.flip_kernel() ? axis.kernel - 1 - tap : tap);
  }

  static double Load(const std::optional<TensorView>& tensor, std::int64_t offset) {
    return HasData(tensor) ? LoadAsDouble(tensor->data_type, tensor->data, offset) : 0;
  }

  const Problem& problem_;
  const Indices output_;
  const ExplainOperands& operands_;
  const std::int64_t max_contributions_;
  const std::stop_token stop_;
  std::int64_t visited_ = 0;
  bool stopped_ = false;
  absl::InlinedVector<TapRange, 3> ranges_;
  double sum_ = 0;
  Explanation explanation_;
};

absl::Status CheckIndex(const Shape& output, absl::Span<const std::int64_t> index) {
  if (index.size() != output.size()) {
    return InvalidArgument(
        {{"output_index", fmt::format("expected {} entries (output {}), got {}", output.size(),
                                      ToString(output), index.size())}});
  }
  Violations violations;
  for (std::size_t i = 0; i < index.size(); ++i) {
    if (index[i] >= 0 && index[i] < output[i]) continue;
    violations.push_back(
        {fmt::format("output_index[{}]", i),
         output[i] == 0 ? fmt::format("the output {} is empty, got {}", ToString(output), index[i])
                        : fmt::format("expected 0 to {} (output {}), got {}", output[i] - 1,
                                      ToString(output), index[i])});
  }
  return violations.empty() ? absl::OkStatus() : InvalidArgument(violations);
}

}  // namespace

TapSource SourceOfTap(Operation operation, PaddingMode mode, const Axis& axis, std::int64_t output,
                      std::int64_t tap) {
  if (operation == Operation::kConv) {
    const int128 position =
        int128{output} * axis.stride + int128{tap} * axis.dilation - axis.padding_begin;
    if (position >= 0 && position < axis.input) {
      return {TapKind::kInput, static_cast<std::int64_t>(position)};
    }
    return {TapKind::kPadding, Unpadded(mode, position, axis.input)};
  }
  const int128 position = int128{output} + axis.padding_begin - int128{tap} * axis.dilation;
  if (position < 0 || position > int128{axis.input - 1} * axis.stride) {
    return {TapKind::kPadding, -1};
  }
  if (position % axis.stride != 0) return {TapKind::kBetweenStrides, -1};
  return {TapKind::kInput, static_cast<std::int64_t>(position / axis.stride)};
}

TapRange TapsThatRead(Operation operation, PaddingMode mode, const Axis& axis,
                      std::int64_t output) {
  const int128 k = axis.kernel, d = axis.dilation, s = axis.stride, n = axis.input;
  int128 low = 0, high = k;  // [low, high)
  int128 step = 1;
  if (operation == Operation::kConv) {
    if (mode == PaddingMode::kZeros || mode == PaddingMode::kUnspecified) {
      const int128 position = int128{output} * s - axis.padding_begin;
      low = std::clamp<int128>(CeilDiv(-position, d), 0, k);
      high = std::clamp<int128>(CeilDiv(n - position, d), 0, k);
    }
  } else {
    const int128 position = int128{output} + axis.padding_begin;
    const std::int64_t g = std::gcd(axis.stride, axis.dilation);
    if (position % g != 0) return {};
    step = s / g;
    low = std::clamp<int128>(CeilDiv(position - (n - 1) * s, d), 0, k);
    high = std::clamp<int128>(position / d + 1, 0, k);
    low = FirstTapOfPhase(low, position / g, step, d / g);
  }
  const int128 count = low < high ? (high - 1 - low) / step + 1 : 0;
  return {.first = static_cast<std::int64_t>(count == 0 ? 0 : low),
          .step = static_cast<std::int64_t>(step),
          .count = static_cast<std::int64_t>(count)};
}

absl::StatusOr<Explanation> Explain(const Problem& problem,
                                    absl::Span<const std::int64_t> output_index,
                                    const ExplainOperands& operands,
                                    const ExplainOptions& options) {
  const absl::Status status = CheckIndex(problem.output_shape(), output_index);
  if (!status.ok()) return status;
  const std::size_t axes = problem.axes().size();
  const std::size_t first = output_index.size() - axes - 1;  // past the batch, if there is one
  const bool channels_last = problem.tensor_layout() == TensorLayout::kChannelsLast;
  Indices output = {.batch = first == 0 ? 0 : output_index[0],
                    .channel = output_index[channels_last ? first + axes : first]};
  const auto spatial = output_index.subspan(channels_last ? first : first + 1, axes);
  output.spatial.assign(spatial.begin(), spatial.end());
  return Explainer(problem, std::move(output), operands, options).Run();
}

}  // namespace convserve
