#include "client/explain/page.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

#include "client/explain/page_files.h"
#include "core/violation.h"
#include "fmt/format.h"

namespace convserve {
namespace {

constexpr std::int64_t kMaxElements = 65536;

using Json = nlohmann::ordered_json;

absl::Status CheckSizes(const Problem& problem) {
  Violations violations;
  const auto check = [&](std::string_view what, std::int64_t most, std::int64_t value) {
    if (value <= most) return;
    violations.push_back(
        {"draw", fmt::format("expected {} of at most {} for an HTML page, got {}; an SVG file has "
                             "no such limit",
                             what, most, value)});
  };
  std::int64_t outputs = 1;
  for (const Axis& axis : problem.axes()) {
    check("an input size", kMaxPageSize, axis.input);
    check("a kernel size", kMaxPageKernel, axis.kernel);
    check("a stride", kMaxPageSize, axis.stride);
    check("a dilation", kMaxPageSize, axis.dilation);
    check("a padding", kMaxPageSize, std::max(axis.padding_begin, axis.padding_end));
    outputs = axis.output > kMaxPageOutputs / outputs ? kMaxPageOutputs + 1 : outputs * axis.output;
  }
  check("an output plane", kMaxPageOutputs, outputs);
  return violations.empty() ? absl::OkStatus() : InvalidArgument(violations);
}

// Row-major over all `sizes`: the value of each position, or null where one is missing.
template <typename Value>
Json Elements(std::int64_t channels, const Shape& sizes, Value&& value) {
  std::int64_t count = channels;
  for (const std::int64_t size : sizes) count = count > kMaxElements ? count : count * size;
  if (count > kMaxElements) return nullptr;
  Json elements = Json::array();
  Shape position(sizes.size(), 0);
  for (std::int64_t channel = 0; channel < channels; ++channel) {
    for (std::size_t a = 0; a != sizes.size() + 1;) {
      const std::optional<double> element = value(channel, position);
      if (!element.has_value() || !std::isfinite(*element)) return nullptr;  // JSON has no NaN
      elements.push_back(*element);
      for (a = 0; a < sizes.size(); ++a) {
        std::int64_t& moving = position[sizes.size() - 1 - a];
        if (++moving < sizes[sizes.size() - 1 - a]) break;
        moving = 0;
      }
      if (a == sizes.size()) ++a;
    }
  }
  return elements;
}

Json StateOf(const DrawingRequest& request) {
  const Problem& problem = request.problem;
  constexpr std::string_view kModes[] = {"zeros", "zeros", "reflect", "replicate", "circular"};
  Json state;
  state["operation"] = problem.operation() == Operation::kConv ? "conv" : "conv-transpose";
  state["mode"] = kModes[static_cast<std::size_t>(problem.padding_mode())];
  state["flip"] = problem.flip_kernel();
  Shape sizes, kernels;
  for (const Axis& axis : problem.axes()) {
    sizes.push_back(axis.input);
    kernels.push_back(axis.kernel);
    state["axes"].push_back({{"n", axis.input},
                             {"k", axis.kernel},
                             {"s", axis.stride},
                             {"d", axis.dilation},
                             {"pl", axis.padding_begin},
                             {"pr", axis.padding_end},
                             {"op", axis.output_padding}});
  }
  const Shape at = SpatialIndex(problem, request.output_index);
  state["at"] = std::vector<std::int64_t>(at.begin(), at.end());
  const std::int64_t channels = problem.input_channels() / problem.groups();
  Json input = Elements(channels, sizes, [&](std::int64_t channel, const Shape& position) {
    return InputValue(request, channel, position);
  });
  Json weight = Elements(channels, kernels, [&](std::int64_t channel, const Shape& position) {
    Shape taps = position;  // the page keeps elements as they are stored
    for (std::size_t a = 0; a < taps.size(); ++a) {
      if (problem.flip_kernel()) taps[a] = kernels[a] - 1 - taps[a];
    }
    return WeightValue(request, channel, taps);
  });
  const bool all = !input.is_null() && !weight.is_null();
  state["channels"] = all ? channels : 1;
  std::string note;
  if (channels > 1) {
    note = all ? fmt::format("The picture shows the first of {} input channels, the list all.",
                             channels)
               : fmt::format("Shown is one of {} input channels; the others add their products.",
                             channels);
  }
  if (!all) note += note.empty() ? "The values are made up." : " The values are made up.";
  state["note"] = note;
  state["input"] = all ? std::move(input) : Json(nullptr);
  state["weight"] = all ? std::move(weight) : Json(nullptr);
  const auto explanation =
      Explain(problem, request.output_index, request.operands, {.max_contributions = 0});
  state["bias"] = explanation.ok() ? explanation->bias : 0;
  return state;
}

void Fill(std::string& text, std::string_view place, std::string_view with) {
  const std::size_t at = text.find(place);
  text.replace(at, place.size(), with);
}

}  // namespace

absl::StatusOr<std::string> DrawPage(const DrawingRequest& request) {
  if (const absl::Status status = CheckSizes(request.problem); !status.ok()) return status;
  const auto checked = Checked(request);
  if (!checked.ok()) return checked.status();
  std::string text(page::kPage);
  Fill(text, "{{STYLE}}", page::kStyle);
  Fill(text, "{{STATE}}", StateOf(*checked).dump());
  Fill(text, "{{ARITHMETIC}}", page::kArithmetic);
  Fill(text, "{{PICTURE}}", page::kPicture);
  Fill(text, "{{PAGE}}", page::kScript);
  return text;
}

std::string_view PageArithmetic() { return page::kArithmetic; }

}  // namespace convserve
