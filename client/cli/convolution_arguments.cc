#include "client/cli/convolution_arguments.h"

#include <algorithm>
#include <array>
#include <utility>

#include "client/cli/exit_code.h"
#include "client/cli/text.h"
#include "core/limits.h"
#include "fmt/format.h"

namespace convserve::cli {
namespace {

constexpr std::array<std::string_view, 3> kOptions = {"--input", "--weight", "--bias"};
enum Role : std::size_t { kInput, kWeight, kBias };

// Reads one request; the steps depend on each other's results in the order of Read.
class RequestReader {
 public:
  RequestReader(const ConvolutionArguments& arguments, std::istream& in)
      : arguments_(arguments),
        in_(in),
        sources_{&arguments.input, &arguments.weight, &arguments.bias} {}

  absl::StatusOr<ConvolutionRequest> Read() {
    for (const Role role : {kInput, kWeight}) {
      if (!*sources_[role]) {
        return UsageError(fmt::format("{} is required", kOptions[role]));
      }
    }
    if (std::holds_alternative<Filter>(**sources_[kInput]) ||
        (*sources_[kBias] && std::holds_alternative<Filter>(**sources_[kBias]))) {
      return UsageError("a filter by name can only be the --weight");
    }
    stride_ = arguments_.stride.value_or(AxisList{});
    padding_ = arguments_.padding.value_or(Padding{});
    groups_ = arguments_.groups;
    for (const auto step : {&RequestReader::LoadFiles, &RequestReader::ResolveInput,
                            &RequestReader::ResolveWeight, &RequestReader::ResolveBias}) {
      if (absl::Status status = (this->*step)(); !status.ok()) return status;
    }
    ExpandRanks();
    return Finish();
  }

 private:
  bool channels_last() const { return arguments_.layout == TensorLayout::kChannelsLast; }
  const TensorSource& source(Role role) const { return **sources_[role]; }

  absl::Status LoadFiles() {
    const auto streams = std::count_if(sources_.begin(), sources_.end(), [](const auto* source) {
      return *source && std::holds_alternative<StandardInput>(**source);
    });
    if (streams > 1) return UsageError("only one tensor can come from standard input");
    for (const Role role : {kInput, kWeight, kBias}) {
      if (!*sources_[role] || std::holds_alternative<Filter>(source(role)) ||
          std::holds_alternative<ShapeOnly>(source(role))) {
        continue;
      }
      absl::StatusOr<LoadedTensor> loaded = Load(source(role), arguments_.layout, in_);
      if (!loaded.ok()) return About(kOptions[role], loaded.status());
      loaded_[role] = *std::move(loaded);
    }
    return absl::OkStatus();
  }

  // The type that a file brought, if this operand is one.
  std::optional<DataType> FileType(Role role) const {
    if (!loaded_[role]) return std::nullopt;
    const auto* const tensor = std::get_if<Tensor>(&*loaded_[role]);
    return tensor == nullptr ? std::nullopt : std::optional(tensor->data_type());
  }

  absl::Status Resolve(Role role, DataType literal_type) {
    Operand& operand = operands_[role];
    operand.data_type = FileType(role).value_or(literal_type);
    if (const auto* const shape = std::get_if<ShapeOnly>(&source(role))) {
      operand.shape = shape->shape;
    } else if (auto* const tensor = std::get_if<Tensor>(&*loaded_[role])) {
      operand.elements = std::move(*tensor);
      operand.shape = operand.elements.shape();
    } else {
      absl::StatusOr<Tensor> elements = ToTensor(std::get<Literal>(*loaded_[role]), literal_type);
      if (!elements.ok()) return About(kOptions[role], elements.status());
      operand.elements = *std::move(elements);
      operand.shape = operand.elements.shape();
    }
    shapes_as_given_[role] = operand.shape;
    return absl::OkStatus();
  }

  absl::Status ResolveInput() {
    return Resolve(kInput,
                   arguments_.type.value_or(FileType(kWeight).value_or(DataType::kFloat32)));
  }

  absl::Status ResolveWeight() {
    const DataType input = operands_[kInput].data_type;
    const DataType type =
        arguments_.type.value_or(input == DataType::kUInt8 ? DataType::kFloat32 : input);
    if (const auto* const filter = std::get_if<Filter>(&source(kWeight))) {
      return ApplyFilter(*filter, type);
    }
    return Resolve(kWeight, type);
  }

