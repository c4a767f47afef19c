#include "core/reach.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <numeric>

#include "absl/container/inlined_vector.h"

namespace convserve {
namespace {

using absl::int128;

int128 FloorDiv(int128 a, int128 b) {
  const int128 quotient = a / b;
  return quotient * b > a ? quotient - 1 : quotient;
}

int128 Mod(int128 a, int128 b) { return a - FloorDiv(a, b) * b; }

// Adds up slope, start >= 0.
int128 FloorSumNonNegative(int128 count, int128 slope, int128 start, int128 divisor) {
  int128 sum = 0;
  while (count > 0) {
    if (slope >= divisor) {
      sum +=
          (count % 2 == 0 ? count / 2 * (count - 1) : (count - 1) / 2 * count) * (slope / divisor);
      slope %= divisor;
    }
    if (start >= divisor) {
      sum += count * (start / divisor);
      start %= divisor;
    }
    const int128 last = slope * count + start;
    if (last < divisor) break;
    count = last / divisor;
    start = last % divisor;
    std::swap(slope, divisor);
  }
  return sum;
}

// The inverse of a modulo m, for gcd(a, m) = 1.
int128 Inverse(int128 a, int128 m) {
  int128 r0 = m, r1 = Mod(a, m), x0 = 0, x1 = 1;
  while (r1 != 0) {
    const int128 q = r0 / r1;
    r0 -= q * r1;
    std::swap(r0, r1);
    x0 -= q * x1;
    std::swap(x0, x1);
  }
  return Mod(x0, m);
}

// An affine function of a loop variable.
struct Affine {
  int128 start = 0;
  int128 slope = 0;
  int128 At(int128 v) const { return start + slope * v; }
};

Affine operator+(Affine f, int128 c) { return {f.start + c, f.slope}; }

// The positions first, first + s, ..., last of one residue class modulo s, clipped to [begin, end].
struct Run {
  Affine first;
  Affine last;
  Affine begin;
  Affine end;
};
using Runs = absl::InlinedVector<Run, 3>;
using Cuts = absl::InlinedVector<int128, 160>;

// Ends of the pieces of [0, length) within which no two of the functions cross.
Cuts CutsWhereOrderChanges(const Runs& runs, int128 length) {
  absl::InlinedVector<Affine, 12> functions;
  for (const Run& run : runs) {
    functions.insert(functions.end(), {run.first, run.last, run.begin, run.end});
  }
  Cuts cuts = {0, length};
  for (std::size_t a = 0; a < functions.size(); ++a) {
    for (std::size_t b = a + 1; b < functions.size(); ++b) {
      const int128 slope = functions[a].slope - functions[b].slope;
      if (slope == 0) continue;
      const int128 rise = functions[b].start - functions[a].start;
      const int128 crossing = slope > 0 ? FloorDiv(rise, slope) : FloorDiv(-rise, -slope);
      for (const int128 cut : {crossing, crossing + 1}) {
        if (cut > 0 && cut < length) cuts.push_back(cut);
      }
    }
  }
  std::sort(cuts.begin(), cuts.end());
  cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
  return cuts;
}

// sum over v in [begin, end) of the members of the class of `member` modulo `step` that lie in
// [from, to].
int128 MembersBetween(Affine from, Affine to, Affine member, int128 begin, int128 end,
                      int128 step) {
  const auto below = [&](Affine edge) {
    return FloorSum(end - begin, edge.slope - member.slope, edge.At(begin) - member.At(begin),
                    step);
  };
  return below(to) - below(from + -1);
}

// sum over v in [0, length) of the size of the union of the runs, which share one residue class for
// every v.
int128 UnionOfRuns(const Runs& runs, int128 length, int128 step) {
  struct Interval {
    Affine from;
    Affine to;
  };
  int128 sum = 0;
  const Cuts cuts = CutsWhereOrderChanges(runs, length);
  for (std::size_t c = 0; c + 1 < cuts.size(); ++c) {
    const int128 v = cuts[c];
    absl::InlinedVector<Interval, 3> intervals;
    for (const Run& run : runs) {
      const Interval clipped = {run.first.At(v) >= run.begin.At(v) ? run.first : run.begin,
                                run.last.At(v) <= run.end.At(v) ? run.last : run.end};
      if (clipped.from.At(v) <= clipped.to.At(v)) intervals.push_back(clipped);
    }
    std::sort(intervals.begin(), intervals.end(),
              [v](const Interval& a, const Interval& b) { return a.from.At(v) < b.from.At(v); });
    const Affine* covered = nullptr;
    for (const Interval& interval : intervals) {
      if (covered != nullptr && interval.to.At(v) <= covered->At(v)) continue;
      const bool joined = covered != nullptr && interval.from.At(v) <= covered->At(v);
      sum += MembersBetween(joined ? *covered + 1 : interval.from, interval.to, runs[0].first, v,
                            cuts[c + 1], step);
      covered = &interval.to;
    }
  }
  return sum;
}

// S as runs: one for every t in [0, runs), from t*d to (t + s/g * floor((taps-1-t) / (s/g)))*d +
// (o-1)*s, each in a residue class modulo s of its own. Where equal classes would leave gaps (o <
// d/g), the roles of placements and taps are exchanged, after which no two classes are equal.
struct RunForm {
  explicit RunForm(Steps steps) {
    std::int64_t g = std::gcd(steps.stride, steps.dilation);
    if (steps.placements < steps.dilation / g) {
      std::swap(steps.placements, steps.taps);
      std::swap(steps.stride, steps.dilation);
    }
    gcd = g;
    classes = steps.stride / g;
    runs = std::min<int128>(steps.taps, classes);
    step = steps.stride;
    apart = steps.dilation;
    reach = int128{steps.placements - 1} * steps.stride;
    rounds = (steps.taps - 1) / classes;
    rest = (steps.taps - 1) % classes;
    inverse = classes == 1 ? 0 : Inverse(apart / gcd, classes);
  }

