#include <algorithm>
#include <cmath>
#include <string_view>

#include "absl/numeric/int128.h"
#include "client/explain/picture.h"
#include "client/explain/words.h"
#include "core/data_type.h"
#include "fmt/format.h"

namespace convserve {
namespace {

constexpr std::size_t kLineLength = 100;
constexpr std::int64_t kMostTapsNamed = 12;
constexpr std::int64_t kMostTapsLookedAt = 4096;

std::string Index(const Shape& index) { return fmt::format("[{}]", fmt::join(index, ",")); }

// Shortest text of a value that was stored with this type.
std::string Stored(DataType type, double value) {
  if (type == DataType::kFloat32 || type == DataType::kFloat16 || type == DataType::kBFloat16) {
    return fmt::format("{}", static_cast<float>(value));
  }
  return fmt::format("{}", value);
}

std::string InBrackets(const std::string& number) {
  return number.starts_with('-') ? "(" + number + ")" : number;
}

// A sum in float64, without digits that only its rounding made.
std::string Sum(double value) { return fmt::format("{:.12g}", value); }

// Terms joined by " + ", and how many more there are.
std::string Joined(const std::vector<std::string>& terms, std::int64_t all) {
  std::string text = fmt::format("{}", fmt::join(terms, " + "));
  const std::int64_t more = all - static_cast<std::int64_t>(terms.size());
  if (more > 0) text += fmt::format("{}... ({} more products)", text.empty() ? "" : " + ", more);
  return text;
}

// A sum broken before a plus wherever a line would become too long; later lines are indented.
std::string Wrapped(const std::string& sum, std::size_t indent) {
  std::string text;
  std::size_t column = indent;
  for (std::size_t at = 0; at < sum.size();) {
    const std::size_t end = std::min(sum.find(" + ", at + 1), sum.size());
    if (at > 0 && column + (end - at) > kLineLength) {
      text += "\n" + std::string(indent - 1, ' ');
      column = indent - 1;
    }
    text += sum.substr(at, end - at);
    column += end - at;
    at = end;
  }
  return text;
}

std::int64_t OutputChannel(const Problem& problem, const Shape& output_index) {
  return problem.tensor_layout() == TensorLayout::kChannelsLast
             ? output_index.back()
             : output_index[output_index.size() - problem.axes().size() - 1];
}

// "tap 0 on padding, tap 1 reads 0, tap 2 between strides, ..."
std::string TapsOfAxis(const Problem& problem, const Axis& axis, std::int64_t output) {
  std::string text;
  for (std::int64_t tap = 0; tap < std::min(axis.kernel, kMostTapsNamed); ++tap) {
    const TapSource source =
        SourceOfTap(problem.operation(), problem.padding_mode(), axis, output, tap);
    text += fmt::format("{}tap {} ", text.empty() ? "" : ", ", tap);
    if (source.kind == TapKind::kInput) {
      text += fmt::format("reads {}", source.input);
    } else if (source.input >= 0) {
      text += fmt::format("on padding that repeats {}", source.input);
    } else if (source.kind == TapKind::kBetweenStrides) {
      text += "between strides";
    } else {
      text += problem.operation() == Operation::kConv ? "on padding" : "outside the input";
    }
  }
  if (axis.kernel > kMostTapsNamed) text += fmt::format(", ... ({} taps)", axis.kernel);
  return text;
}

}  // namespace

TapCounts CountTaps(const Problem& problem, const Shape& output_index) {
  const Shape at = SpatialIndex(problem, output_index);
  TapCounts counts = {.all = 1, .on_input = 1};
  std::int64_t inside = 1;  // on an input or between two
  for (std::size_t a = 0; a < at.size(); ++a) {
    const Axis& axis = problem.axes()[a];
    const std::int64_t reading =
        TapsThatRead(problem.operation(), problem.padding_mode(), axis, at[a]).count;
    counts.all *= axis.kernel;
    counts.on_input *= reading;
    if (problem.operation() == Operation::kConv) {
      inside *= reading;
      continue;
    }
    // Taps with 0 <= position - t*d <= (n-1)s.
    const absl::int128 position = absl::int128{at[a]} + axis.padding_begin;
    const absl::int128 beyond = position - absl::int128{axis.input - 1} * axis.stride;
    const absl::int128 first = beyond > 0 ? (beyond - 1) / axis.dilation + 1 : 0;
    const absl::int128 end = std::min<absl::int128>(axis.kernel, position / axis.dilation + 1);
    inside *= static_cast<std::int64_t>(std::max<absl::int128>(0, end - first));
  }
  counts.between_strides = inside - counts.on_input;
  counts.on_padding = counts.all - inside;
  return counts;
}

std::vector<Interval> ReceptiveField(const Problem& problem, const Shape& output_index) {
  const Shape at = SpatialIndex(problem, output_index);
  std::vector<Interval> field;
  for (std::size_t a = 0; a < at.size(); ++a) {
    const Axis& axis = problem.axes()[a];
    const TapRange taps = TapsThatRead(problem.operation(), problem.padding_mode(), axis, at[a]);
    if (taps.count == 0) return {};
    const auto input = [&](std::int64_t step) {
      return SourceOfTap(problem.operation(), problem.padding_mode(), axis, at[a],
                         taps.first + step * taps.step)
          .input;
    };
    Interval range = {std::min(input(0), input(taps.count - 1)),
                      std::max(input(0), input(taps.count - 1))};
    if (problem.padding_mode() != PaddingMode::kZeros) {
      // What padding repeats may lie anywhere; beyond this many taps the whole axis is as good an
      // answer.
      if (taps.count > kMostTapsLookedAt) range = {0, axis.input - 1};
      for (std::int64_t step = 0; step < std::min(taps.count, kMostTapsLookedAt); ++step) {
        range.min = std::min(range.min, input(step));
        range.max = std::max(range.max, input(step));
      }
    }
    field.push_back(range);
  }
  return field;
}

std::string Equation(const Problem& problem, const Shape& output_index,
                     const Explanation& explanation, const EquationOptions& options) {
  std::vector<std::string> names, values;
  for (const Contribution& c : explanation.contributions) {
    if (names.size() == options.most_terms) break;
    names.push_back(fmt::format("x{}*w{}", Index(c.input_index), Index(c.weight_index)));
    values.push_back(fmt::format("{}*{}", InBrackets(Stored(problem.input_type(), c.input_value)),
                                 InBrackets(Stored(problem.weight_type(), c.weight_value))));
  }
  const std::int64_t taps = CountTaps(problem, output_index).on_input;
  const std::int64_t count = taps * (problem.input_channels() / problem.groups());
  std::string named = Joined(names, count), valued = Joined(values, count);
  if (problem.has_bias()) {
    const std::string plus = count > 0 ? " + " : "";
    named += fmt::format("{}bias[{}]", plus, OutputChannel(problem, output_index));
    valued += plus + InBrackets(Stored(problem.bias_type(), explanation.bias));
  }
  const std::string left = "y" + Index(output_index);
  if (count == 0 && !problem.has_bias()) return left + " = 0 (no input reaches it)";
  const std::size_t indent = left.size() + 3;
  if (!options.values) return fmt::format("{} = {}", left, Wrapped(named, indent));
  std::vector<std::string> parts = {named, valued, Sum(explanation.value)};
  if (valued == parts.back()) parts.pop_back();
  std::string line = fmt::format("{} = {}", left, fmt::join(parts, " = "));
  if (line.size() <= kLineLength) return line;
  for (std::string& part : parts) part = Wrapped(part, indent);
  return fmt::format("{} = {}", left,
                     fmt::join(parts, "\n" + std::string(left.size(), ' ') + " = "));
}

std::string ExplainInWords(const Problem& problem, const Shape& output_index) {
  const bool conv = problem.operation() == Operation::kConv;
  const std::size_t axes = problem.axes().size();
  const Shape at = SpatialIndex(problem, output_index);
  std::string text;
  const std::vector<Interval> field = ReceptiveField(problem, output_index);
  std::string ranges;
  for (std::size_t a = 0; a < field.size(); ++a) {
    ranges += fmt::format("{}{} {}", ranges.empty() ? "" : ", ", AxisName(axes, a), field[a].min);
    if (field[a].max > field[a].min) ranges += fmt::format(" to {}", field[a].max);
  }
  text += fmt::format("receptive field   {}\n",
                      ranges.empty() ? "none: no input reaches this output" : "input " + ranges);
  const TapCounts taps = CountTaps(problem, output_index);
  text += fmt::format("taps              {} in each of {} input channel{}: {} read an input",
                      taps.all, problem.input_channels() / problem.groups(),
                      problem.input_channels() == problem.groups() ? "" : "s", taps.on_input);
  if (conv) {
    text += fmt::format(", {} fall on padding\n", taps.on_padding);
  } else {
    text += fmt::format(", {} fall outside the input, {} between strides\n", taps.on_padding,
                        taps.between_strides);
  }
  for (std::size_t a = 0; a < axes; ++a) {
    text += fmt::format("  {:<15} output {}: {}\n", AxisName(axes, a), at[a],
                        TapsOfAxis(problem, problem.axes()[a], at[a]));
  }
  return text;
}

}  // namespace convserve