  absl::Status ResolveBias() {
    if (!*sources_[kBias]) return absl::OkStatus();
    const DataType weight = operands_[kWeight].data_type;
    return Resolve(kBias, IsInteger(weight) ? DataType::kInt32 : weight);
  }

  // Channels of the input of a filter, which has two spatial axes.
  absl::StatusOr<std::int64_t> FilterChannels() const {
    const Shape& shape = operands_[kInput].shape;
    if (shape.size() < 2 || shape.size() > 4) {
      return absl::InvalidArgumentError(
          fmt::format("--weight: a filter by name needs an input with two spatial axes, {}, got {}",
                      channels_last() ? "[N, H, W, C]" : "[N, C, H, W]", ToString(shape)));
    }
    if (shape.size() == 2) return 1;
    return channels_last() ? shape.back() : shape[shape.size() - 3];
  }

  absl::Status ApplyFilter(const Filter& filter, DataType type) {
    if (filter.upsampling != 0 && arguments_.operation == Operation::kConv) {
      return UsageError("--weight: bilinear:F is a filter for conv-transpose");
    }
    const absl::StatusOr<std::int64_t> channels = FilterChannels();
    if (!channels.ok()) return channels.status();
    if (*channels > kMaxMessageBytes / std::int64_t{sizeof(double)} / (filter.size * filter.size)) {
      return absl::InvalidArgumentError(fmt::format(
          "--weight: {} for each of {} channels is too much to send", filter.name, *channels));
    }
    if (!groups_) {
      // An input without channels is for the server to refuse.
      groups_ = std::max<std::int64_t>(1, *channels);
      if (*groups_ > 1)
        notes_.push_back(fmt::format("groups  {}, one for every channel", *groups_));
    } else if (*groups_ < 1 || *channels % *groups_ != 0) {
      return absl::InvalidArgumentError(fmt::format(
          "--groups: expected a divisor of the input's {} channels, got {}", *channels, *groups_));
    }
    if (filter.upsampling != 0) ChooseUpsampling(filter);
    return RepeatFilter(filter, type, std::max<std::int64_t>(1, *channels));
  }

  void ChooseUpsampling(const Filter& filter) {
    if (!arguments_.stride) {
      stride_ = {filter.upsampling};
      notes_.push_back(fmt::format("stride  {}, by the filter", filter.upsampling));
    }
    if (!arguments_.padding) {
      padding_.list = {filter.padding};
      notes_.push_back(fmt::format("padding {}, by the filter", filter.padding));
    }
  }

  absl::Status RepeatFilter(const Filter& filter, DataType type, std::int64_t channels) {
    // Conv: M = groups, C / groups each. ConvTranspose: C, M / groups = 1.
    const bool transpose = arguments_.operation == Operation::kConvTranspose;
    const std::int64_t outer = transpose ? channels : *groups_;
    const std::int64_t inner = transpose ? 1 : channels / *groups_;
    Literal literal{{outer, inner, filter.size, filter.size}, {}};
    const auto copies = static_cast<std::size_t>(outer * inner);
    const bool last = arguments_.weight_layout == WeightLayout::kChannelsLast;
    if (last) literal.shape = {filter.size, filter.size, inner, outer};
    literal.values.reserve(filter.values.size() * copies);
    if (last) {
      for (const double value : filter.values) {
        literal.values.insert(literal.values.end(), copies, value);
      }
    } else {
      for (std::size_t i = 0; i < copies; ++i) {
        literal.values.insert(literal.values.end(), filter.values.begin(), filter.values.end());
      }
    }
    absl::StatusOr<Tensor> elements = ToTensor(literal, type);
    if (!elements.ok()) return About(kOptions[kWeight], elements.status());
    operands_[kWeight] = {type, literal.shape, *std::move(elements)};
    shapes_as_given_[kWeight] = {filter.size, filter.size};
    return absl::OkStatus();
  }

