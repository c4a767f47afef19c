// The transforms of Winograd's F(2x2, 3x3) (A. Lavin, S. Gray, "Fast Algorithms for Convolutional
// Neural Networks", 2016): with
//
//         | 1  0 -1  0 |        | 1    0    0  |         | 1  1  1  0 |
//   B^T = | 0  1  1  0 |    G = | 1/2  1/2 1/2 |   A^T = | 0  1 -1 -1 |
//         | 0 -1  1  0 |        | 1/2 -1/2 1/2 |
//         | 0  1  0 -1 |        | 0    0    1  |
//
// the 2x2 outputs that a 3x3 kernel g makes of a 4x4 tile d of the input are
//
//   A^T [ (G g G^T) * (B^T d B) ] A        (* element by element)
//
// 16 products instead of 36. Additions are made in one fixed order: the bits are the same on every
// instruction set.
#ifndef CONVSERVE_CORE_KERNELS_WINOGRAD_KERNEL_H_
#define CONVSERVE_CORE_KERNELS_WINOGRAD_KERNEL_H_

#include <cstdint>

namespace convserve {

// Elements of a transformed tile.
inline constexpr std::int64_t kWinogradElements = 16;
// Tiles that are transformed at once, at most.
inline constexpr std::int64_t kMaxWinogradTiles = 128;
// Elements that a vector may read or write past the last one that it is asked for.
inline constexpr std::int64_t kWinogradSlack = 32;

// Tiles in rows and columns; tile (i, j) begins at row 2i and column 2j of the window, and has
// number i*columns + j.
struct WinogradTiles {
  std::int64_t rows = 0;
  std::int64_t columns = 0;

  std::int64_t count() const { return rows * columns; }
};

// B^T d B for every tile of one channel, in strips of a product (core/kernels/panel_kernel.h) for
// each element: element e of tile t is
//   out[e*element_stride + t / strip * strip_stride + t % strip].
struct WinogradInput {
  WinogradTiles tiles;
  std::int64_t first_tile = 0;  // the number of tile (0, 0); the others count on from there
  const float* window = nullptr;
  std::int64_t pitch = 0;
  float* out = nullptr;  // vectors may reach into the row of a strip after this one
  std::int64_t element_stride = 0;
  std::int64_t strip_stride = 0;
};

// G g G^T for channels [0, count) of some filters, where filter i and channel k have the taps
// g = weights[i*filter_stride + 9k, ... + 9): in panels of a product for each element,
// `element_stride` apart.
struct WinogradWeights {
  const float* weights = nullptr;
  std::int64_t filters = 0;
  std::int64_t filter_stride = 0;
  std::int64_t count = 0;
  float* out = nullptr;  // kWinogradSlack more are written after the panels of each of the 16
  std::int64_t element_stride = 0;
  // For tap t of filter i, the sums of |g[t]| and of g[t]^2 over all k are added to those at
  // [t*norm_stride + i].
  float* sums = nullptr;
  float* squares = nullptr;
  std::int64_t norm_stride = 0;
};

// Outputs [0, rows) x [0, columns) of A^T s A + bias, with s[e] = sums[e*stride + tile].
struct WinogradOutput {
  WinogradTiles tiles;
  const float* sums = nullptr;
  std::int64_t stride = 0;
  float bias = 0;
  float* out = nullptr;
  std::int64_t pitch = 0;
  std::int64_t step = 1;  // from one output of a row to the next
  std::int64_t rows = 0;
  std::int64_t columns = 0;
};

// sums[i] += |x[i]| and squares[i] += x[i]^2, for i < count.
struct WinogradNorms {
  const float* x = nullptr;
  float* sums = nullptr;
  float* squares = nullptr;
  std::int64_t count = 0;
};

// Compiled once for each instruction set.
struct WinogradTable {
  void (*input)(const WinogradInput&) = nullptr;
  void (*weights)(const WinogradWeights&) = nullptr;
  void (*output)(const WinogradOutput&) = nullptr;
  void (*norms)(const WinogradNorms&) = nullptr;
};

// The transforms of the instruction set in use. Thread-safe.
const WinogradTable& WinogradKernels();

}  // namespace convserve

#endif  // CONVSERVE_CORE_KERNELS_WINOGRAD_KERNEL_H_
