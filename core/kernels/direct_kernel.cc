#include "core/kernels/direct_kernel.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "core/divide.h"
#include "core/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/direct_kernel.cc"
#include "hwy/cache_control.h"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
// clang-format off
#include "core/kernels/simd-inl.h"  // comes last: compiled once for every target
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace convserve {
namespace HWY_NAMESPACE {

// Rows of outputs computed at once.
constexpr int kMostRows = 4;

// The widest blocks of so many rows: sums, a row of the window, and a weight fit the registers.
constexpr int BlockVectors(int rows) {
  return VectorsFor(rows,
                    [rows](int vectors) { return kSlides ? 1 + std::max(vectors - rows, 0) : 0; });
}

// The taps of a plane, in parts of kDirectSum at most: some whole rows, or some of one row.
struct TapParts {
  template <typename T>
  explicit TapParts(const DirectTile<T>& tile)
      : rows(static_cast<std::int64_t>(tile.tap_rows.size())),
        columns(static_cast<std::int64_t>(tile.tap_columns.size())) {
    const std::int64_t most = std::max<std::int64_t>(kDirectSum / columns, 1);
    count = CeilDivide(rows, most);
  }
  std::int64_t FirstRow(std::int64_t part) const { return part * rows / count; }

  std::int64_t rows, columns;
  std::int64_t count;  // along the rows
};

// Outputs [row, row + kRows) x [column, column + kVectors vectors), with kRows at most the number
// of tap rows of a part. With kRows > 1 the tile shares rows.
template <typename T, int kRows, int kVectors>
class DirectBlock {
 public:
  static void Run(const DirectTile<T>& tile, std::int64_t row, std::int64_t column) {
    DirectBlock block(tile);
    if (tile.ahead != nullptr) block.FetchAhead(row, column);
    block.AddPlanes(tile.window + row * tile.pitch + column);
    block.Store(row, column);
  }

 private:
  using D = hn::ScalableTag<T>;
  using V = hn::Vec<D>;

  HWY_INLINE explicit DirectBlock(const DirectTile<T>& tile) : tile_(tile), weights_(tile.weights) {
    earlier_.Start(sums_);
  }

  HWY_INLINE void FetchAhead(std::int64_t row, std::int64_t column) const {
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(D()));
    const T* at = tile_.ahead + row * tile_.ahead_pitch + column;
    for (int r = 0; r < kRows; ++r, at += tile_.ahead_pitch) {
      for (int v = 0; v < kVectors; ++v) __builtin_prefetch(at + v * lanes, 0, 2);
    }
  }

  HWY_INLINE void AddPlanes(const T* from) {
    const TapParts parts(tile_);
    std::int64_t running = 0;
    for (const std::int32_t plane : tile_.planes) {
      for (std::int64_t part = 0; part < parts.count; ++part) {
        const std::int64_t row = parts.FirstRow(part);
        const std::int64_t rows = parts.FirstRow(part + 1) - row;
        for (std::int64_t column = 0; column < parts.columns; column += kDirectSum) {
          columns_ = std::min(kDirectSum, parts.columns - column);
          if (running + rows * columns_ > kDirectSum) {
            earlier_.Keep(sums_);
            earlier_.Start(sums_);
            running = 0;
          }
          tap_columns_ = tile_.tap_columns.data() + column;
          AddPart(from + plane, row, rows);
          weights_ += columns_;
          running += rows * columns_;
        }
        weights_ += (rows - 1) * parts.columns;
      }
    }
    HWY_UNROLL(4) for (int r = 0; r < kRows; ++r) earlier_.Add(r, sums_[r]);
  }

  // Adds `taps` rows of taps from row `first` on.
  HWY_INLINE void AddPart(const T* HWY_RESTRICT from, std::int64_t first, std::int64_t taps) {
    const std::int32_t* tap_rows = tile_.tap_rows.data() + first;
    if constexpr (kRows == 1) {
      for (std::int64_t i = 0; i < taps; ++i) AddRow<0, 1>(from + tap_rows[i], i);
    } else {
      // Window row i, counted from the first, meets output row r with tap row i - r.
      from += tap_rows[0];
      [&]<int... kI>(std::integer_sequence<int, kI...>) {
        (AddRow<0, kI + 1>(from + kI * tile_.pitch, kI), ...);
      }
      (std::make_integer_sequence<int, kRows - 1>());
      for (std::int64_t i = kRows - 1; i < taps; ++i) AddRow<0, kRows>(from + i * tile_.pitch, i);
      [&]<int... kI>(std::integer_sequence<int, kI...>) {
        (AddRow<kI + 1, kRows>(from + (taps + kI) * tile_.pitch, taps + kI), ...);
      }
      (std::make_integer_sequence<int, kRows - 1>());
    }
  }

  // One row of the window, for output rows [kFirst, kLast): row r meets it with tap row i - r.
  template <int kFirst, int kLast>
  HWY_INLINE void AddRow(const T* HWY_RESTRICT from, std::int64_t i) {
    const D d;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    const auto taps = static_cast<std::int64_t>(tile_.tap_columns.size());
    const T* weights = weights_ + i * taps;
    V input[kVectors];
    for (std::int64_t j = 0; j < columns_; ++j) {
      const T* HWY_RESTRICT at = from + tap_columns_[j];
      if (kSlides && j > 0 && tap_columns_[j] == tap_columns_[j - 1] + 1) {
        // Every second vector: loads and slides take turns.
        HWY_UNROLL(8) for (int v = 0; v < kVectors; ++v) {
          if (v % 2 == 0 && v + 1 < kVectors) {
            input[v] = SlideDown<1>(d, input[v], input[v + 1]);
          } else {
            input[v] = hn::LoadU(d, at + v * lanes);
          }
        }
      } else {
        HWY_UNROLL(8) for (int v = 0; v < kVectors; ++v) input[v] = hn::LoadU(d, at + v * lanes);
      }
      HWY_UNROLL(4) for (int r = kFirst; r < kLast; ++r) {
        const V weight = hn::Set(d, weights[j - r * taps]);
        HWY_UNROLL(8) for (int v = 0; v < kVectors; ++v) {
          sums_[r][v] = MulAdd(d, weight, input[v], sums_[r][v]);
        }
      }
    }
  }

  HWY_INLINE void Store(std::int64_t row, std::int64_t column) const {
    const D d;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    const std::int64_t count = tile_.columns - column;
    T* HWY_RESTRICT c = tile_.c + row * tile_.c_pitch + column * tile_.c_step;
    if (tile_.c_step != 1 || tile_.accumulate) {
      HWY_ALIGN T sums[kRows][kVectors * hn::MaxLanes(D())];
      HWY_UNROLL(4) for (int r = 0; r < kRows; ++r) {
        HWY_UNROLL(8) for (int v = 0; v < kVectors; ++v) {
          hn::Store(sums_[r][v], d, sums[r] + v * lanes);
        }
      }
      for (int r = 0; r < kRows; ++r, c += tile_.c_pitch) {
        StoreApart(sums[r], std::min(count, kVectors * lanes), c);
      }
      return;
    }
    const V bias = hn::Set(d, tile_.bias);
    const bool past_caches = tile_.past_caches && count >= kVectors * lanes &&
                             FillsLines(c, tile_.c_pitch, kVectors * sizeof(V));
    HWY_UNROLL(4) for (int r = 0; r < kRows; ++r, c += tile_.c_pitch) {
      HWY_UNROLL(8) for (int v = 0; v < kVectors; ++v) {
        const V sum = hn::Add(sums_[r][v], bias);
        if (past_caches) {
          hn::Stream(sum, d, c + v * lanes);
        } else {
          StoreFirst(d, sum, std::min(count - v * lanes, lanes), c + v * lanes);
        }
      }
    }
  }

  void StoreApart(const T* HWY_RESTRICT sums, std::int64_t count, T* HWY_RESTRICT c) const {
    const std::int64_t step = tile_.c_step;
    for (std::int64_t x = 0; x < count; ++x) {
      c[x * step] = (tile_.accumulate ? c[x * step] + sums[x] : sums[x]) + tile_.bias;
    }
  }

  const DirectTile<T>& tile_;
  const T* weights_;  // of the part
  const std::int32_t* tap_columns_ = nullptr;
  std::int64_t columns_ = 0;
  V sums_[kRows][kVectors];
  LongSum<kRows, kVectors, T> earlier_;
};

// kRows rows of outputs, in blocks of about equal width: a narrow one at the end would leave the
// processor waiting for its few sums.
template <typename T, int kRows>
void RunRows(const DirectTile<T>& tile, std::int64_t row) {
  static constexpr auto kBlocks = []<int... kVectors>(std::integer_sequence<int, kVectors...>) {
    return std::array{&DirectBlock<T, kRows, kVectors + 1>::Run...};
  }
  (std::make_integer_sequence<int, BlockVectors(kRows)>());
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(hn::ScalableTag<T>()));
  const std::int64_t vectors = CeilDivide(tile.columns, lanes);
  ForEachPart(vectors, BlockVectors(kRows), [&](std::int64_t first, std::int64_t width) {
    kBlocks[static_cast<std::size_t>(width - 1)](tile, row, first * lanes);
  });
}

