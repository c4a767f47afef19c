#include "client/explain/svg.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>
#include <utility>

#include "fmt/format.h"

namespace convserve {
namespace {

constexpr int kCell = 30;
constexpr int kMargin = 20;
constexpr int kBetween = 70;                   // from the left grid to the right one
constexpr std::int64_t kMaxWork = 20'000'000;  // products, for the values of all visible outputs

constexpr std::string_view kStyle = R"(
svg{--ink:#1f2933;--paper:#ffffff;--line:#52606d;--input:#a9d1f5;--tap:#3b82c4;--tap-ink:#ffffff;
--output:#a7e0c9;--chosen:#0f7b5c;--faint:#c3cad3;--miss:#f3c9a5;font-family:system-ui,sans-serif}
@media(prefers-color-scheme:dark){svg{--ink:#e6ebf1;--paper:#14181d;--line:#8b98a7;--input:#27507a;--tap:#66aeee;
--tap-ink:#0d1117;--output:#1f5c48;--chosen:#5fd6ae;--faint:#3a444f;--miss:#7a4a21}}
.paper{fill:var(--paper)}text{fill:var(--ink);font-size:11px;text-anchor:middle;dominant-baseline:central}
.title{font-size:15px;font-weight:600;text-anchor:start}.label{font-size:13px;text-anchor:start}
.small{font-size:8px}rect{stroke:var(--line);stroke-width:1}
.input{fill:var(--input)}.input.tap,.repeat.tap{fill:var(--tap)}.on{fill:var(--tap-ink)}
.repeat{fill:var(--input);fill-opacity:.45;stroke-dasharray:3 2}.repeat.tap{fill-opacity:1}
.padding{fill:none;stroke:var(--faint);stroke-dasharray:3 2}.hole{fill:none;stroke:var(--faint)}
.padding.tap,.hole.tap{fill:var(--miss);stroke:var(--line)}
.unused{fill:url(#hatch);stroke:var(--line)}.window{fill:none;stroke:var(--tap);stroke-width:3}
.output{fill:var(--output)}.revealed{stroke-dasharray:3 2;stroke-width:2}
.cropped{fill:none;stroke:var(--faint);stroke-dasharray:2 3}.none{fill:none}.hole{stroke-opacity:.6}
.chosen{fill:var(--chosen)}.chosen-ink{fill:var(--paper);font-weight:600}.arrow{stroke:var(--ink);fill:none;stroke-width:2}
.dot{fill:var(--line);stroke:none}.cross{stroke:var(--faint)}
)";

std::string Number(double value) {
  if (std::abs(value) < 1e5 && value == std::trunc(value)) return fmt::format("{:.0f}", value);
  return fmt::format("{:.3g}", value);
}

// Cells are drawn into `body`; what occurs is noted for the legend.
class Drawing {
 public:
  explicit Drawing(const DrawingRequest& request)
      : request_(request), spatial_(SpatialIndex(request.problem, request.output_index)) {
    const std::size_t axes = request.problem.axes().size();
    const std::size_t most = axes == 1 ? 28 : 20;
    for (std::size_t a = 0; a < axes; ++a) {
      pictures_.push_back(
          MakeAxisPicture(request.problem, a, spatial_[a], axes == 3 && a == 0 ? 10 : most));
    }
    // Rows and columns are the last two axes; a single axis is one row.
    if (axes == 1) pictures_.insert(pictures_.begin(), OneRow());
    work_per_output_ = request.problem.input_channels() / request.problem.groups();
    for (const Axis& axis : request.problem.axes()) {
      work_per_output_ =
          work_per_output_ > kMaxWork / axis.kernel ? kMaxWork : work_per_output_ * axis.kernel;
    }
  }

  std::string Render() {
    const std::string title = Title(request_.problem);
    const AxisPicture& rows = pictures_[pictures_.size() - 2];
    const AxisPicture& columns = pictures_.back();
    const int top = kMargin + 58;
    const int left_width = static_cast<int>(columns.source.size()) * kCell;
    const bool conv = request_.problem.operation() == Operation::kConv;
    const int right = kMargin + std::max(left_width, conv ? 0 : 270) + kBetween;  // room for labels
    int y = top;
    if (request_.problem.axes().size() == 3) {
      for (const SourceCell& slice : pictures_[0].source) {
        if (slice.tap < 0) continue;
        Text(kMargin, y + 6, SliceName(slice), "label");
        DrawSource(kMargin, y + 20, &slice);
        y += static_cast<int>(rows.source.size()) * kCell + 36;
      }
    } else {
      DrawSource(kMargin, y, nullptr);
      y += static_cast<int>(rows.source.size()) * kCell;
    }
    const int output_top = request_.problem.axes().size() == 3 ? top + 20 : top;
    DrawOutput(right, output_top);
    const int right_bottom = output_top + static_cast<int>(rows.output.size()) * kCell;
    const int arrow_y = output_top + kCell / 2;
    body_ += fmt::format("<path class=\"arrow\" d=\"M{} {}h30m-8 -6l8 6l-8 6\"/>\n",
                         right - kBetween + 20, arrow_y);
    Text(kMargin, top - 14, conv ? "input" : "input, as the equal direct convolution sees it",
         "label");
    Text(right, top - 14, "output and its taps", "label");
    int width = std::max(right + static_cast<int>(columns.output.size()) * kCell, right + 130);
    int bottom = std::max(y, right_bottom) + 24;
    DrawLegend(bottom);
    bottom += 8;
    width = std::max({width, static_cast<int>(title.size()) * 9 + kMargin, 480}) + kMargin;
    return fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" viewBox=\"0 0 {0} {1}\" "
        "width=\"{0}\" height=\"{1}\" aria-labelledby=\"title desc\">\n<title "
        "id=\"title\">{2}</title>\n<desc id=\"desc\">{3}</desc>\n<style>{4}</style>\n<defs>"
        "<pattern id=\"hatch\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" "
        "patternTransform=\"rotate(45)\"><path d=\"M0 0v6\" style=\"stroke:var(--line)\"/>"
        "</pattern></defs>\n<rect class=\"paper\" style=\"stroke:none\" width=\"{0}\" "
        "height=\"{1}\"/>\n<text class=\"title\" x=\"{5}\" y=\"{6}\">{7}</text>\n{8}</svg>\n",
        width, bottom, Escaped(title), Escaped(Sentence()), kStyle, kMargin, kMargin + 8,
        Escaped(title), body_);
  }

 private:
  enum Occurs {
    kTapOnInput,
    kInput,
    kUnused,
    kPadding,
    kHole,
    kRepeat,
    kMiss,
    kRevealed,
    kCropped,
    kBare,
    kCount
  };

  static AxisPicture OneRow() {
    AxisPicture row;
    row.source.push_back({.kind = SourceKind::kInput, .input = 0, .in_window = true, .tap = 0});
    row.output.push_back({.kind = OutputKind::kOutput, .taps = 1, .selected = true});
    return row;
  }

  static std::string Escaped(std::string_view text) {
    std::string escaped;
    for (const char c : text) {
      if (c == '<')
        escaped += "&lt;";
      else if (c == '>')
        escaped += "&gt;";
      else if (c == '&')
        escaped += "&amp;";
      else
        escaped += c;
    }
    return escaped;
  }

  std::string SliceName(const SourceCell& slice) const {
    switch (slice.kind) {
      case SourceKind::kInput:
        return fmt::format("input depth {}, kernel depth {}", slice.input, slice.tap);
      case SourceKind::kRepeat:
        return fmt::format("padding that repeats depth {}, kernel depth {}", slice.input,
                           slice.tap);
      case SourceKind::kHole:
        return fmt::format("between strides in depth, kernel depth {}", slice.tap);
      default:
        return fmt::format("padding in depth, kernel depth {}", slice.tap);
    }
  }

  std::string Sentence() const {
    std::string at;
    for (const auto i : spatial_) at += (at.empty() ? "" : ", ") + std::to_string(i);
    const auto explanation =
        Explain(request_.problem, request_.output_index, {}, {.max_contributions = 0});
    const std::int64_t channels = request_.problem.input_channels() / request_.problem.groups();
    return fmt::format(
        "Left the input with the kernel placed for output element ({}), right the output. The "
        "element is the sum of {} products in each of {} input channels; {} taps of each find no "
        "input.",
        at, explanation->contribution_count / channels, channels,
        explanation->padded_taps / channels);
  }

  void Text(int x, int y, std::string_view text, std::string_view kind) {
    body_ +=
        fmt::format("<text class=\"{}\" x=\"{}\" y=\"{}\">{}</text>\n", kind, x, y, Escaped(text));
  }

  void Box(int x, int y, std::string_view kind) {
    body_ += fmt::format("<rect class=\"{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>\n",
                         kind, x, y, kCell, kCell);
  }

  void Cross(int x, int y, int size) {
    body_ += fmt::format("<path class=\"cross\" d=\"M{0} {1}l{2} {2}M{3} {1}l-{2} {2}\"/>\n",
                         x + size / 4, y + size / 4, size / 2, x + size / 4 + size / 2);
  }

  void Dot(int x, int y) {
    body_ += fmt::format("<circle class=\"dot\" cx=\"{}\" cy=\"{}\" r=\"2\"/>\n", x, y);
  }

  // `slice` is the depth of three axes.
  void DrawSource(int left, int top, const SourceCell* slice) {
    const AxisPicture& rows = pictures_[pictures_.size() - 2];
    const AxisPicture& columns = pictures_.back();
    struct Bounds {
      int first = -1, last = -1;
      void Add(int i) {
        if (first < 0) first = i;
        last = i;
      }
    } across, down;
    for (std::size_t r = 0; r < rows.source.size(); ++r) {
      if (rows.source[r].in_window) down.Add(static_cast<int>(r));
      for (std::size_t c = 0; c < columns.source.size(); ++c) {
        DrawSourceCell(left + static_cast<int>(c) * kCell, top + static_cast<int>(r) * kCell,
                       {slice, &rows.source[r], &columns.source[c]});
      }
    }
    for (std::size_t c = 0; c < columns.source.size(); ++c) {
      if (columns.source[c].in_window) across.Add(static_cast<int>(c));
    }
    if (across.first < 0 || down.first < 0) return;
    body_ +=
        fmt::format("<rect class=\"window\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>\n",
                    left + across.first * kCell, top + down.first * kCell,
                    (across.last - across.first + 1) * kCell, (down.last - down.first + 1) * kCell);
  }

  void DrawSourceCell(int x, int y, const std::array<const SourceCell*, 3>& cells) {
    SourceKind kind = SourceKind::kInput;
    bool tap = true, unused = false;
    Shape input, taps;
    for (const SourceCell* cell : cells) {
      if (cell == nullptr) continue;
      kind = Combined(kind, cell->kind);
      tap = tap && cell->tap >= 0;
      unused = unused || cell->unused;
      input.push_back(cell->input);
      taps.push_back(cell->tap);
    }
    if (pictures_.size() > request_.problem.axes().size()) {  // one axis
      input.erase(input.begin());
      taps.erase(taps.begin());
    }
    if (kind == SourceKind::kGap) {
      Text(x + kCell / 2, y + kCell / 2, "\u2026", "");
      return;
    }
    std::string_view name = "input";
    Occurs occurs = kInput;
    if (kind == SourceKind::kPadding) name = "padding", occurs = tap ? kMiss : kPadding;
    if (kind == SourceKind::kHole) name = "hole", occurs = tap ? kMiss : kHole;
    if (kind == SourceKind::kRepeat) name = "repeat", occurs = kRepeat;
    const bool reads = kind == SourceKind::kInput || kind == SourceKind::kRepeat;
    if (kind == SourceKind::kInput && unused) occurs = kUnused;
    if (reads && tap) occurs_[kTapOnInput] = true;
    occurs_[occurs] = occurs_[occurs] || !(reads && tap) || occurs == kRepeat;
    Box(x, y, fmt::format("{}{}", name, tap ? " tap" : ""));
    if (kind == SourceKind::kInput && unused) Box(x, y, "unused");
    if (kind == SourceKind::kHole && !tap) Dot(x + kCell / 2, y + kCell / 2);
    const std::string_view ink = tap && reads ? "on" : "";
    if (reads) {
      if (const auto value = InputValue(request_, 0, input)) {
        Text(x + kCell / 2, y + kCell / 2 - (tap ? 3 : 0), Number(*value), ink);
      }
    }
    if (tap) {
      if (const auto value = WeightValue(request_, 0, taps)) {
        Text(x + kCell / 2 + 5, y + kCell - 7, "\u00d7" + Number(*value),
             reads ? "small on" : "small");
      }
    }
  }

  void DrawOutput(int left, int top) {
    const AxisPicture& rows = pictures_[pictures_.size() - 2];
    const AxisPicture& columns = pictures_.back();
    std::int64_t slice_taps = 1;
    if (request_.problem.axes().size() == 3) {
      for (const OutputCell& cell : pictures_[0].output) {
        if (cell.selected) slice_taps = cell.taps;
      }
    }
    const bool values =
        HasValues() &&
        work_per_output_ * static_cast<std::int64_t>(rows.output.size() * columns.output.size()) <
            kMaxWork;
    for (std::size_t r = 0; r < rows.output.size(); ++r) {
      for (std::size_t c = 0; c < columns.output.size(); ++c) {
        const OutputCell &row = rows.output[r], &column = columns.output[c];
        const int x = left + static_cast<int>(c) * kCell, y = top + static_cast<int>(r) * kCell;
        const OutputKind kind = Combined(row.kind, column.kind);
        if (kind == OutputKind::kGap) {
          Text(x + kCell / 2, y + kCell / 2, "\u2026", "");
          continue;
        }
        const std::int64_t taps = slice_taps * row.taps * column.taps;
        const bool chosen = row.selected && column.selected;
        if (kind == OutputKind::kCropped) {
          occurs_[kCropped] = true;
          Box(x, y, "cropped");
          Cross(x, y, kCell);
          continue;
        }
        occurs_[kRevealed] = occurs_[kRevealed] || kind == OutputKind::kRevealed;
        occurs_[kBare] = occurs_[kBare] || taps == 0;
        const bool revealed = kind == OutputKind::kRevealed;
        Box(x, y,
            fmt::format("{}{}{}", revealed ? "revealed " : "", taps == 0 ? "none" : "output",
                        chosen ? " chosen" : ""));
        const std::string_view ink = chosen ? "chosen-ink" : "";
        if (values) {
          Text(x + kCell / 2, y + kCell / 2 - 3, Number(OutputValue(row, column)), ink);
          Text(x + kCell - 7, y + kCell - 6, std::to_string(taps),
               chosen ? "small chosen-ink" : "small");
        } else {
          Text(x + kCell / 2, y + kCell / 2, std::to_string(taps), ink);
        }
      }
    }
  }

  bool HasValues() const {
    const auto has = [](const std::optional<TensorView>& t) { return t && t->data != nullptr; };
    return has(request_.operands.input) && has(request_.operands.weight);
  }

  double OutputValue(const OutputCell& row, const OutputCell& column) const {
    Shape index = request_.output_index;
    const bool channels_last = request_.problem.tensor_layout() == TensorLayout::kChannelsLast;
    const std::size_t last = index.size() - (channels_last ? 2 : 1);
    index[last] = column.position;
    if (request_.problem.axes().size() > 1) index[last - 1] = row.position;
    const auto explanation =
        Explain(request_.problem, index, request_.operands, {.max_contributions = 0});
    return explanation.ok() ? explanation->value : 0;
  }

  void DrawLegend(int& y) {
    struct Entry {
      Occurs occurs;
      std::string_view kind;
      std::string_view text;
    };
    static constexpr Entry kEntries[] = {
        {kTapOnInput, "input tap", "input that a tap of the kernel reads"},
        {kInput, "input", "input"},
        {kUnused, "unused", "input that reaches no output"},
        {kPadding, "padding", "padding"},
        {kRepeat, "repeat", "padding that repeats an input"},
        {kHole, "hole", "hole between strides"},
        {kMiss, "padding tap", "tap that finds no input"},
        {kBare, "none", "output that no input reaches"},
        {kRevealed, "revealed output", "output that output padding adds"},
        {kCropped, "cropped", "cropped by the padding"},
    };
    for (const Entry& entry : kEntries) {
      if (!occurs_[entry.occurs]) continue;
      body_ += fmt::format("<rect class=\"{}\" x=\"{}\" y=\"{}\" width=\"16\" height=\"16\"/>\n",
                           entry.kind, kMargin, y);
      if (entry.occurs == kHole) Dot(kMargin + 8, y + 8);
      if (entry.occurs == kCropped) Cross(kMargin, y, 16);
      Text(kMargin + 26, y + 8, entry.text, "label");
      y += 24;
    }
  }

  const DrawingRequest& request_;
  const Shape spatial_;
  std::vector<AxisPicture> pictures_;
  std::int64_t work_per_output_ = 1;
  std::array<bool, kCount> occurs_ = {};
  std::string body_;
};

}  // namespace

absl::StatusOr<std::string> DrawSvg(const DrawingRequest& request) {
  const auto checked = Checked(request);
  if (!checked.ok()) return checked.status();
  return Drawing(*checked).Render();
}

}  // namespace convserve
