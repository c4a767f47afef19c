#include <algorithm>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "client/cli/command.h"
#include "client/cli/drawing.h"
#include "client/cli/exit_code.h"
#include "client/cli/option.h"
#include "client/cli/text.h"
#include "client/explain/words.h"
#include "core/problem.h"
#include "core/solve.h"
#include "fmt/format.h"

namespace convserve::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t kNoLimit = std::numeric_limits<std::int64_t>::max();

struct SolveOptions {
  std::int64_t input = 0;
  std::optional<std::int64_t> output;
  std::optional<Interval> kernel, stride, dilation, padding, output_padding;
  std::int64_t most = 10;
  bool uneven = false, invert = false, same = false;
  std::optional<DrawingTarget> drawing;
};

// "3" or "1..7".
absl::StatusOr<Interval> ParseInterval(std::string_view text) {
  const std::size_t dots = text.find("..");
  const auto min = ParseInteger(text.substr(0, dots));
  const auto max = dots == std::string_view::npos ? min : ParseInteger(text.substr(dots + 2));
  if (!min || !max) {
    return absl::InvalidArgumentError(
        fmt::format("expected a number or a range such as 1..7, got {}", Quoted(text)));
  }
  return Interval{*min, *max};
}

absl::StatusOr<std::int64_t> ParseSize(std::string_view text) {
  const auto size = ParseInteger(text);
  if (!size) {
    return absl::InvalidArgumentError(fmt::format("expected a whole number, got {}", Quoted(text)));
  }
  return *size;
}

std::string Text(Interval range) {
  if (range.max == kNoLimit) return range.min == 0 ? "any" : fmt::format("{} or more", range.min);
  return range.min == range.max ? fmt::format("{}", range.min)
                                : fmt::format("{}..{}", range.min, range.max);
}

std::string_view NameOf(Operation operation) {
  return operation == Operation::kConv ? "conv" : "conv-transpose";
}

// Draws an answer, where that was asked for.
absl::Status DrawAxis(Session& session, const SolveOptions& options, Operation operation,
                      const Axis& axis) {
  if (!options.drawing) return absl::OkStatus();
  ProblemSpec spec;
  spec.input = {DataType::kInt8, {1, 1, axis.input}, {}};
  spec.weight = {DataType::kInt8, {1, 1, axis.kernel}, {}};
  const AxisList padding = {axis.padding_begin, axis.padding_end};
  if (operation == Operation::kConv) {
    ConvParameters parameters;
    parameters.stride = {axis.stride};
    parameters.dilation = {axis.dilation};
    parameters.padding = padding;
    spec.parameters = parameters;
  } else {
    ConvTransposeParameters parameters;
    parameters.stride = {axis.stride};
    parameters.dilation = {axis.dilation};
    parameters.padding = padding;
    parameters.output_padding = {axis.output_padding};
    spec.parameters = parameters;
  }
  const auto problem = MakeProblem(spec, {.max_output_bytes = kNoLimit});
  if (!problem.ok()) return problem.status();
  return Draw(session, *options.drawing, {.problem = *problem});
}

// ---- all parameters between two sizes

SolveQuery QueryOf(Operation operation, const SolveOptions& options) {
  SolveQuery query = DefaultSolveQuery(operation, options.input, *options.output);
  query.kernel = options.kernel.value_or(query.kernel);
  query.stride = options.stride.value_or(query.stride);
  query.dilation = options.dilation.value_or(query.dilation);
  query.padding = options.padding.value_or(query.padding);
  query.output_padding = options.output_padding.value_or(query.output_padding);
  query.uneven_padding = options.uneven;
  query.max_solutions = options.most;
  return query;
}

std::string_view Sampling(const Solution& solution) {
  if (solution.samples_like_same_upper) return "SAME (TensorFlow)";
  return solution.samples_like_same_lower ? "SAME_LOWER (ONNX)" : "-";
}