// Outputs of a small tile, numbered along the rows of its window.
constexpr std::int64_t kMostFlat = 512;

// Rows that fill less than a vector, as one row with their gaps.
template <typename T>
void RunFlat(const DirectTile<T>& tile) {
  const hn::ScalableTag<T> d;
  HWY_ALIGN T flat[kMostFlat];  // with a vector to spare, as it is read in vectors
  DirectTile<T> row = tile;
  row.rows = 1;
  row.columns = (tile.rows - 1) * tile.pitch + tile.columns;
  row.c = flat;
  row.c_step = 1;
  row.past_caches = false;
  RunRows<T, 1>(row, 0);
  for (std::int64_t r = 0; r < tile.rows; ++r) {
    T* HWY_RESTRICT c = tile.c + r * tile.c_pitch;
    const T* HWY_RESTRICT from = flat + r * tile.pitch;
    if (tile.c_step == 1) {
      CopyFew<2 * hn::MaxLanes(d)>(from, tile.columns, c);
    } else {
      // NOLINTNEXTLINE(clang-analyzer-core.uninitialized.Assign): RunRows has written them.
      for (std::int64_t x = 0; x < tile.columns; ++x) c[x * tile.c_step] = from[x];
    }
  }
}

template <typename T>
void RunDirect(const DirectTile<T>& tile) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(hn::ScalableTag<T>()));
  if (tile.rows > 1 && !tile.accumulate && tile.pitch > 0 && tile.columns <= lanes &&
      tile.rows * tile.pitch <= kMostFlat - lanes && tile.pitch <= 2 * lanes) {
    return RunFlat(tile);
  }
  static constexpr auto kRunRows = []<int... kRows>(std::integer_sequence<int, kRows...>) {
    return std::array{&RunRows<T, kRows + 1>...};
  }
  (std::make_integer_sequence<int, kMostRows>());
  const TapParts parts(tile);
  const std::int64_t most =
      tile.SharesRows() ? std::min<std::int64_t>(kMostRows, parts.rows / parts.count) : 1;
  ForEachPart(tile.rows, most, [&](std::int64_t row, std::int64_t rows) {
    kRunRows[static_cast<std::size_t>(rows - 1)](tile, row);
  });
  if (tile.past_caches) hwy::FlushStream();
}

const DirectTable* Direct();  // exported below

const DirectTable* Direct() {
  static constexpr DirectTable kTable = {&RunDirect<float>, &RunDirect<double>};
  return &kTable;
}

}  // namespace HWY_NAMESPACE
}  // namespace convserve
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convserve {

HWY_EXPORT(Direct);

const DirectTable& DirectKernels() { return *HWY_DYNAMIC_DISPATCH(Direct)(); }

}  // namespace convserve
#endif  // HWY_ONCE
