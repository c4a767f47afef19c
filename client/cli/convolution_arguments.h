// What conv, conv-transpose, describe and explain are asked for on the command line, and the
// tensors behind it.
#ifndef CONVSERVE_CLIENT_CLI_CONVOLUTION_ARGUMENTS_H_
#define CONVSERVE_CLIENT_CLI_CONVOLUTION_ARGUMENTS_H_

#include <istream>
#include <optional>
#include <string>
#include <vector>

#include "CLI/App.hpp"
#include "absl/status/statusor.h"
#include "client/cli/argument_syntax.h"
#include "client/cli/tensor_source.h"
#include "core/convolve.h"
#include "core/explain.h"
#include "core/parameters.h"
#include "core/problem.h"

namespace convserve::cli {

// As typed; the syntax of each part was checked.
struct ConvolutionArguments {
  Operation operation = Operation::kConv;
  std::optional<TensorSource> input;
  std::optional<TensorSource> weight;
  std::optional<TensorSource> bias;
  std::optional<AxisList> stride;
  AxisList dilation;
  std::optional<Padding> padding;
  PaddingMode padding_mode = PaddingMode::kUnspecified;
  AxisList output_padding;
  AxisList output_size;
  std::optional<std::int64_t> groups;
  bool flip_kernel = false;
  TensorLayout layout = TensorLayout::kUnspecified;
  WeightLayout weight_layout = WeightLayout::kUnspecified;
  std::optional<DataType> type;  // of literals, filters and bare shapes
  DataType output_type = DataType::kUnspecified;
};

// Declares the options of `arguments.operation`; parsing fills `arguments`, which must live as long
// as `app`. With `shapes`, --input-shape, --weight-shape and --bias-shape may stand for the
// tensors.
void AddConvolutionOptions(CLI::App& app, ConvolutionArguments& arguments, bool shapes = false);

// A tensor as the server will see it: the shape may have gained dimensions of 1.
struct Operand {
  DataType data_type = DataType::kUnspecified;
  Shape shape;
  Tensor elements;  // no data where only a shape was given

  bool has_elements() const { return elements.data() != nullptr; }
  TensorView view() const { return {data_type, shape, elements.data()}; }
};

// Ready to be sent.
struct ConvolutionRequest {
  Operand input;
  Operand weight;
  std::optional<Operand> bias;
  std::variant<ConvParameters, ConvTransposeParameters> parameters;
  TensorLayout layout = TensorLayout::kUnspecified;
  DataType output_type = DataType::kUnspecified;
  // One line an operand that says how it was read, and one for every parameter that was chosen for
  // the user.
  std::vector<std::string> notes;

  Operands operands() const;
  ExplainOperands explain_operands() const;
  ProblemSpec spec() const;
};

// Reads the tensors and resolves what may be left out:
//
//   ranks    k spatial axes follow from the weight: rank 1 or 2 is a kernel for one channel, rank 3
//   to 5 has its channels. An
//            input of rank k is one image of one channel. A single number for the bias is a list of
//            one.
//   types    of literals and filters: --type, or else that of the other operand where it comes from
//   a file
//            (float32 beside uint8), or else float32. A bias literal is int32 beside integers.
//   filters  one copy for every channel, with as many groups; with --groups, channels of a group
//   are filtered and added up.
//            bilinear:F sets stride and padding for exactly F times the size, unless they are
//            given.
//
// A missing operand is a usage error; files that cannot be read lead to ExitCode::kOther.
absl::StatusOr<ConvolutionRequest> ReadRequest(const ConvolutionArguments& arguments,
                                               std::istream& in);

}  // namespace convserve::cli

#endif  // CONVSERVE_CLIENT_CLI_CONVOLUTION_ARGUMENTS_H_
