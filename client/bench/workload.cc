#include "client/bench/workload.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <random>
#include <utility>

#include "client/cli/argument_syntax.h"
#include "client/cli/exit_code.h"
#include "client/cli/text.h"
#include "core/convert.h"
#include "core/convolve.h"
#include "fmt/format.h"

namespace convserve::bench {
namespace {

using cli::ParseAxisList;
using cli::ParseInteger;
using cli::ParseShape;
using cli::Quoted;

constexpr std::int64_t kMostWeight = 1'000'000;

// What an option may set: the members that both operations have.
struct Common {
  AxisList stride;
  AxisList dilation;
  AxisList padding;
  std::int64_t groups = 1;
  bool transpose = false;
};

template <typename Parameters>
Parameters ParametersOf(const Common& common) {
  Parameters parameters;
  parameters.stride = common.stride;
  parameters.dilation = common.dilation;
  parameters.padding = common.padding;
  parameters.groups = common.groups;
  return parameters;
}

absl::Status ParseOption(std::string_view text, Common& common, RequestKind& kind) {
  const std::size_t equals = std::min(text.find('='), text.size());
  const std::string_view name = text.substr(0, equals);
  const std::string_view value = text.substr(std::min(equals + 1, text.size()));
  const auto set = [&](auto parsed, auto& target) {
    if (!parsed.ok()) return cli::About(name, parsed.status());
    target = *std::move(parsed);
    return absl::OkStatus();
  };
  if (text == "transpose") {
    common.transpose = true;
    return absl::OkStatus();
  }
  if (name == "stride") return set(ParseAxisList(value), common.stride);
  if (name == "dilation") return set(ParseAxisList(value), common.dilation);
  if (name == "padding") return set(ParseAxisList(value), common.padding);
  if (name == "type") return set(cli::ParseType(value), kind.type);
  if (name == "groups") {
    const auto groups = ParseInteger(value);
    if (groups) common.groups = *groups;
    return groups ? absl::OkStatus()
                  : absl::InvalidArgumentError(
                        fmt::format("groups: expected a number, got {}", Quoted(value)));
  }
  return absl::InvalidArgumentError(fmt::format(
      "expected stride=, padding=, dilation=, groups=, type= or transpose, got {}", Quoted(text)));
}

RequestKind Preset(std::string name, Shape input, Shape weights) {
  RequestKind kind;
  kind.name = std::move(name);
  kind.input = std::move(input);
  kind.weights = std::move(weights);
  if (kind.weights.back() > 1) kind.parameters = ConvParameters{.padding = {1}};
  return kind;
}

// Integers from -3 to 3 (0 to 6 for uint8) that `seed` alone determines.
Tensor SmallIntegers(DataType type, const Shape& shape, std::uint32_t seed) {
  Tensor tensor(type, shape);
  std::minstd_rand random(seed);
  const int least = type == DataType::kUInt8 ? 0 : -3;
  VisitDataType(type, [&](auto zero) {
    using T = decltype(zero);
    T* const data = tensor.As<T>();
    for (std::int64_t i = 0; i < tensor.size(); ++i) {
      data[i] = RoundTo<T>(static_cast<float>(least + static_cast<int>(random() % 7)));
    }
  });
  return tensor;
}

absl::StatusOr<Tensor> Compute(const RequestKind& kind, const Operands& operands) {
  const auto* const conv = std::get_if<ConvParameters>(&kind.parameters);
  return conv != nullptr
             ? Conv(operands, *conv)
             : ConvTranspose(operands, std::get<ConvTransposeParameters>(kind.parameters));
}

bool Same(const Tensor& a, const Tensor& b) {
  return a.data_type() == b.data_type() && a.shape() == b.shape() &&
         std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.byte_count())) == 0;
}

// A bijection of 64 bits in which neighbours have nothing in common (SplitMix64).
std::uint64_t Scatter(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
  return x ^ (x >> 31);
}

}  // namespace

const std::vector<RequestKind>& Presets() {
  static const auto* const presets = new std::vector<RequestKind>{
      Preset("tiny", {1, 1, 1, 1}, {1, 1, 1, 1}),
      Preset("small", {1, 3, 32, 32}, {8, 3, 3, 3}),
      Preset("medium", {1, 64, 56, 56}, {64, 64, 3, 3}),
      Preset("large", {1, 16, 512, 512}, {16, 16, 1, 1}),
  };
  return *presets;
}