  void ExpandRanks() {
    Shape& weight = operands_[kWeight].shape;
    if (weight.size() == 1 || weight.size() == 2) {
      const bool last = arguments_.weight_layout == WeightLayout::kChannelsLast;
      weight.insert(last ? weight.end() : weight.begin(), 2, 1);
    }
    Shape& input = operands_[kInput].shape;
    if (input.size() + 2 == weight.size() && !input.empty()) {
      input.insert(input.begin(), 1);
      input.insert(channels_last() ? input.end() : input.begin(), 1);
    }
    Shape& bias = operands_[kBias].shape;
    if (*sources_[kBias] && bias.empty()) bias = {1};
  }

  std::string Note(Role role, std::string_view meaning) const {
    const Operand& operand = operands_[role];
    const Shape& given = shapes_as_given_[role];
    std::string note = fmt::format("{:<7} ", kOptions[role].substr(2));
    if (const std::string name = NameOf(source(role)); !name.empty())
      note += Printable(name) + ", ";
    note += fmt::format("{} {}", Name(operand.data_type), ToString(given));
    if (given != operand.shape) {
      note += fmt::format(" read as {}{}", ToString(operand.shape), meaning);
    }
    return note;
  }

  absl::StatusOr<ConvolutionRequest> Finish() {
    ConvolutionRequest request;
    const bool filter = std::holds_alternative<Filter>(source(kWeight));
    request.notes = {Note(kInput, ": one image, one channel"),
                     Note(kWeight, filter ? ", a copy for each channel"
                                          : ": one input channel, one output channel")};
    if (*sources_[kBias]) request.notes.push_back(Note(kBias, ": one output channel"));
    std::move(notes_.begin(), notes_.end(), std::back_inserter(request.notes));
    request.parameters = Parameters();
    request.layout = arguments_.layout;
    request.output_type = arguments_.output_type;
    request.input = std::move(operands_[kInput]);
    request.weight = std::move(operands_[kWeight]);
    if (*sources_[kBias]) request.bias = std::move(operands_[kBias]);
    return request;
  }

  std::variant<ConvParameters, ConvTransposeParameters> Parameters() const {
    if (arguments_.operation == Operation::kConv) {
      return ConvParameters{.stride = stride_,
                            .dilation = arguments_.dilation,
                            .padding = padding_.list,
                            .auto_pad = padding_.auto_pad,
                            .padding_mode = arguments_.padding_mode,
                            .groups = groups_,
                            .flip_kernel = arguments_.flip_kernel,
                            .tensor_layout = arguments_.layout,
                            .weight_layout = arguments_.weight_layout};
    }
    return ConvTransposeParameters{.stride = stride_,
                                   .dilation = arguments_.dilation,
                                   .padding = padding_.list,
                                   .auto_pad = padding_.auto_pad,
                                   .output_padding = arguments_.output_padding,
                                   .output_size = arguments_.output_size,
                                   .groups = groups_,
                                   .flip_kernel = arguments_.flip_kernel,
                                   .tensor_layout = arguments_.layout,
                                   .weight_layout = arguments_.weight_layout};
  }

  const ConvolutionArguments& arguments_;
  std::istream& in_;
  std::array<const std::optional<TensorSource>*, 3> sources_;
  std::array<std::optional<LoadedTensor>, 3> loaded_;
  std::array<Operand, 3> operands_;
  std::array<Shape, 3> shapes_as_given_;
  AxisList stride_;
  Padding padding_;
  std::optional<std::int64_t> groups_;
  std::vector<std::string> notes_;
};

TensorSpec SpecOf(const Operand& operand) { return {operand.data_type, operand.shape, {}}; }

std::optional<TensorView> ViewOf(const Operand& operand) {
  return operand.has_elements() ? std::optional(operand.view()) : std::nullopt;
}

}  // namespace

Operands ConvolutionRequest::operands() const {
  return {input.view(), weight.view(), bias ? std::optional(bias->view()) : std::nullopt};
}

ExplainOperands ConvolutionRequest::explain_operands() const {
  return {ViewOf(input), ViewOf(weight), bias ? ViewOf(*bias) : std::nullopt};
}

ProblemSpec ConvolutionRequest::spec() const {
  return {SpecOf(input), SpecOf(weight), bias ? std::optional(SpecOf(*bias)) : std::nullopt,
          parameters, output_type};
}

absl::StatusOr<ConvolutionRequest> ReadRequest(const ConvolutionArguments& arguments,
                                               std::istream& in) {
  return RequestReader(arguments, in).Read();
}

}  // namespace convserve::cli
