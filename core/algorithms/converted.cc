// float16, bfloat16 and bytes with float32 weights, by the algorithms that take float32 alone: the
// tensors become float32 as a whole, and the result is rounded once.
//
// For problems with many products to an element, where such an algorithm gains more than two passes
// over the tensors cost, and for tensors that are not large, as their copies are memory that the
// other algorithms do without.
#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "core/algorithms/algorithm.h"
#include "core/algorithms/border.h"
#include "core/algorithms/patches.h"
#include "core/algorithms/tasks.h"
#include "core/data_type.h"
#include "core/divide.h"
#include "core/kernels/convert_kernel.h"
#include "fmt/format.h"

namespace convserve {
namespace {

// Those that may compute the problem in float32, in the planner's order. Others take every type, or
// problems of few products alone.
constexpr std::array kForFloat32 = {&kScatter, &kWinograd, &kChannelsLast, &kPanels};

// Multiply-adds to an element of input and output, at least.
constexpr std::int64_t kLeastProducts = 64;
// Bytes of the copies, at most.
constexpr std::int64_t kMostBytes = std::int64_t{64} << 20;
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

// Nothing where no algorithm for float32 alone takes the problem.
const Algorithm* ForFloat32(const Problem& converted) {
  for (const Algorithm* algorithm : kForFloat32) {
    if (algorithm->refusal(converted).empty()) return algorithm;
  }
  return nullptr;
}

std::string Refusal(const Problem& problem) {
  if (problem.arithmetic() != Arithmetic::kFloat32) return "products that are not of float32";
  if (IsFloat32(problem)) return "float32 already";
  const std::int64_t bytes[] = {problem.input_bytes(), problem.weight_bytes(),
                                problem.output_bytes()};
  if (std::any_of(std::begin(bytes), std::end(bytes), [](auto b) { return b > kMostBytes; }) ||
      Copies(problem).bytes() > kMostBytes) {
    return fmt::format("copies of more than {} MiB", kMostBytes >> 20);
  }
  const std::int64_t elements = problem.input_bytes() / SizeOf(problem.input_type()) +
                                problem.output_bytes() / SizeOf(problem.output_type());
  if (problem.multiply_adds() < kLeastProducts * elements) {
    return fmt::format("fewer than {} products to an element", kLeastProducts);
  }
  if (ForFloat32(problem.AsFloat32()) == nullptr) return "nothing that is for float32 alone";
  return "";
}

std::int64_t WorkspaceBytes(const Problem& problem) {
  const Problem converted = problem.AsFloat32();
  const std::int64_t rest = ForFloat32(converted)->workspace_bytes(converted);
  const std::int64_t copies = Copies(problem).bytes();
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  return rest > kMost - copies ? kMost : copies + rest;
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

absl::Status Compute(const Run& run) {
  const Problem problem = run.problem.AsFloat32();
  const Copies copies(run.problem);
  std::span<std::byte> free = run.workspace;
  const auto take = [&free](std::int64_t bytes) {
    const auto taken = free.first(static_cast<std::size_t>(bytes));
    free = free.subspan(static_cast<std::size_t>(bytes));
    return taken;
  };
  Operands operands;
  operands.input = Widened(run.operands.input, take(copies.input), run.stop);
  operands.weight = Widened(run.operands.weight, take(copies.weight), run.stop);
  const std::vector<float> bias = LoadBias<float>(run);
  if (run.operands.bias) {
    operands.bias = {DataType::kFloat32, run.operands.bias->shape,
                     reinterpret_cast<const std::byte*>(bias.data())};
  }
  const auto elements = run.problem.output_bytes() / SizeOf(run.problem.output_type());
  std::span<std::byte> output = run.output;
  if (copies.output > 0) {
    output = take(copies.output).first(static_cast<std::size_t>(elements * kFloat));
  }
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

}  // namespace

constexpr Algorithm kConverted = {"converted", Refusal, WorkspaceBytes, Compute};

}  // namespace convserve