absl::StatusOr<RequestKind> ParseRequestKind(std::string_view text) {
  const std::string_view whole = text;
  std::int64_t weight = 1;
  if (const std::size_t star = text.find('*'); star != std::string_view::npos) {
    const auto count = ParseInteger(text.substr(0, star));
    if (!count || *count < 1 || *count > kMostWeight) {
      return absl::InvalidArgumentError(fmt::format("expected 1 to {} before the *, got {}",
                                                    kMostWeight, Quoted(text.substr(0, star))));
    }
    weight = *count;
    text = text.substr(star + 1);
  }
  for (const RequestKind& preset : Presets()) {
    if (text != preset.name) continue;
    RequestKind kind = preset;
    kind.weight = weight;
    return kind;
  }
  const std::vector<std::string_view> parts = cli::Split(text, ':');
  for (const RequestKind& preset : Presets()) {
    if (parts[0] != preset.name) continue;
    return absl::InvalidArgumentError(fmt::format(
        "{} takes no options: expected {} alone, or the shapes of input and weight with "
        "them such as 1,3,32,32:8,3,3,3:type=int8, got {}",
        preset.name, preset.name, Quoted(whole)));
  }
  if (parts.size() < 2) {
    return absl::InvalidArgumentError(
        fmt::format("expected tiny, small, medium, large or the shapes of input and weight such as "
                    "1,3,224,224:64,3,7,7:stride=2, got {}",
                    Quoted(whole)));
  }
  RequestKind kind;
  kind.name = std::string(text);
  kind.weight = weight;
  Common common;
  auto input = ParseShape(parts[0]);
  if (!input.ok()) return cli::About("shape of the input", input.status());
  auto weights = ParseShape(parts[1]);
  if (!weights.ok()) return cli::About("shape of the weight", weights.status());
  for (std::size_t i = 2; i < parts.size(); ++i) {
    if (absl::Status status = ParseOption(parts[i], common, kind); !status.ok()) return status;
  }
  kind.input = *std::move(input);
  kind.weights = *std::move(weights);
  if (common.transpose) {
    kind.parameters = ParametersOf<ConvTransposeParameters>(common);
  } else {
    kind.parameters = ParametersOf<ConvParameters>(common);
  }
  return kind;
}

absl::StatusOr<Workload> Workload::Make(std::vector<RequestKind> kinds, bool verify) {
  Workload workload;
  workload.kinds_ = std::move(kinds);
  std::uint32_t seed = 1;
  for (const RequestKind& kind : workload.kinds_) {
    workload.weights_ += kind.weight;
    ProblemSpec spec;
    spec.input = {kind.type, kind.input, {}};
    spec.weight = {kind.type, kind.weights, {}};
    spec.parameters = kind.parameters;
    const Limits limits{.max_output_bytes = kMaxMessageBytes};
    const absl::StatusOr<Problem> problem = MakeProblem(spec, limits);
    if (!problem.ok()) return problem.status();
    for (std::size_t variant = 0; variant < kVariants; ++variant) {
      Example example{SmallIntegers(kind.type, kind.input, seed),
                      SmallIntegers(kind.type, kind.weights, seed + 1),
                      {}};
      seed += 2;
      if (verify) {
        absl::StatusOr<Tensor> output =
            Compute(kind, {example.input.view(), example.weight.view(), {}});
        if (!output.ok()) return output.status();
        example.output = *std::move(output);
      }
      workload.examples_.push_back(std::move(example));
    }
  }
  return workload;
}

std::size_t Workload::KindOf(std::int64_t number) const {
  // Every run of weights_ requests has each kind as often as its weight says, in an order of its
  // own: steps through all places that share no divisor with their number.
  const auto places = static_cast<std::uint64_t>(weights_);
  const auto position = static_cast<std::uint64_t>(number % weights_);
  const std::uint64_t order = Scatter(static_cast<std::uint64_t>(number / weights_));
  std::uint64_t step = order % places + 1;
  while (std::gcd(step, places) != 1) ++step;
  auto place = static_cast<std::int64_t>((order / places % places + position * step) % places);
  std::size_t kind = 0;
  while (place >= kinds_[kind].weight) place -= kinds_[kind++].weight;
  return kind;
}

Outcome Workload::Send(const ConvolutionClient& client, std::int64_t number,
                       const CallOptions& options) const {
  const std::size_t at = KindOf(number);
  const RequestKind& kind = kinds_[at];
  const Example& example =
      examples_[at * kVariants + Scatter(static_cast<std::uint64_t>(number)) % kVariants];
  const Operands operands{example.input.view(), example.weight.view(), {}};
  const auto* const conv = std::get_if<ConvParameters>(&kind.parameters);
  const absl::StatusOr<ConvResult> result =
      conv != nullptr ? client.Conv(operands, *conv, options)
                      : client.ConvTranspose(
                            operands, std::get<ConvTransposeParameters>(kind.parameters), options);
  Outcome outcome;
  outcome.status = result.status();
  if (!result.ok()) return outcome;
  outcome.wrong = example.output.data() != nullptr && !Same(result->output, example.output);
  outcome.queue = result->execution.queue;
  outcome.compute = result->execution.compute;
  outcome.bytes =
      example.input.byte_count() + example.weight.byte_count() + result->output.byte_count();
  return outcome;
}

}  // namespace convserve::bench
