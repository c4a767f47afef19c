// The transforms of Winograd's F(2x2, 3x3) and F(2x4, 3x3) (A. Lavin, S. Gray, "Fast Algorithms for
// Convolutional Neural Networks", 2016), which nest two of one axis. Two outputs are made by
//
//         | 1  0 -1  0 |        | 1    0    0  |         | 1  1  1  0 |
//   B^T = | 0  1  1  0 |    G = | 1/2  1/2 1/2 |   A^T = | 0  1 -1 -1 |
//         | 0 -1  1  0 |        | 1/2 -1/2 1/2 |
//         | 0  1  0 -1 |        | 0    0    1  |
//
// and four by the points 0, a, -a, b, -b and infinity, with p = a^2 b^2 and q = a^2 + b^2:
//
//         | p     0   -q    0   1  0 |        | 1/p              |
//         | 0 -ab^2 -b^2    a   1  0 |        | c    ca   ca^2   |
//   B^T = | 0  ab^2 -b^2   -a   1  0 |    G = | c   -ca   ca^2   |
//         | 0 -ba^2 -a^2    b   1  0 |        | d    db   db^2   |
//         | 0  ba^2 -a^2   -b   1  0 |        | d   -db   db^2   |
//         | 0     p    0   -q   0  1 |        |             1    |
//
//         | 1  1    1    1    1    0 |
//   A^T = | 0  a   -a    b   -b    0 |
//         | 0  a^2  a^2  b^2  b^2  0 |
//         | 0  a^3 -a^3  b^3 -b^3  1 |
//
// where 1/c = 2a^2 (a^2 - b^2) and 1/d = 2b^2 (b^2 - a^2). Rounding shows the less the closer a and
// b are to 0.65 and 1.54, where the elements of all three matrices are small; those used here have
// powers that are exact (B. Barabasz et al., "Error Analysis and Improving the Accuracy of Winograd
// Convolution for Deep Neural Networks", 2020, look for such points).
//
// The outputs that a 3x3 kernel g makes of a tile d of the input are
//
//   A^T [ (G g G^T) * (B^T d B) ] A        (* element by element)
//
// with the matrices for two outputs along y and those for two or four along x: 16 products for 4
// outputs, or 24 for 8, where 36 and 72 meet. Of two outputs each is made of inputs that it meets;
// of four each is made of all six. Additions are made in one fixed order: the bits are the same on
// every instruction set.
#ifndef CONVSERVE_CORE_KERNELS_WINOGRAD_KERNEL_H_
#define CONVSERVE_CORE_KERNELS_WINOGRAD_KERNEL_H_

#include <cstdint>

namespace convserve {

// Outputs of a tile along y.
inline constexpr std::int64_t kWinogradHeight = 2;
// Elements of a transformed tile that makes so many outputs along x: 2 or 4.
constexpr std::int64_t WinogradElements(std::int64_t width) {
  return (kWinogradHeight + 2) * (width + 2);
}
inline constexpr std::int64_t kMostWinogradElements = WinogradElements(4);
// Tiles that are transformed at once, at most.
inline constexpr std::int64_t kMaxWinogradTiles = 128;
// Elements that a vector may read or write past the last one that it is asked for.
inline constexpr std::int64_t kWinogradSlack = 64;

// Tiles in rows and columns; tile (i, j) begins at row 2i and column width*j of the window, and has
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
  float* out = nullptr;  // kWinogradSlack more may be written after the panels of each
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

// Of tiles of one width.
struct WinogradForm {
  void (*input)(const WinogradInput&) = nullptr;
  void (*weights)(const WinogradWeights&) = nullptr;
  void (*output)(const WinogradOutput&) = nullptr;
};

// Compiled once for each instruction set.
struct WinogradTable {
  WinogradForm narrow, wide;  // of two outputs along x, and of four

  const WinogradForm& of(std::int64_t width) const { return width == 2 ? narrow : wide; }
};

// The transforms of the instruction set in use. Thread-safe.
const WinogradTable& WinogradKernels();

}  // namespace convserve

#endif  // CONVSERVE_CORE_KERNELS_WINOGRAD_KERNEL_H_
