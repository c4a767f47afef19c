#include <cmath>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "client/cli/argument_syntax.h"
#include "client/cli/command.h"
#include "client/cli/convolution_arguments.h"
#include "client/cli/drawing.h"
#include "client/cli/exit_code.h"
#include "client/cli/option.h"
#include "client/cli/render.h"
#include "client/explain/words.h"
#include "core/explain.h"
#include "core/problem.h"
#include "fmt/format.h"

namespace convserve::cli {
namespace {

struct Question {
  ConvolutionArguments arguments;
  Shape at;
  std::optional<DrawingTarget> drawing;
};

struct ExplainCommandOptions {
  Question conv;
  Question transpose;
  CLI::App* transpose_app = nullptr;
};

// What an integer output type makes of the sum: "y holds 255, the largest uint8"; empty where it
// holds the sum.
std::string StoredAs(const Problem& problem, double value) {
  if (!IsInteger(problem.output_type())) return "";
  Tensor stored(problem.output_type(), {1});
  StoreFromDouble(problem.output_type(), stored.data(), 0, value);
  const double held = LoadAsDouble(problem.output_type(), stored.data(), 0);
  if (held == value) return "";
  return fmt::format("stored as {}     {}\n", Name(problem.output_type()), FormatNumber(held));
}

void PrintText(std::ostream& out, const ConvolutionRequest& request, const Problem& problem,
               const Question& question, const Explanation& explanation) {
  const bool values = request.input.has_elements() && request.weight.has_elements();
  for (const std::string& note : request.notes) out << note << '\n';
  out << fmt::format("output  {} {}\n\n", Name(problem.output_type()),
                     ToString(problem.output_shape()));
  out << Equation(problem, question.at, explanation, {.values = values}) << "\n\n";
  out << ExplainInWords(problem, question.at);
  if (values) out << StoredAs(problem, explanation.value);
}

nlohmann::ordered_json Number(double value) {
  if (std::isfinite(value)) return value;
  return std::string(JsonName(value));
}

std::vector<std::int64_t> List(const Shape& index) { return {index.begin(), index.end()}; }

void PrintJson(std::ostream& out, const ConvolutionRequest& request, const Problem& problem,
               const Question& question, const Explanation& explanation) {
  const bool values = request.input.has_elements() && request.weight.has_elements();
  nlohmann::ordered_json json;
  json["output_index"] = List(question.at);
  json["equation"] = Equation(problem, question.at, explanation, {.values = values});
  json["contributions"] = nlohmann::ordered_json::array();
  for (const Contribution& c : explanation.contributions) {
    nlohmann::ordered_json entry = {{"input_index", List(c.input_index)},
                                    {"weight_index", List(c.weight_index)}};
    if (request.input.has_elements()) entry["input_value"] = Number(c.input_value);
    if (request.weight.has_elements()) entry["weight_value"] = Number(c.weight_value);
    json["contributions"].push_back(std::move(entry));
  }
  json["truncated"] = explanation.truncated;
  if (!request.bias || request.bias->has_elements()) json["bias"] = Number(explanation.bias);
  if (values) json["value"] = Number(explanation.value);
  json["padded_taps"] = explanation.padded_taps;
  const TapCounts taps = CountTaps(problem, question.at);
  json["taps_of_a_channel"] = {{"all", taps.all},
                               {"on_input", taps.on_input},
                               {"on_padding", taps.on_padding},
                               {"between_strides", taps.between_strides}};
  json["receptive_field"] = nlohmann::ordered_json::array();
  for (const Interval range : ReceptiveField(problem, question.at)) {
    json["receptive_field"].push_back({range.min, range.max});
  }
  out << json.dump() << '\n';
}

absl::Status Run(Question question, Session& session) {
  if (absl::Status status = CheckDrawing(session, question.drawing); !status.ok()) return status;
  absl::StatusOr<ConvolutionRequest> request = ReadRequest(question.arguments, session.in());
  if (!request.ok()) return request.status();
  const absl::StatusOr<Explanation> explanation =
      session.Run([&](const ConvolutionClient& client, const CallOptions& call) {
        return client.Explain(request->spec(), question.at, request->explain_operands(), call);
      });
  if (!explanation.ok()) return explanation.status();
  // The server's limits were kept.
  const absl::StatusOr<Problem> problem =
      MakeProblem(request->spec(), {.max_output_bytes = std::numeric_limits<std::int64_t>::max()});
  if (!problem.ok()) return problem.status();
  if (session.options().json) {
    PrintJson(session.out(), *request, *problem, question, *explanation);
  } else {
    PrintText(session.out(), *request, *problem, question, *explanation);
  }
  if (!question.drawing) return absl::OkStatus();
  return Draw(
      session, *question.drawing,
      {.problem = *problem, .output_index = question.at, .operands = request->explain_operands()});
}

void Add(CLI::App& app, Question& question) {
  AddConvolutionOptions(app, question.arguments, /*shapes=*/true);
  AddParsedOption(app, "--at", question.at, ParseShape,
                  "the output element: one index for every dimension of the output")
      ->type_name("I,I,...")
      ->required();
  AddDrawOption(app, question.drawing);
}

Action Declare(CLI::App& app) {
  auto options = std::make_shared<ExplainCommandOptions>();
  options->transpose.arguments.operation = Operation::kConvTranspose;
  CLI::App* const conv = app.add_subcommand("conv", "of a convolution")->fallthrough();
  options->transpose_app =
      app.add_subcommand("conv-transpose", "of a transposed convolution")->fallthrough();
  Add(*conv, options->conv);
  Add(*options->transpose_app, options->transpose);
  app.require_subcommand(0, 1);
  return [options, &app](Session& session) {
    if (app.get_subcommands().empty()) {
      return UsageError("explain needs conv or conv-transpose behind it");
    }
    return Run(options->transpose_app->parsed() ? options->transpose : options->conv, session);
  };
}

}  // namespace

Command ExplainCommand() {
  return {.name = "explain",
          .summary = "Where one number of the output comes from, term by term",
          .examples = {"convctl --embedded explain conv-transpose "
                       "--input '[[1,1,1,1],[1,1,1,1],[1,1,1,1],[1,1,1,1]]' --weight "
                       "'[[1,2,3,4],[5,6,7,8],[9,10,11,12],[13,14,15,16]]' --stride 2 --padding 1 "
                       "--at 0,0,0,1",
                       "convctl --embedded explain conv --input-shape 1,3,224,224 "
                       "--weight-shape 64,3,7,7 --stride 2 --padding 3 --at 0,0,0,0 --draw -"},
          .declare = Declare};
}

}  // namespace convserve::cli
