#include "tests/bench/rivals/rivals.h"

#include <vector>

namespace convserve::bench {

std::vector<Rival> Rivals() {
  return {
#ifdef CONVSERVE_BENCH_ONEDNN
      {"onednn/plain", Regime::kPlain, PrepareOneDnnPlain, true, true},
      {"onednn/oneshot", Regime::kPlain, PrepareOneDnnOneShot, true, true},
      {"onednn/any", Regime::kSteady, PrepareOneDnnAny, true, true},
      {"onednn/winograd", Regime::kSteady, PrepareOneDnnWinograd, false, true},
#endif
#ifdef CONVSERVE_BENCH_OPENBLAS
      {"openblas/im2col", Regime::kPlain, PrepareIm2col},
#endif
#ifdef CONVSERVE_BENCH_OPENCV
      {"opencv/filter2d", Regime::kPlain, PrepareFilter2d},
#endif
      {"simple/naive", Regime::kPlain, PrepareNaive},
  };
}

}  // namespace convserve::bench
