#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/cli/command.h"
#include "client/cli/convolution_arguments.h"
#include "client/cli/drawing.h"
#include "client/cli/exit_code.h"
#include "client/cli/render.h"
#include "client/cli/text.h"
#include "client/explain/frameworks.h"
#include "client/explain/words.h"
#include "core/problem.h"
#include "fmt/format.h"

namespace convserve::cli {
namespace {

struct DescribeOptions {
  std::optional<DrawingTarget> drawing;
  ConvolutionArguments conv;
  ConvolutionArguments transpose;
  CLI::App* transpose_app = nullptr;
};

struct Field {
  std::string_view name;  // as in the contract
  std::int64_t (*value)(const AxisDescription& axis);
};

constexpr Field kFields[] = {
    {"input_size", [](const AxisDescription& a) { return a.axis.input; }},
    {"output_size", [](const AxisDescription& a) { return a.axis.output; }},
    {"kernel_size", [](const AxisDescription& a) { return a.axis.kernel; }},
    {"effective_kernel_size", [](const AxisDescription& a) { return a.axis.effective_kernel(); }},
    {"stride", [](const AxisDescription& a) { return a.axis.stride; }},
    {"dilation", [](const AxisDescription& a) { return a.axis.dilation; }},
    {"padding_begin", [](const AxisDescription& a) { return a.axis.padding_begin; }},
    {"padding_end", [](const AxisDescription& a) { return a.axis.padding_end; }},
    {"output_padding", [](const AxisDescription& a) { return a.axis.output_padding; }},
    {"unused_inputs", [](const AxisDescription& a) { return a.unused_inputs; }},
    {"uncovered_outputs", [](const AxisDescription& a) { return a.uncovered_outputs; }},
    {"min_overlap", [](const AxisDescription& a) { return a.min_overlap; }},
    {"max_overlap", [](const AxisDescription& a) { return a.max_overlap; }},
    {"restoring_output_padding",
     [](const AxisDescription& a) { return a.restoring_output_padding; }},
    {"smallest_input_with_this_output",
     [](const AxisDescription& a) { return a.smallest_input_with_this_output; }},
    {"largest_input_with_this_output",
     [](const AxisDescription& a) { return a.largest_input_with_this_output; }},
};

void PrintText(std::ostream& out, const ConvolutionRequest& request, const Problem& problem,
               const Description& description) {
  for (const std::string& note : request.notes) out << note << '\n';
  out << fmt::format("output  {} {}\n\n", Name(description.output_type),
                     ToString(description.output_shape));
  out << DescribeInWords(problem);
  if (const std::string equal = EqualDirectConvolution(problem); !equal.empty()) {
    out << "\nas a direct convolution\n  " << equal << '\n';
  }
  out << fmt::format("\n{} multiply-adds by {}\n", FormatCount(description.multiply_adds),
                     Printable(description.algorithm))
      << fmt::format("input {}, weight {}, output {}, workspace {}\n",
                     FormatBytes(description.input_bytes), FormatBytes(description.weight_bytes),
                     FormatBytes(description.output_bytes),
                     FormatBytes(description.workspace_bytes));
  out << "\nthe same elsewhere\n";
  for (const FrameworkCall& call : FrameworkCalls(problem)) {
    out << fmt::format("  {:<11} {}\n", call.framework, call.code);
  }
  const std::vector<std::string> warnings = FrameworkWarnings(problem);
  if (!warnings.empty()) out << "\nmind\n";
  for (const std::string& warning : warnings) out << "  - " << warning << '\n';
}

// How many ranges of an axis JSON has at most.
constexpr std::size_t kMostRanges = 1000;

nlohmann::ordered_json Ranges(const PositionList& positions) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const Interval range : positions.ranges) json.push_back({range.min, range.max});
  return json;
}

void PrintJson(std::ostream& out, const Problem& problem, const Description& description) {
  nlohmann::ordered_json json;
  json["output_shape"] =
      std::vector<std::int64_t>(description.output_shape.begin(), description.output_shape.end());
  json["output_type"] = std::string(Name(description.output_type));
  json["axes"] = nlohmann::ordered_json::array();
  for (std::size_t a = 0; a < description.axes.size(); ++a) {
    nlohmann::ordered_json entry;
    for (const Field& field : kFields) {
      entry[std::string(field.name)] = field.value(description.axes[a]);
    }
    entry["size_formula"] = SizeFormula(problem.operation(), problem.axes()[a]);
    const PositionList unused = UnusedInputs(problem, a, kMostRanges);
    const PositionList uncovered = UncoveredOutputs(problem, a, kMostRanges);
    entry["unused_input_ranges"] = Ranges(unused);
    entry["uncovered_output_ranges"] = Ranges(uncovered);
    entry["ranges_truncated"] = unused.more || uncovered.more;
    json["axes"].push_back(std::move(entry));
  }
  json["multiply_adds"] = description.multiply_adds;
  json["input_bytes"] = description.input_bytes;
  json["weight_bytes"] = description.weight_bytes;
  json["output_bytes"] = description.output_bytes;
  json["workspace_bytes"] = description.workspace_bytes;
  json["algorithm"] = description.algorithm;
  if (problem.operation() == Operation::kConvTranspose) {
    json["equal_direct_convolution"] = EqualDirectConvolution(problem);
  }
  for (const FrameworkCall& call : FrameworkCalls(problem)) {
    json["frameworks"][call.framework] = call.code;
  }
  json["warnings"] = FrameworkWarnings(problem);
  out << json.dump() << '\n';
}

absl::Status Run(const ConvolutionArguments& arguments, const std::optional<DrawingTarget>& drawing,
                 Session& session) {
  if (absl::Status status = CheckDrawing(session, drawing); !status.ok()) return status;
  absl::StatusOr<ConvolutionRequest> request = ReadRequest(arguments, session.in());
  if (!request.ok()) return request.status();
  absl::StatusOr<Description> description =
      session.Run([&](const ConvolutionClient& client, const CallOptions& call) {
        return client.Describe(request->spec(), call);
      });
  if (!description.ok()) return description.status();
  // The server's limits were kept.
  const absl::StatusOr<Problem> problem =
      MakeProblem(request->spec(), {.max_output_bytes = std::numeric_limits<std::int64_t>::max()});
  if (!problem.ok()) return problem.status();
  if (session.options().json) {
    PrintJson(session.out(), *problem, *description);
  } else {
    PrintText(session.out(), *request, *problem, *description);
  }
  if (!drawing) return absl::OkStatus();
  return Draw(session, *drawing, {.problem = *problem, .operands = request->explain_operands()});
}

Action Declare(CLI::App& app) {
  auto options = std::make_shared<DescribeOptions>();
  options->transpose.operation = Operation::kConvTranspose;
  CLI::App* const conv = app.add_subcommand("conv", "A convolution")->fallthrough();
  options->transpose_app =
      app.add_subcommand("conv-transpose", "A transposed convolution")->fallthrough();
  AddConvolutionOptions(*conv, options->conv, /*shapes=*/true);
  AddConvolutionOptions(*options->transpose_app, options->transpose, /*shapes=*/true);
  AddDrawOption(*conv, options->drawing);
  AddDrawOption(*options->transpose_app, options->drawing);
  app.require_subcommand(0, 1);
  return [options, &app](Session& session) {
    if (app.get_subcommands().empty()) {
      return UsageError("describe needs conv or conv-transpose behind it");
    }
    return Run(options->transpose_app->parsed() ? options->transpose : options->conv,
               options->drawing, session);
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
