// How long layers of known networks take through the core, on all threads; a rate of multiply-adds
// beside the time.
#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "benchmark/benchmark.h"
#include "core/convolve.h"
#include "core/planner.h"
#include "core/problem.h"
#include "tests/support/tensors.h"

namespace convserve {
namespace {

struct Layer {
  std::string name;
  Shape input;
  Shape weight;
  std::variant<ConvParameters, ConvTransposeParameters> parameters;
};

std::vector<Layer> Layers() {
  using Transposed = ConvTransposeParameters;
  return {
      {"resnet50 7x7 stride 2",
       {1, 3, 224, 224},
       {64, 3, 7, 7},
       ConvParameters{.stride = {2}, .padding = {3}}},
      {"resnet50 3x3", {1, 64, 56, 56}, {64, 64, 3, 3}, ConvParameters{.padding = {1}}},
      {"resnet50 3x3 deep", {1, 512, 7, 7}, {512, 512, 3, 3}, ConvParameters{.padding = {1}}},
      {"resnet50 1x1", {1, 256, 56, 56}, {64, 256, 1, 1}, ConvParameters{}},
      {"mobilenet depthwise 3x3",
       {1, 144, 56, 56},
       {144, 1, 3, 3},
       ConvParameters{.padding = {1}, .groups = 144}},
      {"dilated 3x3",
       {1, 256, 28, 28},
       {256, 256, 3, 3},
       ConvParameters{.dilation = {2}, .padding = {2}}},
      {"1-D, kernel 9", {1, 64, 16000}, {64, 64, 9}, ConvParameters{.padding = {4}}},
      {"3-D 3x3x3", {1, 16, 16, 56, 56}, {32, 16, 3, 3, 3}, ConvParameters{.padding = {1}}},
      {"picture, gaussian 9x9",
       {1, 3, 853, 1280},
       {3, 1, 9, 9},
       ConvParameters{.padding = {4}, .groups = 3}},
      {"dcgan transposed 4x4 stride 2",
       {1, 512, 8, 8},
       {512, 256, 4, 4},
       Transposed{.stride = {2}, .padding = {1}}},
      {"unet transposed 2x2 stride 2",
       {1, 256, 56, 56},
       {256, 128, 2, 2},
       Transposed{.stride = {2}}},
  };
}

void RunLayer(benchmark::State& state, const Layer& layer) {
  std::mt19937 random(1);
  const Tensor input = testing::RandomIntegers(random, DataType::kFloat32, layer.input);
  const Tensor weight = testing::RandomIntegers(random, DataType::kFloat32, layer.weight);
  const auto problem = MakeProblem({.input = {DataType::kFloat32, layer.input, std::nullopt},
                                    .weight = {DataType::kFloat32, layer.weight, std::nullopt},
                                    .bias = std::nullopt,
                                    .parameters = layer.parameters});
  if (!problem.ok()) return state.SkipWithError(problem.status().ToString().c_str());
  const auto plan = MakePlan(*problem);
  if (!plan.ok()) return state.SkipWithError(plan.status().ToString().c_str());
  Tensor output(problem->output_type(), problem->output_shape());
  const std::span bytes(output.data(), static_cast<std::size_t>(output.byte_count()));
  const Operands operands = {input.view(), weight.view(), std::nullopt};
  for (auto _ : state) {
    const absl::Status status = Execute(*plan, operands, bytes);
    if (!status.ok()) return state.SkipWithError(status.ToString().c_str());
    benchmark::ClobberMemory();
  }
  state.SetLabel(std::string(plan->algorithm_name()));
  state.counters["multiply_adds"] = benchmark::Counter(
      static_cast<double>(problem->multiply_adds()), benchmark::Counter::kIsIterationInvariantRate);
}

}  // namespace
}  // namespace convserve

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::AddCustomContext("instruction_set", std::string(convserve::InstructionSet()));
  for (const convserve::Layer& layer : convserve::Layers()) {
    benchmark::RegisterBenchmark(
        layer.name.c_str(), [layer](benchmark::State& state) { convserve::RunLayer(state, layer); })
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
  }
  benchmark::RunSpecifiedBenchmarks();
}
