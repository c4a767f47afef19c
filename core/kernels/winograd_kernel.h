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
// Elements that a vector may read or write past the last one that it is asked for.
inline constexpr std::int64_t kWinogradSlack = 32;

// Tiles in rows and columns; tile (i, j) begins at row 2i and column 2j of the window, and has
// number i*columns + j.
struct WinogradTiles {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
};

// out[e*stride + tile] = element e of B^T d B, for every tile of one channel.
struct WinogradInput {
  WinogradTiles tiles;
  const float* window = nullptr;
  std::int64_t pitch = 0;
  float* out = nullptr;  // kWinogradSlack more are written in each of the 16
  std::int64_t stride = 0;
};

// out[e*stride + k] = element e of G g G^T for g = weights[9k, 9k + 9), k < count.
struct WinogradWeights {
  const float* weights = nullptr;
  std::int64_t count = 0;
  float* out = nullptr;
  std::int64_t stride = 0;
  // For each of the nine taps, the sums of |g[t]| and of g[t]^2 over all k; written.
  float* sums = nullptr;
  float* squares = nullptr;
};

// Outputs [0, rows) x [0, columns) of A^T s A + bias, with s[e] = sums[e*stride + tile].
struct WinogradOutput {
  WinogradTiles tiles;
  const float* sums = nullptr;
  std::int64_t stride = 0;
  float bias = 0;
  float* out = nullptr;
  std::int64_t pitch = 0;
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
