#include "client/explain/picture.h"

#include <algorithm>
#include <functional>
#include <string_view>
#include <utility>

#include "absl/numeric/int128.h"
#include "core/data_type.h"
#include "core/describe.h"
#include "fmt/format.h"

namespace convserve {
namespace {

// Positions first .. last.
struct Stretch {
  std::int64_t first;
  std::int64_t last;
};

// Which positions of a line are shown: all of them where `most` suffice, otherwise the beginning,
// what surrounds `focus` and the end.
std::vector<Stretch> VisibleStretches(Stretch line, Stretch focus, std::size_t most) {
  const auto cells = static_cast<std::int64_t>(most);
  if (line.last - line.first < cells) return {line};
  const std::int64_t ends = std::max<std::int64_t>(1, cells / 8);
  const std::int64_t middle = cells - 2 * ends - 2;
  const std::int64_t length = focus.last - focus.first + 1;
  std::vector<Stretch> wanted = {{line.first, line.first + ends - 1}};
  if (length <= middle) {
    const std::int64_t around = (middle - length) / 2;
    wanted.push_back({focus.first - around, focus.last + around});
  } else {
    const std::int64_t half = std::max<std::int64_t>(1, (middle - 1) / 2);
    wanted.push_back({focus.first, focus.first + half - 1});
    wanted.push_back({focus.last - half + 1, focus.last});
  }
  wanted.push_back({line.last - ends + 1, line.last});
  std::vector<Stretch> visible;
  std::sort(wanted.begin(), wanted.end(), [](Stretch a, Stretch b) { return a.first < b.first; });
  for (Stretch stretch : wanted) {
    stretch.first = std::max(stretch.first, line.first);
    stretch.last = std::min(stretch.last, line.last);
    if (stretch.first > stretch.last) continue;
    if (!visible.empty() && stretch.first <= visible.back().last + 2) {
      visible.back().last = std::max(visible.back().last, stretch.last);
    } else {
      visible.push_back(stretch);
    }
  }
  return visible;
}

template <typename Cell>
std::vector<Cell> Cells(Stretch line, Stretch focus, std::size_t most,
                        const std::function<Cell(std::int64_t)>& make) {
  std::vector<Cell> cells;
  std::int64_t next = line.first;
  for (const Stretch stretch : VisibleStretches(line, focus, most)) {
    if (stretch.first != next) cells.push_back(Cell{});
    for (next = stretch.first; next <= stretch.last; ++next) cells.push_back(make(next));
  }
  if (next != line.last + 1) cells.push_back(Cell{});
  return cells;
}

bool IsUnused(const Problem& problem, const Axis& axis, std::int64_t input) {
  const auto used_below = [&](std::int64_t bound) {
    return UsedInputsBelow(problem.operation(), problem.padding_mode(), axis, bound);
  };
  return used_below(input + 1) == used_below(input);
}

// The lines of a Conv and of a ConvTranspose in common terms.
struct Line {
  Line(const Problem& problem, const Axis& axis, std::int64_t output) : axis(axis) {
    const std::int64_t reach = axis.effective_kernel() - 1;
    if (problem.operation() == Operation::kConv) {
      window.first = output * axis.stride - axis.padding_begin;
      source = {-axis.padding_begin, axis.input - 1 + axis.padding_end};
      this->output = {0, axis.output - 1};
    } else {
      window.first = output + axis.padding_begin - reach;
      spacing = axis.stride;
      source = {std::min<std::int64_t>(0, axis.padding_begin - reach),
                std::max((axis.input - 1) * axis.stride, axis.output - 1 + axis.padding_begin)};
      this->output = {
          -axis.padding_begin,
          std::max((axis.input - 1) * axis.stride + reach - axis.padding_begin, axis.output - 1)};
    }
    window.last = window.first + reach;
  }

