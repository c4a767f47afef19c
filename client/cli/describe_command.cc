#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "client/cli/command.h"
#include "client/cli/convolution_arguments.h"
#include "client/cli/exit_code.h"
#include "client/cli/render.h"
#include "core/problem.h"
#include "fmt/format.h"

namespace convserve::cli {
namespace {

struct DescribeOptions {
  ConvolutionArguments conv;
  ConvolutionArguments transpose;
  CLI::App* transpose_app = nullptr;
};

struct Row {
  std::string_view label;
  std::string_view json;
  std::int64_t (*value)(const AxisDescription& axis);
};

constexpr Row kRows[] = {
    {"input size", "input_size", [](const AxisDescription& a) { return a.axis.input; }},
    {"output size", "output_size", [](const AxisDescription& a) { return a.axis.output; }},
    {"kernel size", "kernel_size", [](const AxisDescription& a) { return a.axis.kernel; }},
    {"effective kernel size", "effective_kernel_size",
     [](const AxisDescription& a) { return a.axis.effective_kernel(); }},
    {"stride", "stride", [](const AxisDescription& a) { return a.axis.stride; }},
    {"dilation", "dilation", [](const AxisDescription& a) { return a.axis.dilation; }},
    {"padding at the beginning", "padding_begin",
     [](const AxisDescription& a) { return a.axis.padding_begin; }},
    {"padding at the end", "padding_end",
     [](const AxisDescription& a) { return a.axis.padding_end; }},
    {"output padding", "output_padding",
     [](const AxisDescription& a) { return a.axis.output_padding; }},
    {"inputs that reach no output", "unused_inputs",
     [](const AxisDescription& a) { return a.unused_inputs; }},
    {"outputs that no input reaches", "uncovered_outputs",
     [](const AxisDescription& a) { return a.uncovered_outputs; }},
    {"fewest taps of an output", "min_overlap",
     [](const AxisDescription& a) { return a.min_overlap; }},
    {"most taps of an output", "max_overlap",
     [](const AxisDescription& a) { return a.max_overlap; }},
    {"output padding that restores", "restoring_output_padding",
     [](const AxisDescription& a) { return a.restoring_output_padding; }},
    {"smallest input with this output", "smallest_input_with_this_output",
     [](const AxisDescription& a) { return a.smallest_input_with_this_output; }},
    {"largest input with this output", "largest_input_with_this_output",
     [](const AxisDescription& a) { return a.largest_input_with_this_output; }},
};

void PrintText(std::ostream& out, const ConvolutionRequest& request,
               const Description& description) {
  for (const std::string& note : request.notes) out << note << '\n';
  out << fmt::format("output  {} {}\n\n", Name(description.output_type),
                     ToString(description.output_shape));
  constexpr std::string_view kAxes[] = {"depth", "height", "width"};
  const std::size_t count = std::min(description.axes.size(), std::size(kAxes));
  out << fmt::format("{:<32}", "");
  for (std::size_t i = 0; i < count; ++i) {
    out << fmt::format("{:>14}", kAxes[std::size(kAxes) - count + i]);
  }
  out << '\n';
  for (const Row& row : kRows) {
    out << fmt::format("{:<32}", row.label);
    for (const AxisDescription& axis : description.axes) {
      out << fmt::format("{:>14}", FormatCount(row.value(axis)));
    }
    out << '\n';
  }
  out << fmt::format("\n{} multiply-adds by {}\n", FormatCount(description.multiply_adds),
                     description.algorithm)
      << fmt::format("input {}, weight {}, output {}, workspace {}\n",
                     FormatBytes(description.input_bytes), FormatBytes(description.weight_bytes),
                     FormatBytes(description.output_bytes),
                     FormatBytes(description.workspace_bytes));
}

void PrintJson(std::ostream& out, const Description& description) {
  nlohmann::ordered_json json;
  json["output_shape"] =
      std::vector<std::int64_t>(description.output_shape.begin(), description.output_shape.end());
  json["output_type"] = std::string(Name(description.output_type));
  json["axes"] = nlohmann::ordered_json::array();
  for (const AxisDescription& axis : description.axes) {
    nlohmann::ordered_json entry;
    for (const Row& row : kRows) entry[std::string(row.json)] = row.value(axis);
    json["axes"].push_back(std::move(entry));
  }
  json["multiply_adds"] = description.multiply_adds;
  json["input_bytes"] = description.input_bytes;
  json["weight_bytes"] = description.weight_bytes;
  json["output_bytes"] = description.output_bytes;
  json["workspace_bytes"] = description.workspace_bytes;
  json["algorithm"] = description.algorithm;
  out << json.dump() << '\n';
}

absl::Status Run(const ConvolutionArguments& arguments, Session& session) {
  absl::StatusOr<ConvolutionRequest> request = ReadRequest(arguments, session.in());
  if (!request.ok()) return request.status();
  absl::StatusOr<Description> description =
      session.Run([&](const ConvolutionClient& client, const CallOptions& call) {
        return client.Describe(request->spec(), call);
      });
  if (!description.ok()) return description.status();
  if (session.options().json) {
    PrintJson(session.out(), *description);
  } else {
    PrintText(session.out(), *request, *description);
  }
  return absl::OkStatus();
}

Action Declare(CLI::App& app) {
  auto options = std::make_shared<DescribeOptions>();
  options->transpose.operation = Operation::kConvTranspose;
  CLI::App* const conv = app.add_subcommand("conv", "A convolution")->fallthrough();
  options->transpose_app =
      app.add_subcommand("conv-transpose", "A transposed convolution")->fallthrough();
  AddConvolutionOptions(*conv, options->conv, /*shapes=*/true);
  AddConvolutionOptions(*options->transpose_app, options->transpose, /*shapes=*/true);
  app.require_subcommand(0, 1);
  return [options, &app](Session& session) {
    if (app.get_subcommands().empty()) {
      return UsageError("describe needs conv or conv-transpose behind it");
    }
    return Run(options->transpose_app->parsed() ? options->transpose : options->conv, session);
  };
}

}  // namespace

Command DescribeCommand() {
  return {.name = "describe",
          .summary = "What follows from shapes and parameters alone; nothing is computed",
          .examples = {"convctl --embedded describe conv --input-shape 1,3,224,224 "
                       "--weight-shape 64,3,7,7 --stride 2 --padding 3",
                       "convctl --embedded describe conv-transpose --input-shape 1,8,14,14 "
                       "--weight-shape 8,4,3,3 --stride 2 --padding 1 --output-padding 1"},
          .declare = Declare};
}

}  // namespace convserve::cli
