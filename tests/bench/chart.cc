#include "tests/bench/chart.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "fmt/format.h"

namespace convserve::bench {
namespace {

constexpr double kWidth = 860;
constexpr double kLabels = 150;  // left of the bars
constexpr double kFigures = 50;  // right of them
constexpr double kHead = 74;
constexpr double kBar = 9;
constexpr double kRow = 2 * kBar + 8;

constexpr std::string_view kPlainColour = "#1f6feb";
constexpr std::string_view kSteadyColour = "#f0883e";

// A logarithmic scale from `low` to `high`, both powers of two.
struct Scale {
  double low;
  double high;
  double x(double ratio) const {
    const double part = std::log2(std::clamp(ratio, low, high) / low) / std::log2(high / low);
    return kLabels + part * (kWidth - kLabels - kFigures);
  }
};

Scale ScaleFor(const std::vector<ClassResult>& rows) {
  double low = 0.5;
  double high = 2;
  for (const ClassResult& row : rows) {
    for (const double ratio : {row.against_plain, row.against_steady}) {
      if (ratio == 0) continue;
      while (ratio < low) low /= 2;
      while (ratio > high) high *= 2;
    }
  }
  return {low, high};
}

struct Bar {
  double ratio;
  double y;
  std::string_view colour;
};

std::string Draw(const Scale& scale, const Bar& bar) {
  if (bar.ratio == 0) return "";
  const double one = scale.x(1);
  const double end = scale.x(bar.ratio);
  return fmt::format(
      "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{}\" fill=\"{}\"/>\n"
      "<text x=\"{:.1f}\" y=\"{:.1f}\" class=\"figure\">{:.2f}</text>\n",
      std::min(one, end), bar.y, std::abs(end - one), kBar, bar.colour, std::max(one, end) + 4,
      bar.y + kBar - 1, bar.ratio);
}

std::string Legend(double x, std::string_view colour, std::string_view text) {
  return fmt::format(
      "<rect x=\"{}\" y=\"34\" width=\"10\" height=\"10\" fill=\"{}\"/>\n"
      "<text x=\"{}\" y=\"43\">{}</text>\n",
      x, colour, x + 15, text);
}

}  // namespace

std::string Chart(const std::vector<Result>& results) {
  const std::vector<ClassResult> rows = ByClass(results);
  const Scale scale = ScaleFor(rows);
  const double bottom = kHead + kRow * static_cast<double>(rows.size());
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" "
      "height=\"{1}\">\n"
      "<style>text {{ font: 12px sans-serif; fill: #24292f }} .title {{ font-weight: bold; "
      "font-size: 14px }} .figure {{ font-size: 10px }} .tick {{ text-anchor: middle }} "
      ".name {{ text-anchor: end }}</style>\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
      "<text x=\"12\" y=\"22\" class=\"title\">Times faster than the best rival, geometric means "
      "by "
      "class of layers</text>\n",
      kWidth, bottom + 12);
  svg += Legend(12, kPlainColour, "plain layouts, everything included");
  svg += Legend(260, kSteadyColour, "rivals in their own layouts, weights prepared beforehand");
  for (double tick = scale.low; tick <= scale.high; tick *= 2) {
    svg += fmt::format(
        "<line x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\" stroke=\"{3}\"/>\n"
        "<text x=\"{0:.1f}\" y=\"{4}\" class=\"tick\">{5}</text>\n",
        scale.x(tick), kHead - 6, bottom, tick == 1 ? "#24292f" : "#d0d7de", kHead - 12, tick);
  }
  double y = kHead;
  for (const ClassResult& row : rows) {
    svg += fmt::format("<text x=\"{}\" y=\"{:.1f}\" class=\"name\">{}</text>\n", kLabels - 10,
                       y + kBar + 4, row.name);
    svg += Draw(scale, {row.against_plain, y, kPlainColour});
    svg += Draw(scale, {row.against_steady, y + kBar, kSteadyColour});
    y += kRow;
  }
  return svg + "</svg>\n";
}

}  // namespace convserve::bench
