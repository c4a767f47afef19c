#include "tests/bench/options.h"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>

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

const std::map<std::string, TensorLayout> kLayouts = {
    {"channels_first", TensorLayout::kChannelsFirst},
    {"channels_last", TensorLayout::kChannelsLast}};

std::vector<std::string> TypeNames() {
  std::vector<std::string> names;
  for (const ElementTypes& types : kElementTypes) names.emplace_back(types.name);
  return names;
}

bool Contains(const std::vector<std::string>& chosen, const std::string& name) {
  return chosen.empty() || std::find(chosen.begin(), chosen.end(), name) != chosen.end();
}

// Throws when a layer has none of the names.
void CheckKnown(const std::string& option, const std::vector<std::string>& chosen,
                const std::set<std::string>& known) {
  for (std::string name : chosen) {
    const std::string mistake = CLI::IsMember(known)(name);
    if (!mistake.empty()) throw CLI::ValidationError(option, mistake);
  }
}

struct Selection {
  std::string file = CONVSERVE_SOURCE_DIR "/tests/bench/layers.csv";
  std::vector<std::string> names, classes;
};

std::vector<Layer> Select(const Selection& selection) {
  const absl::StatusOr<std::vector<Layer>> layers = ReadLayers(selection.file);
  if (!layers.ok()) {
    throw CLI::ValidationError("--layers", std::string(layers.status().message()));
  }
  std::set<std::string> names, classes;
  for (const Layer& layer : *layers) {
    names.insert(layer.name);
    classes.insert(layer.class_name);
  }
  CheckKnown("--layer", selection.names, names);
  CheckKnown("--class", selection.classes, classes);
  std::vector<Layer> chosen;
  for (const Layer& layer : *layers) {
    if (Contains(selection.names, layer.name) && Contains(selection.classes, layer.class_name)) {
      chosen.push_back(layer);
    }
  }
  if (chosen.empty()) throw CLI::ValidationError("--layer", "none of them is of the --class");
  return chosen;
}

}  // namespace

std::optional<Options> ParseOptions(int argc, char** argv, int& exit_code) {
  Options options;
  options.csv_path = CONVSERVE_SOURCE_DIR "/build/bench/results.csv";
  options.svg_path = CONVSERVE_SOURCE_DIR "/build/bench/results.svg";
  Selection selection;
  std::string type_name(options.types->name);
  bool update = false;

  CLI::App app(kDescription, "convserve_bench");
  app.add_option("--layers", selection.file, "The file of layers")->capture_default_str();
  CLI::Option* layer =
      app.add_option("--layer", selection.names, "Only these layers")->delimiter(',');
  CLI::Option* of_class =
      app.add_option("--class", selection.classes, "Only layers of these classes")->delimiter(',');
  CLI::Option* type =
      app.add_option("--type", type_name, "Type of input and weights; uint8 has weights of int8")
          ->check(CLI::IsMember(TypeNames()))
          ->capture_default_str();
  CLI::Option* layout =
      app.add_option("--layout", options.layout, "Of tensors; weights stay in the plain one")
          ->transform(CLI::CheckedTransformer(kLayouts))
          ->default_str("channels_first");
  app.add_option("--threads", options.threads, "Threads of every contender")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--isa", options.instruction_set, "Instruction set of every contender")
      ->check(CLI::IsMember(Names(InstructionSets())));
  app.add_option("--algorithm", options.algorithm, "Our algorithm; layers it refuses are left out")
      ->check(CLI::IsMember(Names(AlgorithmNames())));
  app.add_flag("--every-algorithm", options.every_algorithm,
               "Race also our algorithms that were not chosen");
  app.add_flag("--scaling", options.scaling,
               "Instead of rivals: us on 1, 2, 4, ... and --threads threads, and whether the bits "
               "stay the same");
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
  app.add_flag("--update", update, "Write the chart that the README shows, of all layers")
      ->excludes(layer)
      ->excludes(type)
      ->excludes(layout)
      ->excludes(of_class);
  try {
    app.parse(argc, argv);
    options.layers = Select(selection);
    options.types = std::ranges::find(kElementTypes, type_name, &ElementTypes::name);
  } catch (const CLI::ParseError& error) {
    exit_code = app.exit(error);
    return std::nullopt;
  }
  if (update) options.svg_path = CONVSERVE_SOURCE_DIR "/tests/bench/results.svg";
  return options;
}

}  // namespace convserve::bench
