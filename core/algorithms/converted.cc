// Types other than float32 by the algorithms that take float32 alone: the tensors become float32,
// as many elements of the batch at a time as there is room for, and the result is rounded once.
//
// For problems with many products to an element, where such an algorithm gains more than two passes
// over the tensors cost, as long as the copies for one element of the batch are not large: they are
// memory that the other algorithms do without. And for depthwise convolutions of so small tensors
// that the copies stay in the caches; there, float sums of 8-bit integers are exact, too.
#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "core/algorithms/algorithm.h"
#include "core/algorithms/border.h"
#include "core/algorithms/narrow_phase.h"
#include "core/algorithms/patches.h"
#include "core/algorithms/tasks.h"
#include "core/data_type.h"
#include "core/divide.h"
#include "core/geometry.h"
#include "core/kernels/convert_kernel.h"
#include "fmt/format.h"

namespace convserve {
namespace {

// Those that may compute the problem in float32, in the planner's order. Direct takes every type
// itself; what comes after these does so, too, or is for few products alone.
constexpr std::array kForFloat32 = {&kOuter,  &kScatter,  &kDepthwise,    &kInterleaved, &kLanes,
                                    &kDirect, &kWinograd, &kChannelsLast, &kPanels};

// Multiply-adds to an element of input and output, at least, and bytes of the copies, at most.
constexpr std::int64_t kLeastProducts = 64;
constexpr std::int64_t kMostBytes = std::int64_t{64} << 20;
// Of depthwise convolutions.
constexpr std::int64_t kMostCachedBytes = std::int64_t{8} << 20;
// Elements that a task converts.
constexpr std::int64_t kElementsAtOnce = std::int64_t{1} << 16;

constexpr auto kFloat = std::int64_t{sizeof(float)};

// Bytes of a tensor as floats, in whole cache lines; 0 where it has no need of a copy.
std::int64_t CopyBytes(DataType type, std::int64_t bytes) {
  return type == DataType::kFloat32 ? 0 : RoundUp(bytes / SizeOf(type) * kFloat, 64);
}

// Where the copies are in the workspace; that of the algorithm for float32 comes last.
struct Copies {
  explicit Copies(const Problem& problem)
      : input(CopyBytes(problem.input_type(), problem.input_bytes())),
        weight(CopyBytes(problem.weight_type(), problem.weight_bytes())),
        output(CopyBytes(problem.output_type(), problem.output_bytes())) {}