  const Axis& axis;
  std::int64_t spacing = 1;  // of input cells
  Stretch source;
  Stretch output;
  Stretch window;
};

SourceCell MakeSourceCell(const Problem& problem, const Line& line, std::int64_t position) {
  const Axis& axis = line.axis;
  SourceCell cell = {.kind = SourceKind::kPadding, .position = position};
  const std::int64_t offset = position - line.window.first;
  cell.in_window = offset >= 0 && position <= line.window.last;
  if (cell.in_window && offset % axis.dilation == 0) {
    const std::int64_t step = offset / axis.dilation;
    cell.tap = problem.operation() == Operation::kConv ? step : axis.kernel - 1 - step;
  }
  if (position >= 0 && position <= (axis.input - 1) * line.spacing) {
    if (position % line.spacing != 0) {
      cell.kind = SourceKind::kHole;
      return cell;
    }
    cell.kind = SourceKind::kInput;
    cell.input = position / line.spacing;
    cell.unused = IsUnused(problem, axis, cell.input);
  } else if (problem.operation() == Operation::kConv) {
    // Any placement says what padding repeats: one tap, at this very position.
    const Axis probe = {.input = axis.input, .kernel = 1, .padding_begin = axis.padding_begin};
    cell.input = SourceOfTap(Operation::kConv, problem.padding_mode(), probe,
                             position + axis.padding_begin, 0)
                     .input;
    if (cell.input >= 0) cell.kind = SourceKind::kRepeat;
  }
  return cell;
}

OutputCell MakeOutputCell(const Problem& problem, const Axis& axis, std::int64_t position,
                          std::int64_t selected) {
  OutputCell cell = {.kind = OutputKind::kOutput, .position = position};
  if (position < 0 || position >= axis.output) {
    cell.kind = OutputKind::kCropped;
  } else if (position >= axis.output - axis.output_padding) {
    cell.kind = OutputKind::kRevealed;
  }
  cell.taps = TapsThatRead(problem.operation(), problem.padding_mode(), axis, position).count;
  cell.selected = position == selected;
  return cell;
}

std::optional<double> ValueAt(const std::optional<TensorView>& tensor, const Shape& index) {
  if (!tensor.has_value() || tensor->data == nullptr) return std::nullopt;
  std::int64_t offset = 0;
  for (std::size_t i = 0; i < index.size(); ++i) offset = offset * tensor->shape[i] + index[i];
  return LoadAsDouble(tensor->data_type, tensor->data, offset);
}

// Batch (0 where there is none) and channel of the output element.
std::pair<std::int64_t, std::int64_t> BatchAndChannel(const DrawingRequest& request) {
  const Problem& problem = request.problem;
  const bool batched = request.output_index.size() == problem.axes().size() + 2;
  const bool channels_last = problem.tensor_layout() == TensorLayout::kChannelsLast;
  return {batched ? request.output_index[0] : 0,
          channels_last ? request.output_index.back() : request.output_index[batched ? 1 : 0]};
}

// "3 x 3", or "3" where all axes share the number.
std::string Numbers(const Problem& problem, bool sizes, std::int64_t (*number)(const Axis&)) {
  std::string text;
  bool alike = true;
  for (const Axis& axis : problem.axes()) {
    alike = alike && number(axis) == number(problem.axes()[0]);
    text += fmt::format("{}{}", text.empty() ? "" : " x ", number(axis));
  }
  return alike && !sizes ? fmt::format("{}", number(problem.axes()[0])) : text;
}

}  // namespace

absl::StatusOr<DrawingRequest> Checked(DrawingRequest request) {
  if (request.output_index.empty()) {
    request.output_index.assign(request.problem.output_shape().size(), 0);
  }
  const auto explanation =
      Explain(request.problem, request.output_index, {}, {.max_contributions = 0});
  if (!explanation.ok()) return explanation.status();
  return request;
}

AxisPicture MakeAxisPicture(const Problem& problem, std::size_t axis, std::int64_t output,
                            std::size_t most_cells) {
  const Line line(problem, problem.axes()[axis], output);
  AxisPicture picture;
  picture.source = Cells<SourceCell>(line.source, line.window, most_cells, [&](std::int64_t at) {
    return MakeSourceCell(problem, line, at);
  });
  picture.output = Cells<OutputCell>(
      line.output, {output, output}, most_cells,
      [&](std::int64_t at) { return MakeOutputCell(problem, line.axis, at, output); });
  return picture;
}

SourceKind Combined(SourceKind a, SourceKind b) {
  for (const SourceKind kind :
       {SourceKind::kGap, SourceKind::kPadding, SourceKind::kHole, SourceKind::kRepeat}) {
    if (a == kind || b == kind) return kind;
  }
  return SourceKind::kInput;
}

OutputKind Combined(OutputKind a, OutputKind b) {
  for (const OutputKind kind : {OutputKind::kGap, OutputKind::kCropped, OutputKind::kRevealed}) {
    if (a == kind || b == kind) return kind;
  }
  return OutputKind::kOutput;
}

Shape SpatialIndex(const Problem& problem, absl::Span<const std::int64_t> output_index) {
  const std::size_t axes = problem.axes().size();
  std::size_t first = output_index.size() - axes - 1;
  if (problem.tensor_layout() != TensorLayout::kChannelsLast) ++first;
  const auto spatial = output_index.subspan(first, axes);
  return Shape(spatial.begin(), spatial.end());
}

std::optional<double> InputValue(const DrawingRequest& request, std::int64_t channel,
                                 absl::Span<const std::int64_t> position) {
  const Problem& problem = request.problem;
  const auto [batch, output_channel] = BatchAndChannel(request);
  const std::int64_t group = output_channel / (problem.output_channels() / problem.groups());
  const std::int64_t input_channel =
      group * (problem.input_channels() / problem.groups()) + channel;
  Shape index;
  if (problem.input_shape().size() == position.size() + 2) index.push_back(batch);
  const bool channels_last = problem.tensor_layout() == TensorLayout::kChannelsLast;
  if (!channels_last) index.push_back(input_channel);
  index.insert(index.end(), position.begin(), position.end());
  if (channels_last) index.push_back(input_channel);
  return ValueAt(request.operands.input, index);
}

std::optional<double> WeightValue(const DrawingRequest& request, std::int64_t channel,
                                  absl::Span<const std::int64_t> taps) {
  const Problem& problem = request.problem;
  const std::int64_t output_channel = BatchAndChannel(request).second;
  const std::int64_t outputs = problem.output_channels() / problem.groups();
  const std::int64_t inputs = problem.input_channels() / problem.groups();
  const bool conv = problem.operation() == Operation::kConv;
  const std::int64_t outer = conv ? output_channel : output_channel / outputs * inputs + channel;
  const std::int64_t inner = conv ? channel : output_channel % outputs;
  Shape stored;
  for (std::size_t a = 0; a < taps.size(); ++a) {
    stored.push_back(problem.flip_kernel() ? problem.axes()[a].kernel - 1 - taps[a] : taps[a]);
  }
  Shape index;
  if (problem.weight_layout() == WeightLayout::kChannelsLast) {
    index = stored;
    index.push_back(inner);
    index.push_back(outer);
  } else {
    index = {outer, inner};
    index.insert(index.end(), stored.begin(), stored.end());
  }
  return ValueAt(request.operands.weight, index);
}

std::string Title(const Problem& problem) {
  const bool conv = problem.operation() == Operation::kConv;
  std::string text = fmt::format("{}, {}-D: input {}, kernel {}", conv ? "conv" : "conv-transpose",
                                 problem.axes().size(),
                                 Numbers(problem, true, [](const Axis& a) { return a.input; }),
                                 Numbers(problem, true, [](const Axis& a) { return a.kernel; }));
  const auto add = [&](std::string_view name, std::int64_t usual,
                       std::int64_t (*number)(const Axis&)) {
    const std::string numbers = Numbers(problem, false, number);
    if (numbers != fmt::format("{}", usual)) text += fmt::format(", {} {}", name, numbers);
  };
  add("stride", 1, [](const Axis& a) { return a.stride; });
  add("dilation", 1, [](const Axis& a) { return a.dilation; });
  const bool symmetric =
      std::all_of(problem.axes().begin(), problem.axes().end(),
                  [](const Axis& axis) { return axis.padding_begin == axis.padding_end; });
  if (symmetric) {
    add("padding", 0, [](const Axis& a) { return a.padding_begin; });
  } else {
    text += fmt::format(", padding {} before and {} after",
                        Numbers(problem, false, [](const Axis& a) { return a.padding_begin; }),
                        Numbers(problem, false, [](const Axis& a) { return a.padding_end; }));
  }
  constexpr std::string_view kModes[] = {"", "", " (reflect)", " (replicate)", " (circular)"};
  text += kModes[static_cast<std::size_t>(problem.padding_mode())];
  add("output padding", 0, [](const Axis& a) { return a.output_padding; });
  return text + " -> output " + Numbers(problem, true, [](const Axis& a) { return a.output; });
}

}  // namespace convserve
