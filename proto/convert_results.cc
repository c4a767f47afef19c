#include "convserve/v1/convolution.pb.h"
#include "proto/convert.h"

namespace convserve {

Execution FromProto(const v1::Execution& message) {
  return {.algorithm = message.algorithm(),
          .instruction_set = message.instruction_set(),
          .queue = std::chrono::nanoseconds(message.queue_nanoseconds()),
          .compute = std::chrono::nanoseconds(message.compute_nanoseconds())};
}

v1::Execution ToProto(const Execution& execution) {
  v1::Execution message;
  message.set_algorithm(execution.algorithm);
  message.set_instruction_set(execution.instruction_set);
  message.set_queue_nanoseconds(execution.queue.count());
  message.set_compute_nanoseconds(execution.compute.count());
  return message;
}

Description FromProto(const v1::DescribeResponse& message, Operation operation) {
  Description description;
  description.operation = operation;
  description.output_shape.assign(message.output_shape().begin(), message.output_shape().end());
  description.output_type = FromProto(message.output_type());
  for (const v1::AxisDescription& axis : message.axes()) {
    description.axes.push_back(
        {.axis = {.input = axis.input_size(),
                  .output = axis.output_size(),
                  .kernel = axis.kernel_size(),
                  .stride = axis.stride(),
                  .dilation = axis.dilation(),
                  .padding_begin = axis.padding_begin(),
                  .padding_end = axis.padding_end(),
                  .output_padding = axis.output_padding()},
         .unused_inputs = axis.unused_inputs(),
         .uncovered_outputs = axis.uncovered_outputs(),
         .min_overlap = axis.min_overlap(),
         .max_overlap = axis.max_overlap(),
         .restoring_output_padding = axis.restoring_output_padding(),
         .smallest_input_with_this_output = axis.smallest_input_with_this_output(),
         .largest_input_with_this_output = axis.largest_input_with_this_output()});
  }
  description.multiply_adds = message.multiply_adds();
  description.input_bytes = message.input_bytes();
  description.weight_bytes = message.weight_bytes();
  description.output_bytes = message.output_bytes();
  description.workspace_bytes = message.workspace_bytes();
  description.algorithm = message.algorithm();
  return description;
}

v1::DescribeResponse ToProto(const Description& description) {
  v1::DescribeResponse message;
  message.mutable_output_shape()->Assign(description.output_shape.begin(),
                                         description.output_shape.end());
  message.set_output_type(ToProto(description.output_type));
  for (const AxisDescription& from : description.axes) {
    v1::AxisDescription* to = message.add_axes();
    to->set_input_size(from.axis.input);
    to->set_output_size(from.axis.output);
    to->set_kernel_size(from.axis.kernel);
    to->set_effective_kernel_size(from.axis.effective_kernel());
    to->set_stride(from.axis.stride);
    to->set_dilation(from.axis.dilation);
    to->set_padding_begin(from.axis.padding_begin);
    to->set_padding_end(from.axis.padding_end);
    to->set_output_padding(from.axis.output_padding);
    to->set_unused_inputs(from.unused_inputs);
    to->set_uncovered_outputs(from.uncovered_outputs);
    to->set_min_overlap(from.min_overlap);
    to->set_max_overlap(from.max_overlap);
    to->set_restoring_output_padding(from.restoring_output_padding);
    to->set_smallest_input_with_this_output(from.smallest_input_with_this_output);
    to->set_largest_input_with_this_output(from.largest_input_with_this_output);
  }
  message.set_multiply_adds(description.multiply_adds);
  message.set_input_bytes(description.input_bytes);
  message.set_weight_bytes(description.weight_bytes);
  message.set_output_bytes(description.output_bytes);
  message.set_workspace_bytes(description.workspace_bytes);
  message.set_algorithm(description.algorithm);
  return message;
}

Explanation FromProto(const v1::ExplainResponse& message) {
  Explanation explanation;
  explanation.contributions.reserve(static_cast<std::size_t>(message.contributions_size()));
  for (const v1::Contribution& from : message.contributions()) {
    explanation.contributions.push_back(
        {.input_index = Shape(from.input_index().begin(), from.input_index().end()),
         .weight_index = Shape(from.weight_index().begin(), from.weight_index().end()),
         .input_value = from.input_value(),
         .weight_value = from.weight_value()});
  }
  explanation.bias = message.bias();
  explanation.value = message.value();
  explanation.padded_taps = message.padded_taps();
  explanation.truncated = message.truncated();
  return explanation;
}

v1::ExplainResponse ToProto(const Explanation& explanation) {
  v1::ExplainResponse message;
  message.mutable_contributions()->Reserve(static_cast<int>(explanation.contributions.size()));
  for (const Contribution& from : explanation.contributions) {
    v1::Contribution* to = message.add_contributions();
    to->mutable_input_index()->Assign(from.input_index.begin(), from.input_index.end());
    to->mutable_weight_index()->Assign(from.weight_index.begin(), from.weight_index.end());
    to->set_input_value(from.input_value);
    to->set_weight_value(from.weight_value);
  }
  message.set_bias(explanation.bias);
  message.set_value(explanation.value);
  message.set_padded_taps(explanation.padded_taps);
  message.set_truncated(explanation.truncated);
  return message;
}

}  // namespace convserve
