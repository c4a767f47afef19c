#include <memory>
#include <optional>

#include "client/cli/argument_syntax.h"
#include "client/cli/command.h"
#include "client/cli/convolution_arguments.h"
#include "client/cli/exit_code.h"
#include "client/cli/image.h"
#include "client/cli/option.h"
#include "client/cli/output.h"
#include "core/problem.h"

namespace convserve::cli {
namespace {

struct ConvOptions {
  ConvolutionArguments arguments;
  std::optional<OutputFile> output;
};

// A picture that cannot be written is better known before the work than after it. What is wrong
// with the request itself is for the server to say.
absl::Status CheckPicture(const ConvolutionRequest& request,
                          const std::optional<OutputFile>& output) {
  if (!output || (output->format != OutputFormat::kPng && output->format != OutputFormat::kJpeg)) {
    return absl::OkStatus();
  }
  const absl::StatusOr<Problem> problem = MakeProblem(request.spec());
  if (!problem.ok()) return absl::OkStatus();
  const PictureFormat format =
      output->format == OutputFormat::kPng ? PictureFormat::kPng : PictureFormat::kJpeg;
  absl::Status status = CheckPictureShape(problem->output_shape(), request.layout, format);
  if (status.ok()) return status;
  return WithExitCode(ExitCode::kUsage, About("--output: " + output->path, status));
}

absl::Status Run(const ConvOptions& options, Session& session) {
  absl::StatusOr<ConvolutionRequest> request = ReadRequest(options.arguments, session.in());
  if (!request.ok()) return request.status();
  absl::Status status = CheckPicture(*request, options.output);
  if (!status.ok()) return status;

  absl::StatusOr<ConvResult> result =
      session.Run([&](const ConvolutionClient& client, CallOptions call) {
        call.output_type = request->output_type;
        const auto* const conv = std::get_if<ConvParameters>(&request->parameters);
        return conv != nullptr ? client.Conv(request->operands(), *conv, call)
                               : client.ConvTranspose(
                                     request->operands(),
                                     std::get<ConvTransposeParameters>(request->parameters), call);
      });
  if (!result.ok()) {
    if (ExitCodeOf(result.status()) == ExitCode::kRefused) {
      for (const std::string& note : request->notes) session.err() << note << '\n';
    }
    return result.status();
  }
  return WriteResult(session, options.output, {*result, request->layout, request->notes});
}

std::function<Action(CLI::App&)> Declare(Operation operation) {
  return [operation](CLI::App& app) -> Action {
    auto options = std::make_shared<ConvOptions>();
    options->arguments.operation = operation;
    AddConvolutionOptions(app, options->arguments);
    AddParsedOption(app, "--output", options->output, ParseOutputFile,
                    "write .npy, .npz, .npz:NAME, .png or .jpg instead of printing")
        ->type_name("FILE");
    return [options](Session& session) { return Run(*options, session); };
  };
}

}  // namespace

Command ConvCommand() {
  return {.name = "conv",
          .summary = "Convolve a tensor or a picture with a kernel",
          .examples = {"convctl --embedded conv --input '[[1,2,3],[4,5,6],[7,8,9]]' "
                       "--weight '[[1,0],[0,-1]]'"},
          .declare = Declare(Operation::kConv)};
}

Command ConvTransposeCommand() {
  return {.name = "conv-transpose",
          .summary = "The transposed convolution: every input cell adds the scaled kernel",
          .examples = {"convctl --embedded conv-transpose --input '[[1,2],[3,4]]' "
                       "--weight '[[1,1],[1,1]]' --stride 2"},
          .declare = Declare(Operation::kConvTranspose)};
}

}  // namespace convserve::cli
