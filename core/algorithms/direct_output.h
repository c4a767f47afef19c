// Where the outputs that core/algorithms/direct.cc computes go: from the kernel to their places, by
// way of sums that are rounded, or of planes that are put together.
#ifndef CONVSERVE_CORE_ALGORITHMS_DIRECT_OUTPUT_H_
#define CONVSERVE_CORE_ALGORITHMS_DIRECT_OUTPUT_H_

#include <cstdint>
#include <type_traits>

#include "core/algorithms/algorithm.h"
#include "core/algorithms/direct_window.h"
#include "core/algorithms/totals.h"
#include "core/convert.h"
#include "core/geometry.h"
#include "core/kernels/convert_kernel.h"
#include "core/kernels/direct_kernel.h"
#include "core/kernels/packing_kernel.h"
#include "core/scratch.h"
#include "hwy/cache_control.h"

namespace convserve {

inline DirectKernel<float> GetDirectKernel(float /*type*/) { return DirectKernels().for_float; }
inline DirectKernel<double> GetDirectKernel(double /*type*/) { return DirectKernels().for_double; }

// T is the type that sums are formed in, Sum (std::int64_t where T's sums are whole numbers) that
// of their total with the bias. Tiles come without bias and C, but with C's pitch and step in the
// output; `output` is the element of it that they begin at.
template <typename T, typename Sum>
class DirectOutput {
 public:
  DirectOutput(const Run& run, const Geometry& g) : run_(run), totals_(run, g) {
    if constexpr (!std::is_same_v<T, Sum>) exact_ = AddExactlyInFloat(totals_.bias());
  }

  const Totals<T, Sum>& totals() const { return totals_; }

  // Computes a tile of one filter.
  void Compute(DirectTile<T> tile, Sum bias, std::int64_t output) const {
    if (!totals_.is_output_type()) return Round(tile, bias, output);
    tile.bias = static_cast<T>(bias);
    tile.c = reinterpret_cast<T*>(run_.output.data()) + output;
    kernel_(tile);
  }

  // The same of some filters whose outputs lie side by side: of filter i the window begins
  // i*window_step further on, weights and bias i*weight_step and i.
  void ComputeTogether(DirectTile<T> tile, std::int64_t filters, std::int64_t window_step,
                       std::int64_t weight_step, const Sum* bias, std::int64_t output) const {
    static_assert(sizeof(T) == 4);
    float* const planes = Sums();
    const std::int64_t size = tile.rows * tile.columns;
    const std::int64_t row_step = tile.c_pitch;
    const std::int64_t step = tile.c_step;
    tile.c_pitch = tile.columns;
    tile.c_step = 1;
    for (std::int64_t i = 0; i < filters; ++i) {
      tile.bias = static_cast<T>(bias[i]);
      tile.c = planes + i * size;
      kernel_(tile);
      tile.window += window_step;
      tile.weights += weight_step;
    }
    const bool past_caches = LeavesCaches(run_.problem);
    for (std::int64_t y = 0; y < tile.rows; ++y) {
      PackingKernels().transpose(
          {.from = planes + y * tile.columns,
           .from_pitch = size,
           .rows = tile.columns,
           .columns = filters,
           .to = reinterpret_cast<float*>(run_.output.data()) + output + y * row_step,
           .to_pitch = step,
           .past_caches = past_caches});
    }
    if (past_caches) hwy::FlushStream();
  }

 private:
  static T* Sums() { return reinterpret_cast<T*>(ThreadScratch()) + kDirectPlace; }

  // Computes a tile whose outputs have another type.
  void Round(const DirectTile<T>& tile, Sum bias, std::int64_t output) const {
    DirectTile<T> sums = tile;
    sums.c = Sums();
    sums.c_pitch = tile.columns;
    sums.c_step = 1;
    sums.past_caches = false;
    kernel_(sums);
    VisitDataType(run_.problem.output_type(), [&](auto zero) {
      using Out = decltype(zero);
      Out* to = reinterpret_cast<Out*>(run_.output.data()) + output;
      const T* from = sums.c;
      // Rows that follow each other in both places are one.
      const bool joined = tile.c_step == 1 && tile.c_pitch == tile.columns;
      const std::int64_t rows = joined ? 1 : tile.rows;
      const std::int64_t columns = joined ? tile.rows * tile.columns : tile.columns;
      for (std::int64_t y = 0; y < rows; ++y, from += columns, to += tile.c_pitch) {
        if (exact_) {
          RoundRow(from, static_cast<T>(bias), columns, tile.c_step, to);
        } else {
          for (std::int64_t x = 0; x < columns; ++x) {
            to[x * tile.c_step] = RoundTo<Out>(static_cast<Sum>(from[x]) + bias);
          }
        }
      }
    });
  }

  const Run& run_;
  const DirectKernel<T> kernel_ = GetDirectKernel(T{});
  const Totals<T, Sum> totals_;
  bool exact_ = true;  // biases are added to sums without rounding that is not T's
};

}  // namespace convserve

#endif  // CONVSERVE_CORE_ALGORITHMS_DIRECT_OUTPUT_H_
