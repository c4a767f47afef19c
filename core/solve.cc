#include "core/solve.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "absl/numeric/int128.h"
#include "core/axis.h"
#include "core/describe.h"
#include "core/violation.h"
#include "fmt/format.h"

namespace convserve {
namespace {

using absl::int128;

constexpr std::int64_t kHighest = std::numeric_limits<std::int64_t>::max();

int128 CeilDiv(int128 a, int128 b) { return a > 0 ? (a - 1) / b + 1 : -(-a / b); }
int128 FloorDiv(int128 a, int128 b) { return -CeilDiv(-a, b); }

void CheckAtLeast(std::string_view field, std::int64_t least, std::int64_t value,
                  Violations& violations) {
  if (value < least) {
    violations.push_back(
        {std::string(field), fmt::format("expected at least {}, got {}", least, value)});
  }
}

void CheckInterval(std::string_view field, std::int64_t least, Interval interval,
                   Violations& violations) {
  CheckAtLeast(field, least, interval.min, violations);
  if (interval.max < interval.min) {
    violations.push_back(
        {std::string(field), fmt::format("expected a range from the smaller to the larger, got {} "
                                         "to {}",
                                         interval.min, interval.max)});
  }
}

int128 Width(Interval interval) { return int128{interval.max} - interval.min + 1; }

template <typename Visitor>
void ForEach(Interval interval, Visitor&& visit) {
  for (std::int64_t i = 0; i <= interval.max - interval.min; ++i) visit(interval.min + i);
}

std::string_view FieldName(AxisField field) {
  switch (field) {
    case AxisField::kInput:
      return "input";
    case AxisField::kKernel:
      return "kernel";
    case AxisField::kStride:
      return "stride";
    case AxisField::kDilation:
      return "dilation";
    case AxisField::kPaddingBegin:
    case AxisField::kPaddingEnd:
      return "padding";
    case AxisField::kOutputPadding:
      return "output_padding";
    case AxisField::kOutputSize:
      return "output_size";
  }
  return "";
}

absl::StatusOr<Axis> Resolve(Operation operation, const AxisRequest& request) {
  std::vector<AxisRefusal> refusals;
  const Axis axis = ResolveAxis(operation, request, refusals);
  if (refusals.empty()) return axis;
  Violations violations;
  for (AxisRefusal& refusal : refusals) {
    violations.push_back({std::string(FieldName(refusal.field)), std::move(refusal.description)});
  }
  return InvalidArgument(violations);
}

// The sum of both paddings that SAME chooses.
int128 SameTotal(Operation operation, const Axis& axis) {
  const int128 effective = axis.effective_kernel();
  if (operation == Operation::kConvTranspose) {
    return std::max<int128>(0, effective - axis.stride);
  }
  const int128 output = (axis.input - 1) / axis.stride + 1;
  return std::max<int128>(0, (output - 1) * axis.stride + effective - axis.input);
}

auto Rank(const Solution& solution) {
  const Axis& axis = solution.axis;
  return std::tuple(!solution.samples_like_same_upper, !solution.even_overlap, axis.kernel,
                    axis.dilation, int128{axis.padding_begin} + axis.padding_end,
                    axis.output_padding, axis.stride, axis.padding_begin);
}

bool Before(const Solution& a, const Solution& b) { return Rank(a) < Rank(b); }

// Keeps the best.
class Collector {
 public:
  explicit Collector(std::int64_t size)
      : size_(static_cast<std::size_t>(std::max<std::int64_t>(0, size))) {}

  void Add(const Solution& solution) {
    ++found_.count;
    if (size_ == 0) return;
    if (found_.best.size() == size_) {
      if (!Before(solution, found_.best.front())) return;
      std::pop_heap(found_.best.begin(), found_.best.end(), Before);
      found_.best.pop_back();
    }
    found_.best.push_back(solution);
    std::push_heap(found_.best.begin(), found_.best.end(), Before);
  }

  Solutions Take() && {
    std::sort(found_.best.begin(), found_.best.end(), Before);
    return std::move(found_);
  }

