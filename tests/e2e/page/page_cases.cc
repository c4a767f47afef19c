// Writes what the tests of the HTML page compare it with:
//
//   page_cases FOLDER
//
//   FOLDER/page.html    a page as `convctl explain --draw` writes it
//   FOLDER/cases.json   random problems and what the core says of them
//   FOLDER/walks.json   problems to set on the page, and every element of their outputs; the first
//   is the page's own
#include <algorithm>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "client/explain/page.h"
#include "client/explain/words.h"
#include "core/convolve.h"
#include "core/describe.h"
#include "core/explain.h"

namespace convserve {
namespace {

using Json = nlohmann::json;

constexpr int kCases = 6000;

struct Parameters {
  Operation operation = Operation::kConv;
  PaddingMode mode = PaddingMode::kZeros;
  bool flip = false;
  std::vector<Axis> axes;
};

ProblemSpec SpecOf(const Parameters& parameters) {
  ProblemSpec spec;
  spec.input = {DataType::kFloat64, {1, 1}, {}};
  spec.weight = {DataType::kFloat64, {1, 1}, {}};
  AxisList stride, dilation, begin, end, output_padding;
  for (const Axis& axis : parameters.axes) {
    spec.input.shape.push_back(axis.input);
    spec.weight.shape.push_back(axis.kernel);
    stride.push_back(axis.stride);
    dilation.push_back(axis.dilation);
    begin.push_back(axis.padding_begin);
    end.push_back(axis.padding_end);
    output_padding.push_back(axis.output_padding);
  }
  AxisList padding = begin;
  padding.insert(padding.end(), end.begin(), end.end());
  if (parameters.operation == Operation::kConv) {
    ConvParameters conv;
    conv.stride = stride;
    conv.dilation = dilation;
    conv.padding = padding;
    conv.padding_mode = parameters.mode;
    conv.flip_kernel = parameters.flip;
    spec.parameters = conv;
  } else {
    ConvTransposeParameters transpose;
    transpose.stride = stride;
    transpose.dilation = dilation;
    transpose.padding = padding;
    transpose.output_padding = output_padding;
    transpose.flip_kernel = parameters.flip;
    spec.parameters = transpose;
  }
  return spec;
}

Json JsonOf(const Parameters& parameters) {
  constexpr const char* kModes[] = {"zeros", "zeros", "reflect", "replicate", "circular"};
  Json json = {{"operation", parameters.operation == Operation::kConv ? "conv" : "conv-transpose"},
               {"mode", kModes[static_cast<std::size_t>(parameters.mode)]},
               {"flip", parameters.flip},
               {"axes", Json::array()}};
  for (const Axis& axis : parameters.axes) {
    json["axes"].push_back({{"n", axis.input},
                            {"k", axis.kernel},
                            {"s", axis.stride},
                            {"d", axis.dilation},
                            {"pl", axis.padding_begin},
                            {"pr", axis.padding_end},
                            {"op", axis.output_padding}});
  }
  return json;
}

// The page's own small whole numbers.
Tensor Numbers(const Shape& shape, std::int64_t modulus) {
  Tensor tensor(DataType::kFloat64, shape);
  for (std::int64_t i = 0; i < tensor.size(); ++i) {
    tensor.As<double>()[i] = static_cast<double>(i % modulus + 1);
  }
  return tensor;
}

Json PositionsOf(const PositionList& positions) {
  Json all = Json::array();
  for (const Interval range : positions.ranges) {
    for (std::int64_t i = range.min; i <= range.max; ++i) all.push_back(i);
  }
  return all;
}

Json Described(const Problem& problem, std::size_t a) {
  const AxisDescription axis = DescribeAxis(problem, a);
  return {{"o", axis.axis.output},
          {"ek", axis.axis.effective_kernel()},
          {"unused_inputs", axis.unused_inputs},
          {"uncovered_outputs", axis.uncovered_outputs},
          {"min_overlap", axis.min_overlap},
          {"max_overlap", axis.max_overlap},
          {"restoring_output_padding", axis.restoring_output_padding},
          {"smallest_input_with_this_output", axis.smallest_input_with_this_output},
          {"largest_input_with_this_output", axis.largest_input_with_this_output},
          {"unused", PositionsOf(UnusedInputs(problem, a, 1000))},
          {"uncovered", PositionsOf(UncoveredOutputs(problem, a, 1000))}};
}

Json ListOf(const Shape& index) {
  return Json(std::vector<std::int64_t>(index.begin() + 2, index.end()));
}

class Random {
 public:
  std::int64_t Below(std::int64_t bound) {
    return std::uniform_int_distribution<std::int64_t>(0, bound - 1)(engine_);
  }

