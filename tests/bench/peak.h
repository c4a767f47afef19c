// What the machine can do at best, measured in the same rounds as the contenders and on the
// instruction set that our kernels run on.
#ifndef CONVSERVE_TESTS_BENCH_PEAK_H_
#define CONVSERVE_TESTS_BENCH_PEAK_H_

#include <cstdint>

#include "core/aligned_buffer.h"
#include "tests/bench/rival.h"

namespace convserve::bench {

// Fused multiply-adds on registers alone, on every thread.
class FmaPeak : public Runner {
 public:
  explicit FmaPeak(int threads) : threads_(threads) {}
  void Run() override;
  std::span<const float> Output() override { return {}; }
  // Of one Run.
  double flops() const;

 private:
  int threads_;
};

// Reads as many bytes as a layer's input and weight have and writes as many as its output: what no
// implementation can be faster than, at the level of the caches where the layer lives. Large
// outputs are written past the caches.
class Stream : public Runner {
 public:
  Stream(std::int64_t read_bytes, std::int64_t written_bytes, int threads);
  void Run() override;
  std::span<const float> Output() override { return {}; }

 private:
  AlignedBuffer source_, target_;
  int threads_;
};

}  // namespace convserve::bench

#endif  // CONVSERVE_TESTS_BENCH_PEAK_H_
