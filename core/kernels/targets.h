// To be included before hwy/highway.h by every kernel file, so that all of them compile the same
// targets.
//
// Only targets with fused multiply-add (AVX-512, AVX2, NEON) and the scalar fallback, which calls
// std::fma: a sum has the same bits on every one of them. The SSE targets round twice and would
// break that.
#ifndef CONVSERVE_CORE_KERNELS_TARGETS_H_
#define CONVSERVE_CORE_KERNELS_TARGETS_H_

#include "hwy/detect_compiler_arch.h"

#if HWY_ARCH_X86
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)
#endif

#endif  // CONVSERVE_CORE_KERNELS_TARGETS_H_