void PrintSolutions(std::ostream& out, Operation operation, const SolveQuery& query,
                    const Solutions& solutions) {
  const bool transpose = operation == Operation::kConvTranspose;
  out << fmt::format(
      "\n{}: {} within kernel {}, stride {}, dilation {}, padding {}{}\n", NameOf(operation),
      solutions.count == 0   ? "no solution"
      : solutions.count == 1 ? "one solution"
                             : fmt::format("{} solutions", solutions.count),
      Text(query.kernel), Text(query.stride), Text(query.dilation), Text(query.padding),
      transpose ? ", output padding " + Text(query.output_padding) : "");
  if (solutions.best.empty()) return;
  out << fmt::format("  {:>6} {:>6} {:>8} {:>7} {}  {:<20} {}\n", "kernel", "stride", "dilation",
                     "padding", transpose ? "output padding" : "", "samples like", "overlap");
  for (const Solution& solution : solutions.best) {
    const Axis& axis = solution.axis;
    const std::string padding = axis.padding_begin == axis.padding_end
                                    ? fmt::format("{}", axis.padding_begin)
                                    : fmt::format("{},{}", axis.padding_begin, axis.padding_end);
    out << fmt::format("  {:>6} {:>6} {:>8} {:>7} {}  {:<20} {}\n", axis.kernel, axis.stride,
                       axis.dilation, padding,
                       transpose ? fmt::format("{:>14}", axis.output_padding) : "",
                       Sampling(solution), solution.even_overlap ? "even" : "uneven");
  }
  const auto listed = static_cast<std::int64_t>(solutions.best.size());
  if (solutions.count > listed) {
    out << fmt::format("  and {} more; --most N shows more of them\n", solutions.count - listed);
  }
}

Json JsonOf(const Solutions& solutions) {
  Json json = {{"count", solutions.count}, {"solutions", Json::array()}};
  for (const Solution& solution : solutions.best) {
    const Axis& axis = solution.axis;
    json["solutions"].push_back({{"kernel", axis.kernel},
                                 {"stride", axis.stride},
                                 {"dilation", axis.dilation},
                                 {"padding_begin", axis.padding_begin},
                                 {"padding_end", axis.padding_end},
                                 {"output_padding", axis.output_padding},
                                 {"samples_like_same_upper", solution.samples_like_same_upper},
                                 {"samples_like_same_lower", solution.samples_like_same_lower},
                                 {"even_overlap", solution.even_overlap}});
  }
  return json;
}

absl::Status SolveSizes(const SolveOptions& options, Session& session) {
  Json json = {{"input", options.input}, {"output", *options.output}};
  std::ostream& out = session.out();
  const bool text = !session.options().json;
  const auto conv = Solve(Operation::kConv, QueryOf(Operation::kConv, options));
  if (!conv.ok()) return conv.status();
  const auto transpose =
      Solve(Operation::kConvTranspose, QueryOf(Operation::kConvTranspose, options));
  if (!transpose.ok()) return transpose.status();
  if (text) out << fmt::format("{} -> {}, best first\n", options.input, *options.output);
  std::optional<Solution> best;
  for (const auto& [operation, solutions] :
       {std::pair(Operation::kConv, &*conv), std::pair(Operation::kConvTranspose, &*transpose)}) {
    if (!best && !solutions->best.empty()) best = solutions->best.front();
    if (text) {
      PrintSolutions(out, operation, QueryOf(operation, options), *solutions);
    } else {
      json[operation == Operation::kConv ? "conv" : "conv_transpose"] = JsonOf(*solutions);
    }
  }
  if (!text) out << json.dump() << '\n';
  if (text) {
    out << "\nBest means: first those that sample exactly like TensorFlow's SAME, then those of "
           "even "
           "overlap\n"
           "(the stride divides the kernel: no checkerboard in a transposed convolution), then the "
           "smallest.\n";
  }
  return best ? DrawAxis(session, options, best->operation, best->axis) : absl::OkStatus();
}

// ---- the output padding that restores a size

// The one number of a parameter that may not be a range here.
absl::StatusOr<std::int64_t> One(std::string_view option, const std::optional<Interval>& range,
                                 std::optional<std::int64_t> usual) {
  if (range && range->min == range->max) return range->min;
  if (!range && usual) return *usual;
  if (!range) return UsageError(fmt::format("{} is required here", option));
  return UsageError(
      fmt::format("{}: expected one number here, got {}..{}", option, range->min, range->max));
}

struct Parameters {
  std::int64_t kernel, stride, dilation, padding;
};