 private:
  std::size_t size_;
  Solutions found_;
};

// The solutions for one kernel, stride and dilation, all set in `axis`, with the end of the padding
// `more` cells larger than its beginning.
void SolveForPadding(Operation operation, const SolveQuery& query, Axis axis, std::int64_t more,
                     Collector& solutions) {
  const int128 n = axis.input, o = axis.output, s = axis.stride, ek = axis.effective_kernel();
  // The sum of both paddings lies in [least, most].
  int128 least, most;
  if (operation == Operation::kConv) {
    least = std::max((o - 1) * s + ek - n, ek - n);
    most = std::min((o - 1) * s + ek + s - 1, int128{kHighest}) - n;
  } else {
    const int128 uncropped = (n - 1) * s + ek;
    const int128 highest = std::max(axis.stride, axis.dilation) - 1;
    least = uncropped - o + query.output_padding.min;
    most = uncropped - o + std::min<int128>(query.output_padding.max, highest);
    if (uncropped + highest > kHighest) return;
  }
  const int128 smaller_end = more < 0 ? -more : 0;  // the end is the smaller by this
  int128 begin = std::max(CeilDiv(least - more, 2), query.padding.min + smaller_end);
  const int128 last = std::min(FloorDiv(most - more, 2), query.padding.max + smaller_end);
  const int128 same_total = SameTotal(operation, axis);
  const int128 same_output = operation == Operation::kConv ? CeilDiv(n, s) : n * s;
  for (; begin <= last; ++begin) {
    axis.padding_begin = static_cast<std::int64_t>(begin);
    axis.padding_end = static_cast<std::int64_t>(begin + more);
    if (operation == Operation::kConvTranspose) {
      axis.output_padding = static_cast<std::int64_t>(o - ((n - 1) * s + ek - 2 * begin - more));
    }
    solutions.Add({.operation = operation,
                   .axis = axis,
                   .samples_like_same_upper = o == same_output && begin == same_total / 2,
                   .samples_like_same_lower = o == same_output && begin == (same_total + 1) / 2,
                   .even_overlap = std::gcd(axis.stride, axis.dilation) == 1 &&
                                   axis.kernel % axis.stride == 0});
  }
}

// The padding that can matter: a ConvTranspose crops at most what is there, and a Conv's larger
// stride leaves room.
Interval RelevantPadding(Operation operation, const SolveQuery& query) {
  const int128 reach = int128{query.dilation.max} * (query.kernel.max - 1) + 1;
  const int128 most = operation == Operation::kConv
                          ? int128{query.output} * query.stride.max + reach
                          : int128{query.input} * query.stride.max + reach + query.dilation.max;
  return {query.padding.min, static_cast<std::int64_t>(
                                 std::min<int128>(query.padding.max, std::max<int128>(most, 0)))};
}

absl::Status Check(Operation operation, const SolveQuery& query) {
  Violations violations;
  CheckAtLeast("input", 1, query.input, violations);
  CheckAtLeast("output", 1, query.output, violations);
  CheckInterval("kernel", 1, query.kernel, violations);
  CheckInterval("stride", 1, query.stride, violations);
  CheckInterval("dilation", 1, query.dilation, violations);
  CheckInterval("padding", 0, query.padding, violations);
  if (operation == Operation::kConvTranspose) {
    CheckInterval("output_padding", 0, query.output_padding, violations);
  }
  if (!violations.empty()) return InvalidArgument(violations);
  if (int128{query.dilation.max} * (query.kernel.max - 1) + 1 > kHighest) {
    return InvalidArgument(
        {{"dilation", "expected dilation * (kernel - 1) + 1 to stay below 2^63"}});
  }
  int128 combinations = 1;
  for (const Interval interval :
       {query.kernel, query.stride, query.dilation, RelevantPadding(operation, query)}) {
    combinations *= std::max<int128>(1, Width(interval));
    if (combinations > kMaxSolveCandidates) {
      return InvalidArgument(
          {{"kernel", fmt::format("expected ranges of kernel, stride, dilation and padding with at "
                                  "most {} combinations, got more: narrow one of them",
                                  kMaxSolveCandidates)}});
    }
  }
  return absl::OkStatus();
}

}  // namespace

SolveQuery DefaultSolveQuery(Operation operation, std::int64_t input, std::int64_t output) {
  SolveQuery query = {.input = input, .output = output};
  const bool conv = operation == Operation::kConv;
  const std::int64_t larger = conv ? input : output, smaller = conv ? output : input;
  const std::int64_t ratio =
      smaller >= 1 ? std::clamp<std::int64_t>(larger / smaller + 1, 1, 64) : 1;
  query.stride.max = std::max<std::int64_t>(4, ratio);
  query.kernel.max = std::max<std::int64_t>(7, 2 * ratio);
  query.padding.max = 64;
  return query;
}

absl::StatusOr<Solutions> Solve(Operation operation, const SolveQuery& query) {
  const absl::Status status = Check(operation, query);
  if (!status.ok()) return status;
  Collector solutions(query.max_solutions);
  Axis axis = {.input = query.input, .output = query.output};
  ForEach(query.kernel, [&](std::int64_t kernel) {
    axis.kernel = kernel;
    Interval dilations = query.dilation;
    if (operation == Operation::kConv && kernel == 1) dilations.max = dilations.min;
    ForEach(dilations, [&](std::int64_t dilation) {
      axis.dilation = dilation;
      ForEach(query.stride, [&](std::int64_t stride) {
        axis.stride = stride;
        SolveForPadding(operation, query, axis, 0, solutions);
        if (!query.uneven_padding) return;
        SolveForPadding(operation, query, axis, 1, solutions);
        SolveForPadding(operation, query, axis, -1, solutions);
      });
    });
  });
  return std::move(solutions).Take();
}

absl::StatusOr<Inversion> Invert(const InvertQuery& query) {
  Violations violations;
  CheckAtLeast("input", 1, query.input, violations);
  CheckAtLeast("kernel", 1, query.kernel, violations);
  CheckAtLeast("stride", 1, query.stride, violations);
  CheckAtLeast("dilation", 1, query.dilation, violations);
  CheckAtLeast("padding", 0, std::min(query.padding_begin, query.padding_end), violations);
  if (!violations.empty()) return InvalidArgument(violations);
  AxisRequest request;
  request.input = query.input;
  request.kernel = query.kernel;
  request.stride = query.stride;
  request.dilation = query.dilation;
  request.padding_begin = query.padding_begin;
  request.padding_end = query.padding_end;
  const auto conv = Resolve(Operation::kConv, request);
  if (!conv.ok()) return conv.status();
  const AxisDescription description = DescribeAxis(Operation::kConv, PaddingMode::kZeros, *conv);
  Inversion inversion = {.conv = *conv,
                         .restoring = std::nullopt,
                         .preimage = {description.smallest_input_with_this_output,
                                      description.largest_input_with_this_output}};
  request.input = conv->output;
  request.output_padding = description.restoring_output_padding;
  const auto restoring = Resolve(Operation::kConvTranspose, request);
  if (restoring.ok()) inversion.restoring = *restoring;
  return inversion;
}

absl::StatusOr<SamePadding> FindSamePadding(const SameQuery& query) {
  Violations violations;
  CheckAtLeast("input", 1, query.input, violations);
  CheckAtLeast("kernel", 1, query.kernel, violations);
  CheckAtLeast("stride", 1, query.stride, violations);
  CheckAtLeast("dilation", 1, query.dilation, violations);
  if (!violations.empty()) return InvalidArgument(violations);
  AxisRequest request;
  request.input = query.input;
  request.kernel = query.kernel;
  request.stride = query.stride;
  request.dilation = query.dilation;
  request.auto_pad = AutoPad::kSameUpper;
  const auto axis = Resolve(Operation::kConv, request);
  if (!axis.ok()) return axis.status();

  SamePadding same;
  same.wanted_output = axis->output;
  same.total = axis->padding_begin + axis->padding_end;
  same.same_upper_begin = axis->padding_begin;
  same.same_lower_begin = axis->padding_end;
  const std::int64_t padding = same.same_lower_begin;  // ceil(T / 2)
  request.auto_pad = AutoPad::kUnspecified;
  request.padding_begin = request.padding_end = padding;
  const auto symmetric = Resolve(Operation::kConv, request);
  if (symmetric.ok() && symmetric->output == same.wanted_output) {
    same.symmetric = padding;
    same.samples_like_same_upper = padding == same.same_upper_begin;
    same.samples_like_same_lower = true;
  }
  return same;
}

}  // namespace convserve
