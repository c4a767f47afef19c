#include <utility>

#include "client/cli/convolution_arguments.h"
#include "client/cli/option.h"

namespace convserve::cli {
namespace {

absl::StatusOr<std::int64_t> ParseNumber(std::string_view text) {
  absl::StatusOr<AxisList> list = ParseAxisList(text);
  if (!list.ok() || list->size() != 1) {
    return absl::InvalidArgumentError("expected a whole number below 2^63, got \"" +
                                      std::string(text) + "\"");
  }
  return list->front();
}

absl::StatusOr<TensorSource> ParseShapeSource(std::string_view text) {
  absl::StatusOr<Shape> shape = ParseShape(text);
  if (!shape.ok()) return shape.status();
  return ShapeOnly{*std::move(shape)};
}

void AddOperands(CLI::App& app, ConvolutionArguments& arguments, bool shapes) {
  struct Role {
    std::string name;
    std::optional<TensorSource>* target;
    std::string help;
    std::string metavar;
  };
  const Role roles[] = {
      {"--input", &arguments.input, "tensor or picture to work on", "X"},
      {"--weight", &arguments.weight, "kernel, or a filter by name for each channel", "W"},
      {"--bias", &arguments.bias, "one number for every output channel", "B"},
  };
  for (const Role& role : roles) {
    CLI::Option* const source =
        AddParsedOption(app, role.name, *role.target, ParseTensorSource, role.help)
            ->type_name(role.metavar);
    if (!shapes) continue;
    AddParsedOption(app, role.name + "-shape", *role.target, ParseShapeSource,
                    "only the sizes of it")
        ->type_name("N,N,...")
        ->excludes(source);
  }
}

}  // namespace

void AddConvolutionOptions(CLI::App& app, ConvolutionArguments& arguments, bool shapes) {
  const bool transpose = arguments.operation == Operation::kConvTranspose;
  AddOperands(app, arguments, shapes);
  AddParsedOption(app, "--stride", arguments.stride, ParseAxisList,
                  "steps between windows; default 1")
      ->type_name("S");
  AddParsedOption(app, "--dilation", arguments.dilation, ParseAxisList,
                  "steps between taps; default 1")
      ->type_name("D");
  AddParsedOption(
      app, "--padding", arguments.padding, ParsePadding,
      transpose ? "cells cropped from the result: 0 | 1,2 | 0,1,2,3 | valid | same | same-lower"
                : "cells added around the input: 0 | 1,2 | 0,1,2,3 | valid | same | same-lower")
      ->type_name("P");
  if (transpose) {
    AddParsedOption(app, "--output-padding", arguments.output_padding, ParseAxisList,
                    "cells more at the end of the result; default 0")
        ->type_name("O");
    AddParsedOption(app, "--output-size", arguments.output_size, ParseAxisList,
                    "the wanted size, in place of --output-padding")
        ->type_name("Z");
  } else {
    AddParsedOption(app, "--padding-mode", arguments.padding_mode, ParsePaddingMode,
                    "zeros | reflect | replicate | circular")
        ->type_name("M");
  }
  AddParsedOption(app, "--groups", arguments.groups, ParseNumber,
                  "channels in groups of their own; default 1")
      ->type_name("G");
  app.add_flag("--flip-kernel", arguments.flip_kernel, "reverse the kernel on every axis");
  AddParsedOption(app, "--layout", arguments.layout, ParseTensorLayout,
                  "channels-first | channels-last")
      ->type_name("L");
  AddParsedOption(app, "--weight-layout", arguments.weight_layout, ParseWeightLayout,
                  "channels-first | channels-last")
      ->type_name("L");
  AddParsedOption(app, "--type", arguments.type, ParseType, "element type of literals and filters")
      ->type_name("T");
  AddParsedOption(app, "--output-type", arguments.output_type, ParseType,
                  "element type of the result")
      ->type_name("T");
}

}  // namespace convserve::cli
