#include "core/kernels/panel_kernel.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "core/divide.h"
#include "core/kernels/running_sum.h"
#include "core/kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/panel_kernel.cc"
#include "hwy/cache_control.h"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
// clang-format off
#include "core/kernels/panels-inl.h"  // come last: compiled once for every target
#include "core/kernels/simd-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace convserve {
namespace HWY_NAMESPACE {
namespace {

constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(D()));
constexpr std::int64_t kLine = 16;  // elements of a cache line

// Fetches lines a few at a time, with every kShareDepth rows of a strip: many at once would wait
// for one another, and what is multiplied meanwhile for them.
constexpr std::int64_t kShareDepth = 8;

class Fetching {
 public:
  Fetching(const std::array<PanelFetch, 2>& all, std::int64_t times)
      : parts_{Part(all[0], times), Part(all[1], times)} {}

  // To be called so many times.
  HWY_INLINE void Share() {
    for (Part& part : parts_) part.Fetch();
  }

 private:
  struct Part {
    Part(const PanelFetch& fetch, std::int64_t times)
        : from(fetch.from), stride(fetch.stride), last(fetch.count - 1) {
      left = fetch.rows * (CeilDivide(last, kLine) + 1);
      share = CeilDivide(left, times);
    }

    // Without branches that would be guessed wrong at the end of every row.
    HWY_INLINE void Fetch() {
      const std::int64_t lines = std::min(share, left);
      left -= lines;
      for (std::int64_t line = 0; line < lines; ++line) {
        hwy::Prefetch(from + std::min(at, last));
        const std::int64_t ends = -std::int64_t{at >= last};
        from += stride & ends;
        at = (at + kLine) & ~ends;
      }
    }