absl::StatusOr<Parameters> ParametersOf(const SolveOptions& options) {
  const auto kernel = One("--kernel", options.kernel, std::nullopt);
  const auto stride = One("--stride", options.stride, 1);
  const auto dilation = One("--dilation", options.dilation, 1);
  const auto padding = One("--padding", options.padding, 0);
  for (const auto& number : {kernel, stride, dilation, padding}) {
    if (!number.ok()) return number.status();
  }
  return Parameters{*kernel, *stride, *dilation, *padding};
}

absl::Status SolveInverse(const SolveOptions& options, Session& session) {
  const auto p = ParametersOf(options);
  if (!p.ok()) return p.status();
  const auto inversion = Invert({.input = options.input,
                                 .kernel = p->kernel,
                                 .stride = p->stride,
                                 .dilation = p->dilation,
                                 .padding_begin = p->padding,
                                 .padding_end = p->padding});
  if (!inversion.ok()) return inversion.status();
  const Axis& conv = inversion->conv;
  const auto draw = [&] {
    return inversion->restoring
               ? DrawAxis(session, options, Operation::kConvTranspose, *inversion->restoring)
               : DrawAxis(session, options, Operation::kConv, conv);
  };
  std::ostream& out = session.out();
  if (session.options().json) {
    Json json = {{"input", conv.input}, {"output", conv.output}};
    json["restoring_output_padding"] =
        inversion->restoring ? Json(inversion->restoring->output_padding) : Json(nullptr);
    json["smallest_input_with_this_output"] = inversion->preimage.min;
    json["largest_input_with_this_output"] = inversion->preimage.max;
    out << json.dump() << '\n';
    return draw();
  }
  out << fmt::format("conv            {} -> {}: {}\n", conv.input, conv.output,
                     SizeFormula(Operation::kConv, conv));
  if (!inversion->restoring) {
    out << "conv-transpose  crops everything with this padding: no output padding brings the size "
           "back\n";
    return draw();
  }
  Axis back = *inversion->restoring;
  const std::int64_t restoring = back.output_padding;
  std::vector<std::int64_t> shown = {0};
  if (restoring != 0) shown.push_back(restoring);
  for (const std::int64_t output_padding : shown) {
    back.output = inversion->restoring->output - restoring + output_padding;
    back.output_padding = output_padding;
    if (back.output < 1) continue;
    out << fmt::format("conv-transpose  {} -> {} with output padding {}: {}\n", back.input,
                       back.output, output_padding, SizeFormula(Operation::kConvTranspose, back));
  }
  out << fmt::format("\noutput padding {} restores {}: ({} + {} + {} - {}) mod {} = {}\n",
                     restoring, conv.input, conv.input, conv.padding_begin, conv.padding_end,
                     conv.effective_kernel(), conv.stride, restoring);
  if (inversion->preimage.max > inversion->preimage.min) {
    out << fmt::format(
        "Inputs of {} to {} all give {}, so the size alone cannot tell which one it was; output "
        "padding chooses.\n",
        inversion->preimage.min, inversion->preimage.max, conv.output);
  }
  out << "It restores the size, not the values.\n";
  return draw();
}

// ---- the padding that is "same"

