// The command line of convserve_bench.
#ifndef CONVSERVE_TESTS_BENCH_OPTIONS_H_
#define CONVSERVE_TESTS_BENCH_OPTIONS_H_

#include <optional>
#include <string>
#include <vector>

#include "tests/bench/layer.h"
#include "tests/bench/race.h"

namespace convserve::bench {

struct Options {
  std::vector<Layer> layers;  // those chosen
  const ElementTypes* types = &kElementTypes.front();
  TensorLayout layout = TensorLayout::kChannelsFirst;
  int threads = 1;
  std::string instruction_set = {};  // empty: the best there is
  std::string algorithm = {};        // empty: the planner's choice
  bool every_algorithm = false;
  bool scaling = false;
  std::vector<std::string> rivals = {};  // those chosen; empty: all
  Schedule schedule = {};
  std::string csv_path = {};
  std::string svg_path = {};
};

// Nothing when the program is to end with `exit_code`: help was asked for, or a mistake was
// printed.
std::optional<Options> ParseOptions(int argc, char** argv, int& exit_code);

}  // namespace convserve::bench

#endif  // CONVSERVE_TESTS_BENCH_OPTIONS_H_