    const float* from;  // a row
    std::int64_t stride, last;
    std::int64_t at = 0;       // in the row
    std::int64_t left, share;  // lines
  };
  std::array<Part, 2> parts_;
};

// One panel with the first kWidth vectors of the strip at `column`, which is packed from `from` if
// kPacks. If kFetches, a line of every row is fetched at `next`.
template <int kRows, int kWidth, bool kPacks, bool kFetches>
void MultiplyPanel(const PanelProduct& p, const float* HWY_RESTRICT a, std::int64_t row,
                   std::int64_t column, const float* HWY_RESTRICT from, const float* next,
                   Fetching& fetching) {
  const D d;
  float* HWY_RESTRICT b = p.b + column * p.strip_depth;
  const std::int32_t* HWY_RESTRICT offset = p.packing.offsets;
  // Copied: a store could change what `p` holds, for all the compiler knows.
  const std::int64_t c_stride = p.c_stride;
  const std::int64_t before_stride = p.before_stride;
  const std::int64_t part = p.running_sum;
  float* HWY_RESTRICT c = p.c + row * c_stride + column;
  V sums[kRows][kWidth];
  const bool past_caches = p.past_caches && FillsLines(c, c_stride, kWidth * sizeof(V));
  // Of rows that begin within a line, what stood before has brought the first: the lines with the
  // last element of every sixteen are fetched, here and of what is packed.
  if (!past_caches) {
    HWY_UNROLL(16) for (int i = 0; i < kRows; ++i) {
      HWY_UNROLL(2) for (std::int64_t x = 0; x < kWidth * kLanes; x += kLine) {
        hwy::Prefetch(c + i * c_stride + x + kLine - 1);
      }
    }
  }
  const float* const panel = a;
  const std::int64_t* sums_at = p.sums_at;
  LongSum<kRows, kWidth, float> earlier;
  for (std::int64_t left = p.depth;;) {
    if (sums_at != nullptr) a = panel + *sums_at++ * kRows;
    earlier.Start(sums);
    const std::int64_t share_depth = kFetches ? part : kShareDepth;
    for (std::int64_t some = std::min(left, part); some > 0; some -= share_depth) {
      fetching.Share();
      // Unrolled, so that the end of a part is foreseen.
      HWY_UNROLL(8) for (std::int64_t k = std::min(some, share_depth); k > 0; --k) {
        V patch[kWidth];
        if constexpr (kPacks) {
          const float* HWY_RESTRICT at = from + *offset;
          HWY_UNROLL(2) for (int v = 0; v < kWidth; ++v) {
            patch[v] = hn::LoadU(d, at + v * kLanes);
            hn::Store(patch[v], d, b + v * kLanes);
          }
        } else {
          HWY_UNROLL(2) for (int v = 0; v < kWidth; ++v) patch[v] = hn::Load(d, b + v * kLanes);
        }
        if constexpr (kFetches) hwy::Prefetch(next + *offset);
        if constexpr (kPacks || kFetches) ++offset;
        HWY_UNROLL(16) for (int i = 0; i < kRows; ++i) {
          const V weight = hn::Set(d, a[i]);
          HWY_UNROLL(2) for (int v = 0; v < kWidth; ++v) {
            sums[i][v] = MulAdd(d, weight, patch[v], sums[i][v]);
          }
        }
        a += kRows;
        b += kVectors * kLanes;
      }
    }
    left -= part;
    if (left <= 0) break;
    earlier.Keep(sums);
  }
  const float* before = p.before;
  if (before != nullptr) before += row * before_stride + column;
  const float* HWY_RESTRICT bias = p.bias;
  if (bias != nullptr) bias += row;
  const auto store = [&](int i) {
    HWY_UNROLL(2) for (int v = 0; v < kWidth; ++v) {
      StoreWhole(sums[i][v], d, c + i * c_stride + v * kLanes, past_caches);
    }
  };
  // With short sums, questions for every row would take as long as their products.
  if (p.depth <= part && before == nullptr && bias == nullptr) {
    HWY_UNROLL(16) for (int i = 0; i < kRows; ++i) store(i);
    return;
  }
  HWY_UNROLL(16) for (int i = 0; i < kRows; ++i) {
    earlier.Add(i, sums[i]);
    if (before != nullptr) {
      HWY_UNROLL(2) for (int v = 0; v < kWidth; ++v) {
        sums[i][v] = hn::Add(hn::LoadU(d, before + i * before_stride + v * kLanes), sums[i][v]);
      }
    }
    if (bias != nullptr) {
      const V added = hn::Set(d, bias[i]);
      HWY_UNROLL(2) for (int v = 0; v < kWidth; ++v) sums[i][v] = hn::Add(sums[i][v], added);
    }
    store(i);
  }
}

// So few columns that they are multiplied by vectors of rows instead, of several panels at once.
constexpr int kFewColumns = 4;
constexpr int PanelsAtOnce(int columns) { return columns < 4 ? 4 : 2; }
constexpr bool kRowsFitVector = kMostRows <= kLanes;

struct PanelAt {
  const float* a;
  std::int64_t row, height;
};

template <int kPanels, int kColumns>
void MultiplyColumns(const PanelProduct& p, const PanelAt* panels) {
  const D d;
  V sums[kPanels][kColumns];
  const float* HWY_RESTRICT a[kPanels];
  HWY_UNROLL(4) for (int i = 0; i < kPanels; ++i) { a[i] = panels[i].a; }
  const float* HWY_RESTRICT b = p.b;
  const std::int64_t strip = Strip();
  const std::int64_t part = p.running_sum;
  LongSum<kPanels, kColumns, float> earlier;
  const std::int64_t* sums_at = p.sums_at;
  for (std::int64_t left = p.depth;;) {
    if (sums_at != nullptr) {
      HWY_UNROLL(4) for (int i = 0; i < kPanels; ++i) {
        a[i] = panels[i].a + *sums_at * panels[i].height;
      }
      ++sums_at;
    }
    earlier.Start(sums);
    for (std::int64_t k = std::min(left, part); k > 0; --k, b += strip) {
      V column[kColumns];
      HWY_UNROLL(4) for (int j = 0; j < kColumns; ++j) column[j] = hn::Set(d, b[j]);
      HWY_UNROLL(4) for (int i = 0; i < kPanels; ++i) {
        const V rows = hn::LoadU(d, a[i]);  // and some of what follows them
        a[i] += panels[i].height;
        HWY_UNROLL(4) for (int j = 0; j < kColumns; ++j) {
          sums[i][j] = MulAdd(d, rows, column[j], sums[i][j]);
        }
      }
    }
    left -= part;
    if (left <= 0) break;
    earlier.Keep(sums);
  }
  for (int i = 0; i < kPanels; ++i) {
    earlier.Add(i, sums[i]);
    for (int j = 0; j < kColumns; ++j) {
      HWY_ALIGN float lanes[hn::MaxLanes(D())];
      hn::Store(sums[i][j], d, lanes);
      for (std::int64_t r = 0; r < panels[i].height; ++r) {
        const std::int64_t row = panels[i].row + r;
        float sum = lanes[r];
        if (p.before != nullptr) sum = p.before[row * p.before_stride + j] + sum;
        p.c[row * p.c_stride + j] = p.bias != nullptr ? sum + p.bias[row] : sum;
      }
    }
  }
}

void MultiplyFewColumns(const PanelProduct& product) {
  using Function = void (*)(const PanelProduct&, const PanelAt*);
  static constexpr auto kFunctions = []<int... kColumns>(std::integer_sequence<int, kColumns...>) {
    return std::array{std::array<Function, kFewColumns>{&MultiplyColumns<1, kColumns + 1>...},
                      std::array<Function, kFewColumns>{
                          &MultiplyColumns<PanelsAtOnce(kColumns + 1), kColumns + 1>...}};
  }
  (std::make_integer_sequence<int, kFewColumns>());
  const auto column = static_cast<std::size_t>(product.columns - 1);
  const int most = PanelsAtOnce(static_cast<int>(product.columns));
  PanelAt panels[PanelsAtOnce(1)];
  int count = 0;
  const float* a = product.a;
  ForEachPanel(product.rows, product.panels, [&](std::int64_t row, std::int64_t height) {
    panels[count++] = {a + product.first_depth * height, row, height};
    a += height * product.panel_depth;
    if (count == most) {
      kFunctions[1][column](product, panels);
      count = 0;
    }
  });
  for (int i = 0; i < count; ++i) kFunctions[0][column](product, panels + i);
  Fetching(product.fetch, 1).Share();
}

// Whole strips, or a part of one.
void MultiplyStrips(const PanelProduct& product) {
  using Function = void (*)(const PanelProduct&, const float*, std::int64_t, std::int64_t,
                            const float*, const float*, Fetching&);
  static constexpr auto kFunctions = []<int... kRows>(std::integer_sequence<int, kRows...>) {
    using Functions = std::array<Function, kMostRows>;
    return std::array{Functions{&MultiplyPanel<kRows + 1, 1, false, false>...},
                      Functions{&MultiplyPanel<kRows + 1, kVectors, false, false>...},
                      Functions{&MultiplyPanel<kRows + 1, kVectors, true, false>...},
                      Functions{&MultiplyPanel<kRows + 1, kVectors, false, true>...},
                      Functions{&MultiplyPanel<kRows + 1, kVectors, true, true>...}};
  }
  (std::make_integer_sequence<int, kMostRows>());
  constexpr std::size_t kPacking = 2;
  constexpr std::size_t kFetching = 2;  // more
  const std::size_t width = product.columns > kLanes ? 1 : 0;
  const float* a = product.a;
  const std::int64_t times =
      PanelCount(product.rows, product.panels) * CeilDivide(product.columns, Strip());
  const float* const next = product.packing.next;
  Fetching fetching(
      product.fetch,
      times * CeilDivide(product.depth, next != nullptr ? product.running_sum : kShareDepth));
  const std::int64_t lines = product.columns / kLine;
  std::int64_t time = 0;
  ForEachPanel(product.rows, product.panels, [&](std::int64_t row, std::int64_t height) {
    const float* const* from = row == 0 ? product.packing.from : nullptr;
    for (std::int64_t column = 0; column < product.columns; column += Strip()) {
      const float* strip = from != nullptr ? *from++ : nullptr;
      const float* line = next;
      if (next != nullptr) line += time++ * lines / times * kLine + kLine - 1;
      const std::size_t function =
          (strip != nullptr ? kPacking : width) + (next != nullptr ? kFetching : 0);
      kFunctions[function][static_cast<std::size_t>(height - 1)](
          product, a + product.first_depth * height, row, column, strip, line, fetching);
    }
    a += height * product.panel_depth;
  });
}

// Takes the first `columns` of a product, and leaves `product` those after them.
PanelProduct TakeColumns(PanelProduct& product, std::int64_t columns) {
  PanelProduct first = product;
  first.columns = columns;
  product.columns -= columns;
  product.c += columns;
  if (product.before != nullptr) product.before += columns;
  return first;
}

void Multiply(const PanelProduct& product) {
  PanelProduct left = product;
  const auto multiply_strips = [&](std::int64_t columns) {
    if (columns == 0) return;
    MultiplyStrips(TakeColumns(left, columns));
    left.fetch = {};
  };
  const std::int64_t whole = product.columns / Strip() * Strip();
  multiply_strips(whole);
  left.b += whole * product.strip_depth;
  if (kRowsFitVector && left.columns % kLanes <= kFewColumns) {
    const std::int64_t vectors = left.columns / kLanes * kLanes;
    multiply_strips(vectors);
    left.b += vectors;
    if (left.columns > 0) MultiplyFewColumns(left);
  } else {
    multiply_strips(left.columns);
  }
  if (product.past_caches) hwy::FlushStream();
}

}  // namespace

const PanelTable* Panel();  // exported below

const PanelTable* Panel() {
  static const PanelTable table = {Strip(), kMostRows, &Multiply};
  return &table;
}

}  // namespace HWY_NAMESPACE
}  // namespace convserve
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convserve {

HWY_EXPORT(Panel);

const PanelTable& PanelKernels() { return *HWY_DYNAMIC_DISPATCH(Panel)(); }

}  // namespace convserve
#endif  // HWY_ONCE
