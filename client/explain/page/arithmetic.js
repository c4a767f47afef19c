"use strict";
// The arithmetic of the page: sizes, taps, pairs and counts of a convolution of up to three axes.
//
// A problem is {operation: "conv" | "conv-transpose", mode: "zeros" | "reflect" | "replicate" | "circular",
// flip: boolean, axes: [{n, k, s, d, pl, pr, op}]}: input size, kernel, stride, dilation, padding before and
// after, output padding. Everything is counted by loops, because a page is small; the program's own answers come from
// closed formulas, and a test holds the two against each other.

// The axis with its effective kernel ek and output size o, or with an error that says what to change.
function resolveAxis(operation, mode, given) {
  const axis = { ...given, ek: given.d * (given.k - 1) + 1, o: 0, error: "" };
  const { n, s, d, pl, pr, op, ek } = axis;
  if (operation === "conv") {
    axis.op = 0;
    const padded = n + pl + pr;
    const most = mode === "reflect" ? n - 1 : mode === "circular" ? n : Infinity;
    if (Math.max(pl, pr) > most) {
      axis.error = `${mode} padding may be at most ${most} for an input of ${n}`;
    } else if (padded < ek) {
      axis.error = `the kernel spans ${ek}, the padded input only ${padded}`;
    } else {
      axis.o = Math.floor((padded - ek) / s) + 1;
    }
    return axis;
  }
  axis.o = (n - 1) * s - pl - pr + ek + op;
  if (op >= Math.max(s, d)) {
    axis.error = `output padding must be below max(stride, dilation) = ${Math.max(s, d)}`;
  } else if (axis.o < 1) {
    axis.error = `the padding crops everything: the output size would be ${axis.o}`;
  }
  return axis;
}

function resolve(problem) {
  return problem.axes.map((axis) =>
    resolveAxis(problem.operation, problem.mode, axis));
}

// "floor((5 + 1 + 1 - 3) / 2) + 1 = 3".
function sizeFormula(operation, axis) {
  const { n, s, pl, pr, op, ek, o } = axis;
  return operation === "conv"
    ? `floor((${n} + ${pl} + ${pr} \u2212 ${ek}) / ${s}) + 1 = ${o}`
    : `(${n} \u2212 1)\u00b7${s} \u2212 ${pl} \u2212 ${pr} + ${ek} + ${op} = ${o}`;
}

// What tap t of output j meets: {kind: "input" | "padding" | "hole", input}; the input is -1 where there is none.
function sourceOfTap(operation, mode, axis, j, t) {
  const { n, s, d, pl } = axis;
  if (operation === "conv-transpose") {
    const position = j + pl - t * d;
    if (position < 0 || position > (n - 1) * s) return { kind: "padding", input: -1 };
    if (position % s !== 0) return { kind: "hole", input: -1 };
    return { kind: "input", input: position / s };
  }
  const i = j * s + t * d - pl;
  if (i >= 0 && i < n) return { kind: "input", input: i };
  return { kind: "padding", input: repeated(mode, i, n) };
}

// Which input position the padding at position i repeats; -1 for zeros.
function repeated(mode, i, n) {
  if (mode === "reflect") return i < 0 ? -i : 2 * (n - 1) - i;
  if (mode === "replicate") return i < 0 ? 0 : n - 1;
  if (mode === "circular") return ((i % n) + n) % n;
  return -1;
}

// The taps of output j that bring an input, in order: [{tap, input}].
function tapsThatRead(operation, mode, axis, j) {
  const taps = [];
  for (let t = 0; t < axis.k; ++t) {
    const { input } = sourceOfTap(operation, mode, axis, j, t);
    if (input >= 0) taps.push({ tap: t, input });
  }
  return taps;
}

function gcd(a, b) {
  return b === 0 ? a : gcd(b, a % b);
}

// Counts along one resolved axis, under the names that `convctl describe --json` uses; and which positions they count.
function describeAxis(operation, mode, axis) {
  const { n, k, s, d, pl, pr, ek, o } = axis;
  const conv = operation === "conv";
  const used = new Array(n).fill(false);
  const taps = [];
  for (let j = 0; j < o; ++j) {
    const reading = tapsThatRead(operation, mode, axis, j);
    for (const { input } of reading) used[input] = true;
    taps.push(reading.length);
  }
  let received = taps;
  if (!conv) {
    received = new Array(s).fill(0);
    for (let t = 0; t < k; ++t) ++received[(t * d) % s];
  }
  const convOutput = conv ? o : n;
  const smallest = (convOutput - 1) * s + ek - pl - pr;
  const p = Math.max(pl, pr);
  const accepted = Math.max(smallest, mode === "reflect" ? p + 1 : mode === "circular" ? Math.max(1, p) : 1);
  const largest = smallest + s - 1;
  const positions = (flags) => flags.flatMap((flag, i) => (flag ? [i] : []));
  const unused = positions(used.map((flag) => !flag));
  const uncovered = positions(taps.map((count) => count === 0));
  return {
    taps,
    unused,
    uncovered,
    unused_inputs: unused.length,
    uncovered_outputs: uncovered.length,
    min_overlap: received.reduce((a, b) => Math.min(a, b)),
    max_overlap: received.reduce((a, b) => Math.max(a, b)),
    even: gcd(s, d) === 1 && k % s === 0,
    restoring_output_padding: conv ? (n + pl + pr - ek) % s : 0,
    smallest_input_with_this_output: accepted <= largest ? accepted : 0,
    largest_input_with_this_output: accepted <= largest ? largest : 0,
  };
}

// Every product behind the output element at `at` (one index an axis): {terms, padded}, where a term has the input
// position, the tap and the weight position (the tap, or its mirror image in a flipped kernel).
function pairsBehind(problem, axes, at) {
  const reading = axes.map((axis, a) =>
    tapsThatRead(problem.operation, problem.mode, axis, at[a]));
  let terms = [{ input: [], tap: [], weight: [] }];
  reading.forEach((taps, a) => {
    terms = terms.flatMap((term) =>
      taps.map(({ tap, input }) => ({
        input: [...term.input, input],
        tap: [...term.tap, tap],
        weight: [...term.weight, problem.flip ? axes[a].k - 1 - tap : tap],
      })));
  });
  const all = axes.reduce((product, axis) => product * axis.k, 1);
  return { terms, padded: all - terms.length };
}

// Row-major offset of an index.
function offsetOf(index, sizes) {
  return index.reduce((offset, i, a) => offset * sizes[a] + i, 0);
}

// The sum of all products and the bias. input(channel, offset) and weight(channel, offset) give the elements. `visit`
// is called with every term, its channel, both values, the product and the running sum.
function evaluate(problem, axes, at, { channels, input, weight, bias }, visit = () => {}) {
  const { terms } = pairsBehind(problem, axes, at);
  const sizes = axes.map((axis) => axis.n);
  const kernels = axes.map((axis) => axis.k);
  let sum = 0;
  for (let channel = 0; channel < channels; ++channel) {
    for (const term of terms) {
      const x = input(channel, offsetOf(term.input, sizes));
      const w = weight(channel, offsetOf(term.weight, kernels));
      sum += x * w;
      visit({ ...term, channel, x, w, product: x * w, sum });
    }
  }
  return sum + bias;
}

if (typeof module !== "undefined") {
  module.exports = { resolve, resolveAxis, sizeFormula, sourceOfTap, describeAxis, pairsBehind, evaluate };
}
