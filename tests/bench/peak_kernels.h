// The loops behind peak.h, compiled for every instruction set.
#ifndef CONVSERVE_TESTS_BENCH_PEAK_KERNELS_H_
#define CONVSERVE_TESTS_BENCH_PEAK_KERNELS_H_

#include <cstddef>
#include <cstdint>

namespace convserve::bench {

// Floats to read and floats to write; both pointers aligned to 64 bytes.
struct StreamPiece {
  const float* source = nullptr;
  std::size_t source_count = 0;
  float* target = nullptr;
  std::size_t target_count = 0;
  bool past_caches = false;
};

// Each returns a value that depends on all the work, to be kept.

// `rounds` times FmaRoundSize() multiply-adds on registers.
float MultiplyAdds(std::int64_t rounds);
std::int64_t FmaRoundSize();

float ReadAndWrite(const StreamPiece& piece);

}  // namespace convserve::bench

#endif  // CONVSERVE_TESTS_BENCH_PEAK_KERNELS_H_
