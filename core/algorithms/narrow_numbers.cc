#include "core/algorithms/narrow_numbers.h"

#include "core/kernels/byte_kernel.h"
#include "core/kernels/pair_kernel.h"

namespace convserve {

void ByteQuad::Make(const Number* from, std::int64_t pitch, std::int64_t count, std::uint8_t flip,
                    Element* to, std::int64_t times) {
  ByteKernels().quads({from, pitch, count, flip, to, times});
}

void BFloat16Pair::Make(const Number* from, std::int64_t pitch, std::int64_t count,
                        std::uint8_t /*flip*/, Element* to, std::int64_t times) {
  PairKernels().pairs({from, pitch, count, to, times});
}

}  // namespace convserve
