#include "tests/support/golden.h"

#include <fstream>
#include <map>
#include <stdexcept>
#include <type_traits>

#include "nlohmann/json.hpp"
#include "tests/support/tensors.h"

namespace convserve::testing {
namespace {

using Json = nlohmann::json;

AxisList ToAxisList(const Json& json) {
  AxisList list;
  for (const Json& entry : json) list.push_back(entry.get<std::int64_t>());
  return list;
}

Tensor ToTensor(const Json& json) {
  const std::optional<DataType> type = ParseDataType(json.at("type").get<std::string>());
  if (!type) throw std::runtime_error("unknown type " + json.at("type").dump());
  Shape shape;
  for (const Json& size : json.at("shape")) shape.push_back(size.get<std::int64_t>());
  return MakeTensor(*type, shape, json.at("values").get<std::vector<double>>());
}

const std::map<std::string, AutoPad> kAutoPads = {{"valid", AutoPad::kValid},
                                                  {"same_upper", AutoPad::kSameUpper},
                                                  {"same_lower", AutoPad::kSameLower}};
const std::map<std::string, PaddingMode> kPaddingModes = {{"zeros", PaddingMode::kZeros},
                                                          {"reflect", PaddingMode::kReflect},
                                                          {"replicate", PaddingMode::kReplicate},
                                                          {"circular", PaddingMode::kCircular}};
const std::map<std::string, TensorLayout> kTensorLayouts = {
    {"channels_last", TensorLayout::kChannelsLast}};
const std::map<std::string, WeightLayout> kWeightLayouts = {
    {"channels_last", WeightLayout::kChannelsLast}};

template <typename Parameters>
Parameters ToParameters(const Json& json) {
  constexpr bool kTransposed = std::is_same_v<Parameters, ConvTransposeParameters>;
  Parameters parameters;
  for (const auto& item : json.items()) {
    const std::string& field = item.key();
    const Json& value = item.value();
    if (field == "stride") {
      parameters.stride = ToAxisList(value);
    } else if (field == "dilation") {
      parameters.dilation = ToAxisList(value);
    } else if (field == "padding") {
      parameters.padding = ToAxisList(value);
    } else if (field == "auto_pad") {
      parameters.auto_pad = kAutoPads.at(value);
    } else if (field == "groups") {
      parameters.groups = value.get<std::int64_t>();
    } else if (field == "flip_kernel") {
      parameters.flip_kernel = value.get<bool>();
    } else if (field == "tensor_layout") {
      parameters.tensor_layout = kTensorLayouts.at(value);
    } else if (field == "weight_layout") {
      parameters.weight_layout = kWeightLayouts.at(value);
    } else if constexpr (kTransposed) {
      if (field == "output_padding") {
        parameters.output_padding = ToAxisList(value);
      } else if (field == "output_size") {
        parameters.output_size = ToAxisList(value);
      } else {
        throw std::runtime_error("unknown parameter " + field);
      }
    } else if (field == "padding_mode") {
      parameters.padding_mode = kPaddingModes.at(value);
    } else {
      throw std::runtime_error("unknown parameter " + field);
    }
  }
  return parameters;
}

GoldenCase ToCase(const Json& json) {
  GoldenCase golden;
  golden.name = json.at("name");
  golden.input = ToTensor(json.at("input"));
  golden.weight = ToTensor(json.at("weight"));
  if (json.contains("bias")) golden.bias = ToTensor(json.at("bias"));
  if (json.at("operation") == "conv") {
    golden.parameters = ToParameters<ConvParameters>(json.at("parameters"));
  } else {
    golden.parameters = ToParameters<ConvTransposeParameters>(json.at("parameters"));
  }
  if (json.contains("output_type")) {
    golden.output_type = ParseDataType(json.at("output_type").get<std::string>()).value();
  }
  golden.expected = ToTensor(json.at("output"));
  if (json.contains("magnitude")) {
    golden.magnitude = json.at("magnitude").get<std::vector<double>>();
  }
  return golden;
}

TensorSpec SpecOf(const Tensor& tensor) {
  return {tensor.data_type(), tensor.shape(), tensor.byte_count()};
}

}  // namespace

Operands GoldenCase::operands() const {
  Operands operands{.input = input.view(), .weight = weight.view(), .bias = std::nullopt};
  if (bias) operands.bias = bias->view();
  return operands;
}

ProblemSpec GoldenCase::spec() const {
  ProblemSpec spec{.input = SpecOf(input),
                   .weight = SpecOf(weight),
                   .bias = std::nullopt,
                   .parameters = parameters,
                   .output_type = output_type};
  if (bias) spec.bias = SpecOf(*bias);
  return spec;
}

std::vector<GoldenCase> ReadGoldenFile(const std::string& file_name) {
  const std::string path = std::string(CONVSERVE_TEST_DATA) + "/golden/" + file_name;
  std::ifstream in(path);
  if (!in) throw std::runtime_error("cannot read " + path);
  const Json file = Json::parse(in);
  std::vector<GoldenCase> cases;
  for (const Json& record : file.at("cases")) cases.push_back(ToCase(record));
  return cases;
}

}  // namespace convserve::testing
