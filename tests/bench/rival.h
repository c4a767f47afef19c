// Ways to compute a layer, ours and those of other libraries, behind one interface. A rival is one
// file in tests/bench/rivals and one row of the table in rivals.cc.
#ifndef CONVSERVE_TESTS_BENCH_RIVAL_H_
#define CONVSERVE_TESTS_BENCH_RIVAL_H_

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/bench/workload.h"

namespace convserve::bench {

// What the time of a run includes.
enum class Regime {
  kPlain,   // plain tensors and weights in, plain output out: every reordering and packing
  kSteady,  // the rival's own layouts, prepared beforehand and not counted
  kOurs,    // plain as well, but no rival: another algorithm of ours
};

// One way to compute one workload, with everything prepared that the regime lets be prepared. The
// workload outlives it.
class Runner {
 public:
  virtual ~Runner() = default;
  // What is timed.
  virtual void Run() = 0;
  // The result of the last Run in the workload's layout. May convert; not timed.
  virtual std::span<const float> Output() = 0;
  // Which of its implementations the library chose, for people.
  virtual std::string Implementation() const { return ""; }
};

struct Rival {
  std::string_view name;  // "library/way"
  Regime regime;
  // UNIMPLEMENTED, with the reason, when the library cannot compute the layer or is far too slow
  // to be a rival.
  absl::StatusOr<std::unique_ptr<Runner>> (*prepare)(const Workload& workload);
  bool every_type = false;    // else float32 alone
  bool every_layout = false;  // else channels first alone
};

// Those that were built in.
std::vector<Rival> Rivals();

}  // namespace convserve::bench

#endif  // CONVSERVE_TESTS_BENCH_RIVAL_H_
