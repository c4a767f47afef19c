// The requests that a client sends.
#include <variant>

#include "convserve/v1/convolution.pb.h"
#include "proto/convert.h"

namespace convserve {
namespace {

using Integers = google::protobuf::RepeatedField<std::int64_t>;

void Assign(absl::Span<const std::int64_t> list, Integers* integers) {
  integers->Assign(list.begin(), list.end());
}

v1::Tensor TensorOf(const TensorSpec& spec, const std::optional<TensorView>& elements) {
  if (elements) return ToProto(*elements);
  return HeadToProto(spec.data_type, spec.shape);
}

}  // namespace

v1::DescribeRequest ToDescribeRequest(const ProblemSpec& spec) {
  v1::DescribeRequest request;
  Assign(spec.input.shape, request.mutable_input_shape());
  Assign(spec.weight.shape, request.mutable_weight_shape());
  if (spec.bias) Assign(spec.bias->shape, request.mutable_bias_shape());
  request.set_input_type(ToProto(spec.input.data_type));
  request.set_weight_type(ToProto(spec.weight.data_type));
  request.set_output_type(ToProto(spec.output_type));
  if (const auto* conv = std::get_if<ConvParameters>(&spec.parameters)) {
    *request.mutable_conv() = ToProto(*conv);
  } else {
    *request.mutable_conv_transpose() = ToProto(std::get<ConvTransposeParameters>(spec.parameters));
  }
  return request;
}

v1::ExplainRequest ToExplainRequest(const ProblemSpec& spec,
                                    absl::Span<const std::int64_t> output_index,
                                    const ExplainOperands& operands) {
  v1::ExplainRequest request;
  const auto fill = [&](auto* operation, const auto& parameters) {
    *operation->mutable_input() = TensorOf(spec.input, operands.input);
    *operation->mutable_weight() = TensorOf(spec.weight, operands.weight);
    if (spec.bias) *operation->mutable_bias() = TensorOf(*spec.bias, operands.bias);
    *operation->mutable_parameters() = ToProto(parameters);
    operation->set_output_type(ToProto(spec.output_type));
  };
  if (const auto* conv = std::get_if<ConvParameters>(&spec.parameters)) {
    fill(request.mutable_conv(), *conv);
  } else {
    fill(request.mutable_conv_transpose(), std::get<ConvTransposeParameters>(spec.parameters));
  }
  Assign(output_index, request.mutable_output_index());
  return request;
}

}  // namespace convserve
