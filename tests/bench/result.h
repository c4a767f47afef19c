// What the race of one layer showed, and what follows from it.
#ifndef CONVSERVE_TESTS_BENCH_RESULT_H_
#define CONVSERVE_TESTS_BENCH_RESULT_H_

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "tests/bench/layer.h"
#include "tests/bench/race.h"
#include "tests/bench/rival.h"

namespace convserve::bench {

// One rival, or another algorithm of ours, against us.
struct RivalResult {
  std::string name = {};
  Regime regime = Regime::kPlain;
  std::string implementation = {};
  Summary time = {};
  double ratio = 0;  // how many times faster we are, prepared as well in steady regimes
  double error = 0;
  std::int64_t workspace_bytes = 0;  // of an algorithm of ours
};

struct Result {
  Layer layer;
  double flops = 0;
  std::string algorithm;
  Summary time;
  // What steady rivals are compared with: the weight packed beforehand, and tensors in the layout
  // that is faster so.
  Summary steady_time = {};
  std::string steady_algorithm = {};
  TensorLayout steady_layout = TensorLayout::kChannelsFirst;
  double peak_flops = 0;      // a second, in registers
  double stream_seconds = 0;  // to read and write the mandatory bytes
  std::int64_t mandatory_bytes = 0;
  std::int64_t workspace_bytes = 0;
  double error = 0;  // in units of the bound, see verify.h
  std::vector<RivalResult> rivals;
  std::vector<std::string> wrong;  // results that were not what they should be

  double flops_per_second() const { return flops / time.median; }
  double part_of_peak() const { return flops_per_second() / peak_flops; }
  // The shortest time that peak and bandwidth allow, relative to ours.
  double part_of_roofline() const;
  // More workspace than 10 % of the mandatory bytes and than 4 MiB.
  bool has_large_workspace() const;
  // The rival to beat, of those with no larger error; null when none ran.
  const RivalResult* best(Regime regime,
                          double most_error = std::numeric_limits<double>::infinity()) const;
};

// Geometric means over the layers of a class that have a rival in the regime; 0 when none has.
struct ClassResult {
  std::string name;
  int layers = 0;
  double flops_per_second = 0;
  double part_of_peak = 0;
  double part_of_roofline = 0;
  double against_plain = 0;
  double against_steady = 0;
  double against_accurate = 0;  // steady rivals that keep the error that we promise
  double worst_against_plain = 0;
  double worst_against_steady = 0;
};

// In the order of the layers; the last row, "all", is over all of them. Empty without results.
std::vector<ClassResult> ByClass(const std::vector<Result>& results);

}  // namespace convserve::bench

#endif  // CONVSERVE_TESTS_BENCH_RESULT_H_
