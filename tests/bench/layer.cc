#include "tests/bench/layer.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <string_view>
#include <system_error>

#include "fmt/format.h"

namespace convserve::bench {
namespace {

constexpr std::string_view kHeader = "name,class,op,N,C,in,K,k,s,p,d,outpad,g";

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(separator, begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

bool ParseNumber(std::string_view text, std::int64_t& number) {
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && rest == end;
}

bool ParseAxes(std::string_view text, AxisList& axes) {
  for (const std::string_view part : Split(text, 'x')) {
    if (!ParseNumber(part, axes.emplace_back())) return false;
  }
  return true;
}

bool ParseRow(std::string_view line, Layer& layer) {
  const std::vector<std::string_view> cells = Split(line, ',');
  if (cells.size() != 13 || (cells[2] != "conv" && cells[2] != "deconv")) return false;
  layer.name = cells[0];
  layer.class_name = cells[1];
  layer.transposed = cells[2] == "deconv";
  return ParseNumber(cells[3], layer.batch) && ParseNumber(cells[4], layer.input_channels) &&
         ParseAxes(cells[5], layer.input) && ParseNumber(cells[6], layer.output_channels) &&
         ParseAxes(cells[7], layer.kernel) && ParseAxes(cells[8], layer.stride) &&
         ParseAxes(cells[9], layer.padding) && ParseAxes(cells[10], layer.dilation) &&
         ParseAxes(cells[11], layer.output_padding) && ParseNumber(cells[12], layer.groups);
}

}  // namespace

absl::StatusOr<std::vector<Layer>> ReadLayers(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line) || line != kHeader) {
    return absl::InvalidArgumentError(
        fmt::format("{}:1: expected the header {}, got \"{}\"", path, kHeader, line));
  }
  std::vector<Layer> layers;
  for (int number = 2; std::getline(file, line); ++number) {
    if (!ParseRow(line, layers.emplace_back())) {
      return absl::InvalidArgumentError(
          fmt::format("{}:{}: expected {}, got \"{}\"", path, number, kHeader, line));
    }
  }
  return layers;
}

absl::StatusOr<Problem> MakeLayerProblem(const Layer& layer, const ElementTypes& types,
                                         TensorLayout layout) {
  ProblemSpec spec;
  spec.input.data_type = types.input;
  spec.weight.data_type = types.weight;
  spec.output_type = types.output;
  Shape& input = spec.input.shape;
  input = {layer.batch, layer.input_channels};
  input.insert(layout == TensorLayout::kChannelsLast ? input.end() - 1 : input.end(),
               layer.input.begin(), layer.input.end());
  spec.weight.shape = layer.transposed
                          ? Shape{layer.input_channels, layer.output_channels / layer.groups}
                          : Shape{layer.output_channels, layer.input_channels / layer.groups};
  spec.weight.shape.insert(spec.weight.shape.end(), layer.kernel.begin(), layer.kernel.end());
  const auto common = [&](auto parameters) {
    parameters.stride = layer.stride;
    parameters.dilation = layer.dilation;
    parameters.padding = layer.padding;
    parameters.groups = layer.groups;
    parameters.tensor_layout = layout;
    return parameters;
  };
  if (layer.transposed) {
    ConvTransposeParameters parameters = common(ConvTransposeParameters{});
    parameters.output_padding = layer.output_padding;
    spec.parameters = parameters;
  } else {
    spec.parameters = common(ConvParameters{});
  }
  return MakeProblem(spec);
}

}  // namespace convserve::bench