  std::int64_t input, weight, output;
  std::int64_t bytes() const { return input + weight + output; }
};

// The problem with no more of the batch than so much: what takes one element takes any number.
Problem WithBatchUpTo(const Problem& problem, std::int64_t batch) {
  return problem.batch() > batch ? problem.WithBatch(batch) : problem;
}

const Algorithm* ForFloat32(const Problem& converted) {
  for (const Algorithm* algorithm : kForFloat32) {
    if (algorithm->refusal(converted).empty()) return algorithm;
  }
  return &kReference;
}

bool IsDepthwise(const Algorithm* algorithm) {
  return algorithm == &kDepthwise || algorithm == &kInterleaved || algorithm == &kLanes;
}

// Bytes of the copies, at most.
std::int64_t MostBytes(const Algorithm* algorithm) {
  return IsDepthwise(algorithm) ? kMostCachedBytes : kMostBytes;
}

// Elements of the batch that are converted together.
std::int64_t BatchAtOnce(const Problem& problem) {
  const Problem one = WithBatchUpTo(problem, 1);
  const Copies copies(one);
  const std::int64_t most = MostBytes(ForFloat32(one.AsFloat32())) - copies.weight;
  const std::int64_t each = std::max<std::int64_t>(copies.input + copies.output, 1);
  return std::max<std::int64_t>(most / each, 1);
}

// Whether gemm is faster by pairs of bfloat16 than the algorithm: not where that alone leaves out
// padding, or has less to multiply and many products for each weight that it transforms.
bool FasterByPairs(const Problem& problem, const Algorithm* algorithm) {
  if (!ArePairs(problem)) return false;
  if (algorithm == &kWinograd) {
    return problem.multiply_adds() <
           kLeastProducts * (problem.weight_bytes() / SizeOf(problem.weight_type()));
  }
  if (algorithm != &kPanels && algorithm != &kChannelsLast) return false;
  if (problem.operation() != Operation::kConv) return true;
  const Geometry g(problem);
  if (!NarrowOutputsApart(problem, g).empty()) return true;
  const Patches patches{g, problem.padding_mode(), FirstPhases(problem, g), {}, {}};
  double part = 1;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const Phase& phase = patches.phases[axis];
    part *= TapsToMultiply(patches, axis) /
            (static_cast<double>(phase.outputs) * static_cast<double>(phase.taps));
  }
  return part > 0.75;
}

// What computes a problem of integers whose biases are too large to be added in float32.
const Algorithm& kForLargeBias = kDirect;

std::string Refusal(const Problem& whole) {
  if (whole.arithmetic() == Arithmetic::kFloat64) return "products of float64";
  if (IsFloat32(whole)) return "float32 already";
  const Problem problem = WithBatchUpTo(whole, 1);
  const std::int64_t bytes[] = {problem.input_bytes(), problem.weight_bytes(),
                                problem.output_bytes()};
  if (std::any_of(std::begin(bytes), std::end(bytes), [](auto b) { return b > kMostBytes; })) {
    return "large tensors";
  }
  const Algorithm* algorithm = ForFloat32(problem.AsFloat32());
  if (algorithm == &kDirect || algorithm == &kReference) return "nothing that is for float32 alone";
  const std::int64_t most = MostBytes(algorithm);
  if (Copies(problem).bytes() > most) return fmt::format("copies past {} MiB", most >> 20);
  // Also of sums that a float does not hold.
  if (IsDepthwise(algorithm)) return kForLargeBias.refusal(problem);
  if (problem.arithmetic() == Arithmetic::kInteger) return "sums of integers";
  if (FasterByPairs(problem, algorithm)) return "bfloat16 in pairs";
  const std::int64_t elements = problem.input_bytes() / SizeOf(problem.input_type()) +
                                problem.output_bytes() / SizeOf(problem.output_type());
  if (problem.multiply_adds() < kLeastProducts * elements) {
    return fmt::format("fewer than {} products to an element", kLeastProducts);
  }
  return "";
}

std::int64_t WorkspaceBytes(const Problem& problem) {
  const Problem part = WithBatchUpTo(problem, BatchAtOnce(problem));
  const Problem converted = part.AsFloat32();
  const std::int64_t rest = ForFloat32(converted)->workspace_bytes(converted);
  const std::int64_t copies = Copies(part).bytes();
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  const std::int64_t bytes = rest > kMost - copies ? kMost : copies + rest;
  return problem.arithmetic() == Arithmetic::kInteger
             ? std::max(bytes, kForLargeBias.workspace_bytes(problem))
             : bytes;
}

// Calls body(first, count) for parts of so many elements.
template <typename Body>
void ForEachPart(std::int64_t elements, const std::stop_token& stop, Body body) {
  ForEachTask(CeilDivide(elements, kElementsAtOnce), stop, [&](std::int64_t task) {
    const std::int64_t first = task * kElementsAtOnce;
    body(first, std::min(kElementsAtOnce, elements - first));
  });
}

// The tensor in float32: itself, or a copy in `place`.
TensorView Widened(const TensorView& tensor, std::span<std::byte> place,
                   const std::stop_token& stop) {
  if (tensor.data_type == DataType::kFloat32) return tensor;
  auto* const to = reinterpret_cast<float*>(place.data());
  VisitDataType(tensor.data_type, [&](auto zero) {
    using From = decltype(zero);
    if constexpr (kTakes<float, From>) {
      const auto* from = tensor.As<From>();
      ForEachPart(*ElementCount(tensor.shape), stop, [&](std::int64_t first, std::int64_t count) {
        WidenRow(from + first, count, to + first);
      });
    }
  });
  return {DataType::kFloat32, tensor.shape, place.data()};
}

// Takes so many bytes from the front.
std::span<std::byte> Take(std::span<std::byte>& free, std::int64_t bytes) {
  const auto taken = free.first(static_cast<std::size_t>(bytes));
  free = free.subspan(static_cast<std::size_t>(bytes));
  return taken;
}

// A part of the batch, with a weight and bias of floats.
absl::Status ComputePart(const Run& run, Operands operands) {
  const Copies copies(run.problem);
  std::span<std::byte> free = run.workspace;
  operands.input = Widened(run.operands.input, Take(free, copies.input), run.stop);
  const auto elements = run.problem.output_bytes() / SizeOf(run.problem.output_type());
  std::span<std::byte> output = run.output;
  if (copies.output > 0) {
    output = Take(free, copies.output).first(static_cast<std::size_t>(elements * kFloat));
  }
  const Problem problem = run.problem.AsFloat32();
  absl::Status status = ForFloat32(problem)->run({problem, operands, output, free, run.stop});
  if (!status.ok() || copies.output == 0) return status;
  const auto* sums = reinterpret_cast<const float*>(output.data());
  VisitDataType(run.problem.output_type(), [&](auto zero) {
    auto* const to = reinterpret_cast<decltype(zero)*>(run.output.data());
    ForEachPart(elements, run.stop, [&](std::int64_t first, std::int64_t count) {
      RoundRow(sums + first, 0.0F, count, to + first);
    });
  });
  return StatusAfter(run.stop);
}

absl::Status Compute(const Run& run) {
  if (run.problem.arithmetic() == Arithmetic::kInteger &&
      !AddExactlyInFloat(LoadBias<std::int64_t>(run))) {
    return kForLargeBias.run(run);
  }
  std::span<std::byte> free = run.workspace;
  Operands operands;
  operands.weight = Widened(run.operands.weight, Take(free, Copies(run.problem).weight), run.stop);
  const std::vector<float> bias = LoadBias<float>(run);
  if (run.operands.bias) {
    operands.bias = {DataType::kFloat32, run.operands.bias->shape,
                     reinterpret_cast<const std::byte*>(bias.data())};
  }
  const std::int64_t at_once = BatchAtOnce(run.problem);
  Operands rest = run.operands;
  std::span<std::byte> output = run.output;
  for (std::int64_t left = run.problem.batch(); left > 0; left -= at_once) {
    const Problem part = WithBatchUpTo(run.problem, std::min(at_once, left));
    rest.input.shape = part.input_shape();
    const auto to = Take(output, part.output_bytes());
    absl::Status status = ComputePart({part, rest, to, free, run.stop}, operands);
    if (!status.ok()) return status;
    rest.input.data += part.input_bytes();
  }
  return StatusAfter(run.stop);
}

}  // namespace

constexpr Algorithm kConverted = {"converted", Refusal, WorkspaceBytes, Compute};

}  // namespace convserve
