#include "client/explain/terminal.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "fmt/format.h"

namespace convserve {
namespace {

constexpr std::size_t kMostCells = 14;

// Two columns each.
constexpr std::string_view kTap = "\u2588\u2588", kInput = "\u2592\u2592", kUnused = "\u2591\u2591",
                           kMiss = "\u2573\u2573", kPadding = "\u00b7\u00b7",
                           kHole = "\u254c\u254c", kRepeat = "\u2591\u2592", kGap = "\u2026 ",
                           kChosen = "\u2588\u2588", kCropped = "\u00b7\u00b7";

struct Meaning {
  std::string_view sign;
  std::string_view text;
};
constexpr Meaning kSourceSigns[] = {{kTap, "input that a tap reads"},
                                    {kInput, "input"},
                                    {kUnused, "input that reaches no output"},
                                    {kRepeat, "padding that repeats an input"},
                                    {kPadding, "padding"},
                                    {kHole, "hole between strides"},
                                    {kMiss, "tap that finds no input"}};

std::string_view SourceSign(const SourceCell& row, const SourceCell& column,
                            const SourceCell* slice) {
  SourceKind kind = Combined(row.kind, column.kind);
  bool tap = row.tap >= 0 && column.tap >= 0;
  bool unused = row.unused || column.unused;
  if (slice != nullptr) {
    kind = Combined(kind, slice->kind);
    tap = tap && slice->tap >= 0;
    unused = unused || slice->unused;
  }
  switch (kind) {
    case SourceKind::kGap:
      return kGap;
    case SourceKind::kPadding:
      return tap ? kMiss : kPadding;
    case SourceKind::kHole:
      return tap ? kMiss : kHole;
    case SourceKind::kRepeat:
      return tap ? kTap : kRepeat;
    case SourceKind::kInput:
      break;
  }
  return tap ? kTap : unused ? kUnused : kInput;
}

std::string OutputSign(const OutputCell& row, const OutputCell& column, std::int64_t slice_taps) {
  switch (Combined(row.kind, column.kind)) {
    case OutputKind::kGap:
      return std::string(kGap);
    case OutputKind::kCropped:
      return std::string(kCropped);
    default:
      break;
  }
  if (row.selected && column.selected) return std::string(kChosen);
  const std::int64_t taps = row.taps * column.taps * slice_taps;
  return taps < 100 ? fmt::format("{:>2}", taps) : "++";
}

}  // namespace

absl::StatusOr<std::string> DrawTerminal(const DrawingRequest& request) {
  const auto checked = Checked(request);
  if (!checked.ok()) return checked.status();
  const Problem& problem = checked->problem;
  const std::size_t axes = problem.axes().size();
  const Shape at = SpatialIndex(problem, checked->output_index);
  std::vector<AxisPicture> pictures;
  for (std::size_t a = 0; a < axes; ++a) {
    pictures.push_back(MakeAxisPicture(problem, a, at[a], axes == 1 ? 2 * kMostCells : kMostCells));
  }
  if (axes == 1) {
    pictures.insert(pictures.begin(),
                    {.source = {{.kind = SourceKind::kInput, .input = 0, .tap = 0}},
                     .output = {{.kind = OutputKind::kOutput, .taps = 1, .selected = true}}});
  }
  const AxisPicture &rows = pictures[pictures.size() - 2], &columns = pictures.back();
  std::vector<const SourceCell*> slices = {nullptr};
  std::int64_t slice_taps = 1;
  if (axes == 3) {
    slices.clear();
    for (const SourceCell& cell : pictures[0].source) {
      if (cell.tap >= 0) slices.push_back(&cell);
    }
    for (const OutputCell& cell : pictures[0].output) {
      if (cell.selected) slice_taps = cell.taps;
    }
  }

  std::string text = Title(problem) + "\n\n";
  std::set<std::string_view> used;
  bool cropped = false;
  for (std::size_t s = 0; s < slices.size(); ++s) {
    if (slices[s] != nullptr) {
      text +=
          slices[s]->input >= 0
              ? fmt::format("kernel depth {} on input depth {}\n", slices[s]->tap, slices[s]->input)
              : fmt::format("kernel depth {} finds no input\n", slices[s]->tap);
    }
    const std::size_t output_rows = s == 0 ? rows.output.size() : 0;
    for (std::size_t r = 0; r < std::max(rows.source.size(), output_rows); ++r) {
      std::string line;
      for (const SourceCell& column : columns.source) {
        if (r < rows.source.size()) {
          const std::string_view sign = SourceSign(rows.source[r], column, slices[s]);
          used.insert(sign);
          line += sign;
        } else {
          line += "  ";
        }
        line += ' ';
      }
      if (r < output_rows) {
        line += r == 0 ? "  \u2192   " : "      ";
        for (const OutputCell& column : columns.output) {
          cropped = cropped || Combined(rows.output[r].kind, column.kind) == OutputKind::kCropped;
          line += OutputSign(rows.output[r], column, slice_taps) + ' ';
        }
      }
      line.erase(line.find_last_not_of(' ') + 1);
      text += line + '\n';
    }
    text += '\n';
  }
  for (const Meaning& meaning : kSourceSigns) {
    if (used.contains(meaning.sign)) text += fmt::format("{}  {}\n", meaning.sign, meaning.text);
  }
  text += fmt::format(
      "Right: the output; {} is the element asked about, a number how many taps "
      "bring an input{}.\n",
      kChosen, cropped ? fmt::format(", {} is cropped by the padding", kCropped) : "");
  return text;
}

}  // namespace convserve