  // Length of the run of t: constant but for one fall after t = rest.
  int128 Length(int128 t) const {
    return (t <= rest ? rounds : rounds - 1) * classes * apart + reach;
  }

  int128 gcd, classes, runs, step, apart, reach, rounds, rest, inverse;
};

// The tap class of `image` that shares the residue class of tap class u of `base`: (slope*u +
// shift) mod classes.
struct Partner {
  const Image* image;
  int slope;
  int128 shift;
};

int128 UnionInCoset(const RunForm& form, absl::Span<const Partner> partners) {
  absl::InlinedVector<int128, 16> cuts = {0, form.classes};
  for (const Partner& partner : partners) {
    for (const int128 t : {int128{0}, form.runs, form.rest + 1}) {
      const int128 u = Mod(partner.slope > 0 ? t - partner.shift : partner.shift - t, form.classes);
      cuts.push_back(u);
      cuts.push_back(Mod(u + 1, form.classes));
    }
  }
  std::sort(cuts.begin(), cuts.end());
  cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());

  int128 sum = 0;
  for (std::size_t c = 0; c + 1 < cuts.size(); ++c) {
    Runs runs;
    for (const Partner& partner : partners) {
      const Image& image = *partner.image;
      const int128 t = Mod(partner.slope * cuts[c] + partner.shift, form.classes);
      if (t >= form.runs) continue;
      const Affine near = {image.sign * t * form.apart + image.offset,
                           image.sign * partner.slope * form.apart};
      const Affine far = near + image.sign * form.Length(t);
      runs.push_back({.first = image.sign > 0 ? near : far,
                      .last = image.sign > 0 ? far : near,
                      .begin = {image.begin, 0},
                      .end = {image.end - 1, 0}});
    }
    if (!runs.empty()) sum += UnionOfRuns(runs, cuts[c + 1] - cuts[c], form.step);
  }
  return sum;
}

}  // namespace

int128 FloorSum(int128 count, int128 slope, int128 start, int128 divisor) {
  if (count <= 0) return 0;
  if (slope < 0) {
    start += slope * (count - 1);
    slope = -slope;
  }
  const int128 whole = FloorDiv(start, divisor);
  return whole * count + FloorSumNonNegative(count, slope, start - whole * divisor, divisor);
}

int128 PairsBelow(const Steps& steps, int128 bound) {
  if (bound <= 0 || steps.placements <= 0 || steps.taps <= 0) return 0;
  const int128 o = steps.placements, s = steps.stride, k = steps.taps, d = steps.dilation;
  const auto placements_below = [&](int128 position) {
    return position <= 0 ? int128{0} : std::min(o, (position - 1) / s + 1);
  };
  const int128 whole = placements_below(bound - (k - 1) * d);
  const int128 some = placements_below(bound);
  // Placements whole .. some-1, last first, each with floor((bound - 1 - j*s) / d) + 1 taps.
  return whole * k + FloorSum(some - whole, s, bound - 1 - (some - 1) * s + d, d);
}

int128 PositionsWithin(const Steps& steps, int128 begin, int128 end) {
  if (begin >= end) return 0;
  const std::int64_t g = std::gcd(steps.stride, steps.dilation);
  const std::int64_t moved_placements = steps.dilation / g;
  const std::int64_t moved_taps = steps.stride / g;
  const Steps movable = {
      .placements = std::max<std::int64_t>(0, steps.placements - moved_placements),
      .stride = steps.stride,
      .taps = std::max<std::int64_t>(0, steps.taps - moved_taps),
      .dilation = steps.dilation};
  const int128 shift = int128{moved_placements} * steps.stride;
  const auto below = [&](int128 bound) {
    return PairsBelow(steps, bound) - PairsBelow(movable, bound - shift);
  };
  return below(end) - below(begin);
}

int128 PositionsInAny(const Steps& steps, absl::Span<const Image> images) {
  const RunForm form(steps);
  int128 sum = 0;
  absl::InlinedVector<bool, 3> done(images.size(), false);
  for (std::size_t base = 0; base < images.size(); ++base) {
    if (done[base]) continue;
    absl::InlinedVector<Partner, 3> partners;
    for (std::size_t i = base; i < images.size(); ++i) {
      const int128 distance = images[base].offset - images[i].offset;
      if (done[i] || Mod(distance, form.gcd) != 0) continue;
      done[i] = true;
      const int128 turns = Mod(Mod(distance / form.gcd, form.classes) * form.inverse, form.classes);
      partners.push_back({.image = &images[i],
                          .slope = images[base].sign * images[i].sign,
                          .shift = images[i].sign * turns});
    }
    sum += UnionInCoset(form, partners);
  }
  return sum;
}

}  // namespace convserve
