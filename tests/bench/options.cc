#include "tests/bench/options.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "CLI/CLI.hpp"
#include "core/convolve.h"
#include "core/planner.h"
#include "tests/bench/rival.h"

namespace convserve::bench {
namespace {

constexpr char kDescription[] =
    "Measures convserve against other libraries: one run, interleaved and pinned.\n"
    "Every result is checked before it is timed.";

std::set<std::string> Names(const std::vector<std::string_view>& names) {
  return {names.begin(), names.end()};
}

std::set<std::string> RivalNames() {
  std::set<std::string> names;
  for (const Rival& rival : Rivals()) names.emplace(rival.name);
  return names;
}

bool Contains(const std::vector<std::string>& chosen, const std::string& name) {
  return std::find(chosen.begin(), chosen.end(), name) != chosen.end();
}

}  // namespace

std::optional<Options> ParseOptions(int argc, char** argv, int& exit_code) {
  Options options;
  options.csv_path = CONVSERVE_SOURCE_DIR "/build/bench/results.csv";
  options.svg_path = CONVSERVE_SOURCE_DIR "/build/bench/results.svg";
  std::string layer_file = CONVSERVE_SOURCE_DIR "/tests/bench/layers.csv";
  std::vector<std::string> names, classes;
  bool update = false;

  CLI::App app(kDescription, "convserve_bench");
  app.add_option("--layers", layer_file, "The file of layers")->capture_default_str();
  app.add_option("--layer", names, "Only these layers")->delimiter(',');
  app.add_option("--class", classes, "Only layers of these classes")->delimiter(',');
  app.add_option("--threads", options.threads, "Threads of every contender")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--isa", options.instruction_set, "Instruction set of every contender")
      ->check(CLI::IsMember(Names(InstructionSets())));
  app.add_option("--algorithm", options.algorithm, "Our algorithm; layers it refuses are left out")
      ->check(CLI::IsMember(Names(AlgorithmNames())));
  app.add_option("--rival", options.rivals, "Only these rivals")
      ->delimiter(',')
      ->check(CLI::IsMember(RivalNames()));
  app.add_option("--seconds", options.schedule.seconds, "About how long a layer is measured")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--rounds", options.schedule.rounds, "The most rounds a layer is measured for")
      ->check(CLI::Range(3, 1000))
      ->capture_default_str();
  app.add_option("--csv", options.csv_path, "Where the results go")->capture_default_str();
  app.add_option("--svg", options.svg_path, "Where the chart goes")->capture_default_str();
  app.add_flag("--update", update, "Write the chart that the README shows as well");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    exit_code = app.exit(error);
    return std::nullopt;
  }
  if (update) options.svg_path = CONVSERVE_SOURCE_DIR "/tests/bench/results.svg";

  const absl::StatusOr<std::vector<Layer>> layers = ReadLayers(layer_file);
  if (!layers.ok()) {
    exit_code = app.exit(CLI::ValidationError("--layers", std::string(layers.status().message())));
    return std::nullopt;
  }
  for (const Layer& layer : *layers) {
    if (!names.empty() && !Contains(names, layer.name)) continue;
    if (!classes.empty() && !Contains(classes, layer.class_name)) continue;
    options.layers.push_back(layer);
  }
  if (options.layers.empty()) {
    exit_code = app.exit(CLI::ValidationError("no layer has the name and the class asked for"));
    return std::nullopt;
  }
  return options;
}

}  // namespace convserve::bench
