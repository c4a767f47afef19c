#include "client/cli/argument_syntax.h"

#include <cmath>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "client/cli/text.h"
#include "fmt/format.h"

namespace convserve::cli {
namespace {

template <typename List>
absl::StatusOr<List> ParseIntegers(std::string_view text, std::string_view example) {
  List list;
  for (const std::string_view part : Split(text, ',')) {
    const std::optional<std::int64_t> value = ParseInteger(Strip(part));
    if (!value) {
      return absl::InvalidArgumentError(
          fmt::format("expected whole numbers below 2^63 with commas between, such as {}, got {}",
                      example, Quoted(text)));
    }
    list.push_back(*value);
  }
  return list;
}

template <typename T>
absl::StatusOr<T> ParseChoice(std::string_view text,
                              std::initializer_list<std::pair<std::string_view, T>> choices) {
  std::vector<std::string_view> names;
  for (const auto& [name, value] : choices) {
    if (name == text) return value;
    names.push_back(name);
  }
  const std::string_view nearest = Nearest(text, names);
  return absl::InvalidArgumentError(
      fmt::format("expected one of {}, got {}{}", fmt::join(names, ", "), Quoted(text),
                  nearest.empty() ? "" : fmt::format(" (did you mean {}?)", nearest)));
}

}  // namespace

absl::StatusOr<AxisList> ParseAxisList(std::string_view text) {
  return ParseIntegers<AxisList>(text, "2 or 2,1");
}

absl::StatusOr<Shape> ParseShape(std::string_view text) {
  std::string_view list = Strip(text);
  if (list.starts_with('[') && list.ends_with(']')) list = list.substr(1, list.size() - 2);
  return ParseIntegers<Shape>(list, "1,3,224,224");
}

absl::StatusOr<Padding> ParsePadding(std::string_view text) {
  if (!text.empty() && std::isalpha(static_cast<unsigned char>(text[0])) != 0) {
    const absl::StatusOr<AutoPad> auto_pad =
        ParseChoice<AutoPad>(text, {{"valid", AutoPad::kValid},
                                    {"same", AutoPad::kSameUpper},
                                    {"same-upper", AutoPad::kSameUpper},
                                    {"same-lower", AutoPad::kSameLower}});
    if (!auto_pad.ok()) return auto_pad.status();
    return Padding{{}, *auto_pad};
  }
  absl::StatusOr<AxisList> list =
      ParseIntegers<AxisList>(text, "0 or 1,2 or 0,1,2,3, or valid, same, same-upper, same-lower");
  if (!list.ok()) return list.status();
  return Padding{*std::move(list), AutoPad::kUnspecified};
}

absl::StatusOr<PaddingMode> ParsePaddingMode(std::string_view text) {
  return ParseChoice<PaddingMode>(text, {{"zeros", PaddingMode::kZeros},
                                         {"reflect", PaddingMode::kReflect},
                                         {"replicate", PaddingMode::kReplicate},
                                         {"circular", PaddingMode::kCircular}});
}

absl::StatusOr<TensorLayout> ParseTensorLayout(std::string_view text) {
  return ParseChoice<TensorLayout>(text, {{"channels-first", TensorLayout::kChannelsFirst},
                                          {"channels-last", TensorLayout::kChannelsLast}});
}

absl::StatusOr<WeightLayout> ParseWeightLayout(std::string_view text) {
  return ParseChoice<WeightLayout>(text, {{"channels-first", WeightLayout::kChannelsFirst},
                                          {"channels-last", WeightLayout::kChannelsLast}});
}

absl::StatusOr<DataType> ParseType(std::string_view text) {
  if (const std::optional<DataType> type = ParseDataType(text)) return *type;
  const std::string names(DataTypeNames());
  std::vector<std::string_view> candidates = Split(names, ',');
  for (std::string_view& candidate : candidates) candidate = Strip(candidate);
  const std::string_view nearest = Nearest(text, candidates);
  return absl::InvalidArgumentError(
      fmt::format("expected one of {}, got {}{}", names, Quoted(text),
                  nearest.empty() ? "" : fmt::format(" (did you mean {}?)", nearest)));
}

absl::StatusOr<std::chrono::milliseconds> ParseTimeout(std::string_view text) {
  const std::size_t unit_at = std::min(text.find_first_of("ms"), text.size());
  const std::string_view unit = text.substr(unit_at);
  const double factor = unit == "ms"                  ? 1
                        : unit == "m"                 ? 60000
                        : unit.empty() || unit == "s" ? 1000
                                                      : 0;
  const double milliseconds = ParseDouble(text.substr(0, unit_at)).value_or(0) * factor;
  // Up to a year: what is longer is a slip.
  if (!(milliseconds >= 1 && milliseconds <= 366.0 * 24 * 3600 * 1000)) {
    return absl::InvalidArgumentError(fmt::format(
        "expected a time from 1ms to 366 days such as 30 (seconds), 1.5s, 500ms or 2m, got {}",
        Quoted(text)));
  }
  return std::chrono::milliseconds(std::llround(milliseconds));
}

}  // namespace convserve::cli