absl::Status SolveSame(const SolveOptions& options, Session& session) {
  const auto p = ParametersOf(options);
  if (!p.ok()) return p.status();
  const auto same = FindSamePadding(
      {.input = options.input, .kernel = p->kernel, .stride = p->stride, .dilation = p->dilation});
  if (!same.ok()) return same.status();
  std::ostream& out = session.out();
  const std::int64_t begin = same->symmetric.value_or(same->same_upper_begin);
  const Axis answer = {.input = options.input,
                       .output = same->wanted_output,
                       .kernel = p->kernel,
                       .stride = p->stride,
                       .dilation = p->dilation,
                       .padding_begin = begin,
                       .padding_end = same->symmetric.value_or(same->total - begin)};
  if (session.options().json) {
    const Json json = {
        {"output", same->wanted_output},
        {"total", same->total},
        {"same_upper", {same->same_upper_begin, same->total - same->same_upper_begin}},
        {"same_lower", {same->same_lower_begin, same->total - same->same_lower_begin}},
        {"symmetric", same->symmetric ? Json(*same->symmetric) : Json(nullptr)},
        {"samples_like_same_upper", same->samples_like_same_upper},
        {"samples_like_same_lower", same->samples_like_same_lower}};
    out << json.dump() << '\n';
    return DrawAxis(session, options, Operation::kConv, answer);
  }
  const std::int64_t span = p->dilation * (p->kernel - 1) + 1;
  out << fmt::format("same            ceil({} / {}) = {} outputs\n", options.input, p->stride,
                     same->wanted_output)
      << fmt::format("padding in all  max(0, ({} - 1)*{} + {} - {}) = {}\n", same->wanted_output,
                     p->stride, span, options.input, same->total)
      << fmt::format("SAME_UPPER      {} before, {} after (TensorFlow's SAME; PyTorch's 'same')\n",
                     same->same_upper_begin, same->total - same->same_upper_begin)
      << fmt::format("SAME_LOWER      {} before, {} after\n", same->same_lower_begin,
                     same->total - same->same_lower_begin);
  if (!same->symmetric) {
    out << fmt::format(
        "both ends alike no padding does: with stride 1 an even kernel span ({}) needs an odd "
        "total\n",
        span);
  } else if (same->samples_like_same_upper) {
    out << fmt::format("both ends alike {}, with exactly TensorFlow's values\n", *same->symmetric);
  } else {
    out << fmt::format(
        "both ends alike {}: the same size, but not TensorFlow's values: the kernel starts one "
        "cell earlier, as "
        "SAME_LOWER's does\n",
        *same->symmetric);
  }
  return DrawAxis(session, options, Operation::kConv, answer);
}

absl::Status Run(const SolveOptions& options, Session& session) {
  if (options.invert && options.same) {
    return UsageError("--invert and --same are two questions: ask one");
  }
  if (absl::Status status = CheckDrawing(session, options.drawing); !status.ok()) return status;
  if (options.invert) return SolveInverse(options, session);
  if (options.same) return SolveSame(options, session);
  if (!options.output) return UsageError("solve needs --output, or --invert, or --same");
  return SolveSizes(options, session);
}

Action Declare(CLI::App& app) {
  auto options = std::make_shared<SolveOptions>();
  AddParsedOption(app, "--input", options->input, ParseSize, "input size along one axis")
      ->type_name("N")
      ->required();
  AddParsedOption(app, "--output", options->output, ParseSize, "wanted output size")
      ->type_name("N");
  const auto add_range = [&](const char* name, std::optional<Interval>& target, const char* help) {
    AddParsedOption(app, name, target, ParseInterval, help)->type_name("N|N..N");
  };
  add_range("--kernel", options->kernel, "kernel sizes to look at");
  add_range("--stride", options->stride, "strides to look at");
  add_range("--dilation", options->dilation, "dilations to look at; default 1..2");
  add_range("--padding", options->padding, "paddings to look at; default 0..64");
  add_range("--output-padding", options->output_padding, "output paddings to look at");
  app.add_flag("--uneven", options->uneven, "also paddings that differ by one between both ends");
  AddIntegerOption(app, "--most", options->most, std::int64_t{1}, kNoLimit,
                   "how many to list; default 10");
  CLI::Option* const invert =
      app.add_flag("--invert", options->invert,
                   "which output padding makes conv-transpose restore --input after conv");
  CLI::Option* const same =
      app.add_flag("--same", options->same, "which padding keeps the size (divided by the stride)");
  for (CLI::Option* const question : {invert, same}) {
    for (const char* option : {"--output", "--output-padding", "--uneven", "--most"}) {
      question->excludes(app.get_option(option));
    }
  }
  same->excludes(app.get_option("--padding"));
  AddDrawOption(app, options->drawing);
  return [options](Session& session) { return Run(*options, session); };
}

}  // namespace

Command SolveCommand() {
  return {.name = "solve",
          .summary = "Which kernel, stride, padding and so on lead from one size to another",
          .examples = {"convctl solve --input 224 --output 112 --kernel 3 --stride 2",
                       "convctl solve --invert --input 28 --kernel 5 --stride 2",
                       "convctl solve --same --input 224 --kernel 3 --stride 2"},
          .declare = Declare};
}

}  // namespace convserve::cli
