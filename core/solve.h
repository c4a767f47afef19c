// The size formulas read backwards: which parameters take one size to another.
//
// Notation as in core/problem.h. All functions speak of one spatial axis with zero padding, need no
// tensors and allocate only what they return. Thread-safe.
#ifndef CONVSERVE_CORE_SOLVE_H_
#define CONVSERVE_CORE_SOLVE_H_

#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "core/parameters.h"
#include "core/problem.h"

namespace convserve {

// Both ends belong to it.
struct Interval {
  std::int64_t min = 0;
  std::int64_t max = 0;
  bool operator==(const Interval&) const = default;
};

// What is wanted, and where to look.
struct SolveQuery {
  std::int64_t input = 1;
  std::int64_t output = 1;
  Interval kernel = {1, 7};
  Interval stride = {1, 4};
  Interval dilation = {1, 2};
  Interval padding = {0, std::numeric_limits<std::int64_t>::max()};
  // ConvTranspose only. A Conv has none.
  Interval output_padding = {0, std::numeric_limits<std::int64_t>::max()};
  // Also padding whose end is one cell larger or smaller than its beginning. `padding` bounds the
  // smaller of both.
  bool uneven_padding = false;
  // How many of the best to return.
  std::int64_t max_solutions = 20;
};

// Ranges in which people look for this ratio: the stride up to what the ratio needs (at least 4),
// the kernel up to twice that (at least 7), dilation 1 and 2, padding 0 to 64.
SolveQuery DefaultSolveQuery(Operation operation, std::int64_t input, std::int64_t output);

struct Solution {
  Operation operation = Operation::kConv;
  Axis axis;
  // Every output has the value that SAME_UPPER (TensorFlow's SAME; PyTorch's padding='same') gives
  // with the same k, s, d: the output size is that of SAME, and so is the beginning of the padding.
  bool samples_like_same_upper = false;
  // The same for SAME_LOWER.
  bool samples_like_same_lower = false;
  // gcd(s, d) = 1 and s divides k: a ConvTranspose gives every output phase equally many taps (no
  // checkerboard), and a Conv reads every interior input equally often.
  bool even_overlap = false;
};

struct Solutions {
  std::vector<Solution> best;  // best first
  std::int64_t count = 0;      // how many there are within the ranges
};

// All parameters within the ranges that take `input` to `output`, ranked: those that sample like
// SAME_UPPER first, then those of even overlap, then the smaller kernel, dilation, padding, output
// padding and stride, in this order.
//
// A Conv solution has o = floor((n + pl + pr - ek)/s) + 1; a ConvTranspose solution (n-1)s - pl -
// pr + ek + op = o with op < max(s, d). Each is one that MakeProblem accepts. A Conv's dilation of
// a single tap means nothing, and only the smallest stands for all.
//
// INVALID_ARGUMENT for a size or a range that is empty, negative or beyond what the parameter may
// be (fields `input`, `output`, `kernel`, `stride`, `dilation`, `padding`, `output_padding`), and
// where more than kMaxSolveCandidates combinations of kernel, stride, dilation and padding would
// have to be looked at.
absl::StatusOr<Solutions> Solve(Operation operation, const SolveQuery& query);

inline constexpr std::int64_t kMaxSolveCandidates = 4'000'000;

// A convolution and the way back.
struct Inversion {
  Axis conv;  // of the size asked about
  // The ConvTranspose with the same k, s, d and padding, that brings the size back. Its
  // output_padding is (n + pl + pr - ek) mod s; without it the size would be conv.input -
  // output_padding. Nothing where no legal ConvTranspose does: more is cropped than there is.
  std::optional<Axis> restoring;
  // All input sizes with conv.output, the sizes that output_padding 0 to s-1 choose between.
  Interval preimage;
};

struct InvertQuery {
  std::int64_t input = 1;
  std::int64_t kernel = 1;
  std::int64_t stride = 1;
  std::int64_t dilation = 1;
  std::int64_t padding_begin = 0;
  std::int64_t padding_end = 0;
};

// INVALID_ARGUMENT where the Conv itself would be refused.
absl::StatusOr<Inversion> Invert(const InvertQuery& query);

// "Same" by one padding for both ends, as PyTorch's layers take it.
struct SamePadding {
  std::int64_t wanted_output = 0;  // ceil(n / s)
  // What SAME_UPPER and SAME_LOWER choose: T = max(0, (o-1)s + ek - n) in all, the odd cell at the
  // end or the beginning.
  std::int64_t total = 0;
  std::int64_t same_upper_begin = 0;
  std::int64_t same_lower_begin = 0;
  // The smallest symmetric p with the wanted output. Nothing exactly when s = 1 and ek is even.
  std::optional<std::int64_t> symmetric;
  // Whether p gives SAME_UPPER's values (TensorFlow's SAME), and SAME_LOWER's. When T is odd, p
  // begins where SAME_LOWER does, one cell earlier than TensorFlow.
  bool samples_like_same_upper = false;
  bool samples_like_same_lower = false;
};

struct SameQuery {
  std::int64_t input = 1;
  std::int64_t kernel = 1;
  std::int64_t stride = 1;
  std::int64_t dilation = 1;
};

// INVALID_ARGUMENT for numbers below 1 or beyond 64-bit arithmetic.
absl::StatusOr<SamePadding> FindSamePadding(const SameQuery& query);

}  // namespace convserve

#endif  // CONVSERVE_CORE_SOLVE_H_