  Parameters Next() {
    Parameters parameters;
    parameters.operation = Below(2) == 0 ? Operation::kConv : Operation::kConvTranspose;
    if (parameters.operation == Operation::kConv) {
      parameters.mode = static_cast<PaddingMode>(1 + Below(4));
    }
    parameters.flip = Below(3) == 0;
    const std::int64_t axes = 1 + Below(3);
    for (std::int64_t a = 0; a < axes; ++a) {
      Axis axis = {.input = 1 + Below(axes == 1 ? 40 : 8),
                   .kernel = 1 + Below(axes == 1 ? 7 : 4),
                   .stride = 1 + Below(5),
                   .dilation = 1 + Below(4),
                   .padding_begin = Below(5),
                   .padding_end = Below(5)};
      if (parameters.operation == Operation::kConvTranspose) axis.output_padding = Below(5);
      parameters.axes.push_back(axis);
    }
    return parameters;
  }

 private:
  std::mt19937 engine_{2024};
};

Json MakeCase(const Parameters& parameters, Random& random) {
  Json json = {{"problem", JsonOf(parameters)}};
  const ProblemSpec spec = SpecOf(parameters);
  const auto problem = MakeProblem(spec);
  json["accepted"] = problem.ok();
  if (!problem.ok()) return json;
  const Tensor input = Numbers(spec.input.shape, 9), weight = Numbers(spec.weight.shape, 4);
  Shape index(problem->output_shape().size(), 0);
  for (std::size_t a = 0; a < parameters.axes.size(); ++a) {
    json["axes"].push_back(Described(*problem, a));
    index[a + 2] = random.Below(problem->axes()[a].output);
  }
  const auto explanation =
      Explain(*problem, index, {.input = input.view(), .weight = weight.view()},
              {.max_contributions = 1'000'000});
  json["at"] = ListOf(index);
  json["value"] = explanation->value;
  json["padded"] = explanation->padded_taps;
  json["pairs"] = Json::array();
  for (const Contribution& c : explanation->contributions) {
    json["pairs"].push_back({ListOf(c.input_index), ListOf(c.weight_index)});
  }
  return json;
}

Json Walk(const Parameters& parameters, const Tensor& input, const Tensor& weight) {
  const Operands operands = {input.view(), weight.view(), {}};
  const ProblemSpec spec = SpecOf(parameters);
  const auto* const conv = std::get_if<ConvParameters>(&spec.parameters);
  const auto output =
      conv != nullptr ? Conv(operands, *conv)
                      : ConvTranspose(operands, std::get<ConvTransposeParameters>(spec.parameters));
  Json json = {{"problem", JsonOf(parameters)}, {"outputs", Json::array()}};
  for (std::int64_t i = 0; i < output->size(); ++i) {
    json["outputs"].push_back(output->As<double>()[i]);
  }
  return json;
}

int Main(const std::string& folder) {
  Random random;
  Json cases = Json::array();
  for (int i = 0; i < kCases; ++i) cases.push_back(MakeCase(random.Next(), random));

  // The page starts with elements of its own, which differ from those that it makes up.
  Parameters start = {
      .operation = Operation::kConvTranspose,
      .axes = {{.input = 4, .kernel = 4, .stride = 2, .padding_begin = 1, .padding_end = 1},
               {.input = 4, .kernel = 4, .stride = 2, .padding_begin = 1, .padding_end = 1}}};
  const ProblemSpec spec = SpecOf(start);
  const auto problem = MakeProblem(spec);
  const Tensor ones = Numbers(spec.input.shape, 1), weight = Numbers(spec.weight.shape, 16);
  const auto page = DrawPage({.problem = *problem,
                              .output_index = {0, 0, 0, 1},
                              .operands = {.input = ones.view(), .weight = weight.view()}});
  if (!page.ok()) {
    std::cerr << page.status() << '\n';
    return 1;
  }
  Json walks = {Walk(start, ones, weight)};
  const Parameters changed[] = {
      {.axes = {{.input = 5, .kernel = 3, .stride = 2, .padding_begin = 1, .padding_end = 1},
                {.input = 7, .kernel = 3, .dilation = 2, .padding_begin = 2, .padding_end = 0}}},
      {.mode = PaddingMode::kReflect,
       .flip = true,
       .axes = {{.input = 4, .kernel = 2, .padding_begin = 3, .padding_end = 1},
                {.input = 6, .kernel = 4, .stride = 3, .padding_begin = 2, .padding_end = 2}}},
      {.operation = Operation::kConvTranspose,
       .axes = {{.input = 3, .kernel = 2, .stride = 4, .output_padding = 2},
                {.input = 2,
                 .kernel = 3,
                 .stride = 2,
                 .dilation = 2,
                 .padding_begin = 1,
                 .padding_end = 2,
                 .output_padding = 1}}}};
  for (const Parameters& parameters : changed) {
    const ProblemSpec made_up = SpecOf(parameters);
    walks.push_back(
        Walk(parameters, Numbers(made_up.input.shape, 9), Numbers(made_up.weight.shape, 4)));
  }
  std::ofstream(folder + "/page.html") << *page;
  std::ofstream(folder + "/cases.json") << cases;
  std::ofstream(folder + "/walks.json") << walks;
  return 0;
}

}  // namespace
}  // namespace convserve

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: page_cases FOLDER\n";
    return 2;
  }
  return convserve::Main(argv[1]);
}
