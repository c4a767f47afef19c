"use strict";
// The page itself: what is asked for, what is shown, and how one moves.

const start = JSON.parse(document.getElementById("state").textContent);
const AXIS_NAMES = ["depth", "height", "width"].slice(3 - start.axes.length);
const NUMBERS = [
  ["n", "input size", 1, 1024], ["k", "kernel size", 1, 64], ["s", "stride", 1, 1024], ["d", "dilation", 1, 1024],
  ["pl", "padding before", 0, 1024], ["pr", "padding after", 0, 1024], ["op", "output padding", 0, 1024],
];
const MOST_LISTED = 500;
const element = (id) => document.getElementById(id);
const product = (sizes) => sizes.reduce((a, b) => a * b, 1);

let problem, axes, counts, at, timer = null;

function ownElements(given, sizes) {
  return given !== null && given.length === start.channels * product(sizes);
}

// Elements: those that came with the page while the sizes are theirs, otherwise small whole numbers.
function elementsOf(given, sizes, made) {
  if (!ownElements(given, sizes)) return made;
  return (channel, offset) => given[channel * product(sizes) + offset];
}

function tensors() {
  return {
    channels: start.channels,
    input: elementsOf(start.input, axes.map((axis) => axis.n), (channel, offset) => ((offset + 3 * channel) % 9) + 1),
    weight: elementsOf(start.weight, axes.map((axis) => axis.k), (channel, offset) => ((offset + channel) % 4) + 1),
    bias: start.bias,
  };
}

function outputs() {
  return product(axes.map((axis) => axis.o));
}

function indexOf(position) {
  const index = [];
  for (let a = axes.length - 1; a >= 0; --a) {
    index.unshift(position % axes[a].o);
    position = Math.floor(position / axes[a].o);
  }
  return index;
}

function buildForm() {
  const head = `<thead><tr><th><span class="quiet">size</span></th>${AXIS_NAMES.map((name) => `<th scope="col">${name}</th>`).join("")}</tr></thead>`;
  const rows = NUMBERS.map(([key, label, min, max]) => `<tr id="row-${key}"><th scope="row">${label}</th>` +
    AXIS_NAMES.map((name, a) => `<td><input type="number" inputmode="numeric" id="${key}${a}" min="${min}" max="${max}" ` +
      `step="1" aria-label="${label}, ${name}"></td>`).join("") + "</tr>");
  element("numbers").innerHTML = `${head}<tbody>${rows.join("")}</tbody>`;
}

function fillForm(state) {
  element("operation").value = state.operation;
  element("mode").value = state.mode;
  element("flip").checked = state.flip;
  state.axes.forEach((axis, a) => NUMBERS.forEach(([key]) => { element(key + a).value = axis[key]; }));
}

// The problem in the form, or an error.
function readForm() {
  const read = {
    operation: element("operation").value, flip: element("flip").checked, error: "",
    mode: element("operation").value === "conv" ? element("mode").value : "zeros", axes: AXIS_NAMES.map(() => ({})),
  };
  for (const [key, label, min, max] of NUMBERS) {
    read.axes.forEach((axis, a) => {
      const field = element(key + a);
      axis[key] = Number(field.value);
      const fits = field.value !== "" && Number.isInteger(axis[key]) && axis[key] >= min && axis[key] <= max;
      field.setAttribute("aria-invalid", String(!fits));
      if (!fits) read.error ||= `${label}, ${AXIS_NAMES[a]}: a whole number from ${min} to ${max}`;
    });
  }
  return read;
}

function changed() {
  const conv = element("operation").value === "conv";
  element("row-op").hidden = conv;
  element("mode-row").hidden = !conv;
  const read = readForm();
  const resolved = read.error ? [] : resolve(read);
  const wrong = resolved.findIndex((axis) => axis.error);
  const error = read.error || (wrong >= 0 ? `${AXIS_NAMES[wrong]}: ${resolved[wrong].error}` : "");
  const tooLarge = !error && product(resolved.map((axis) => axis.o)) > 4e6 ? "the output has more than 4,000,000 elements" : "";
  element("alert").textContent = error || tooLarge;
  element("figures").classList.toggle("stale", Boolean(error || tooLarge));
  if (error || tooLarge) return stop();
  problem = read;
  axes = resolved;
  counts = axes.map((axis) => describeAxis(problem.operation, problem.mode, axis));
  at = axes.map((axis, a) => Math.min(at[a], axis.o - 1));
  element("position").max = outputs() - 1;
  showFacts();
  show();
}

function by(key, unit = "\u00d7") {
  return axes.map((axis) => axis[key]).join(unit);
}

function showFacts() {
  element("title").textContent = `${problem.operation}: input ${by("n")}, kernel ${by("k")} \u2192 output ${by("o")}`;
  element("sizes").innerHTML = axes.map((axis, a) =>
    `<p>${AXIS_NAMES[a]}: ${sizeFormula(problem.operation, axis)}</p>`).join("") + `<p class="quiet">${problem.operation === "conv"
      ? "floor((input + padding before + padding after \u2212 effective kernel) / stride) + 1"
      : "(input \u2212 1)\u00b7stride \u2212 padding before \u2212 padding after + effective kernel + output padding"};
      effective kernel = dilation\u00b7(kernel \u2212 1) + 1</p>`;
  const list = (positions) => positions.slice(0, 12).join(", ") + (positions.length > 12 ? ", \u2026" : "");
  const conv = problem.operation === "conv";
  element("facts").innerHTML = counts.map((count, a) => {
    const { s, k, o, n } = axes[a];
    const facts = [
      count.unused_inputs === 0 ? "Every input reaches an output."
        : `${count.unused_inputs} of ${n} inputs reach no output: ${list(count.unused)}.`,
      count.uncovered_outputs === 0 ? "Every output is reached by an input."
        : `${count.uncovered_outputs} of ${o} outputs are reached by no input and ${start.bias === 0 ? "are 0" : "hold the bias"}: ${list(count.uncovered)}.`,
    ];
    if (conv) {
      facts.push(`An output receives ${count.min_overlap === count.max_overlap ? count.max_overlap : `${count.min_overlap} to ${count.max_overlap}`} of ${k} taps.`,
        `Inputs of ${[...new Set([count.smallest_input_with_this_output, count.largest_input_with_this_output])].join(" to ")} give this output size; ` +
        `conv-transpose with output padding ${count.restoring_output_padding} restores ${n}.`);
    } else {
      facts.push(count.even ? `Even overlap: every output phase receives ${count.max_overlap} taps (stride ${s} divides kernel ${k}).`
        : s === 1 ? "" : `Uneven overlap, a checkerboard: output phases receive ${count.min_overlap} to ${count.max_overlap} taps.`);
    }
    return `<p>${AXIS_NAMES[a]}</p><ul class="facts">${facts.filter(Boolean).map((fact) => `<li>${fact}</li>`).join("")}</ul>`;
  }).join("");
}

// Cells as large as fits: both drawings beside each other where there is room, else one below the other.
function cellSize(sourceColumns, outputColumns) {
  const room = element("figures").clientWidth - 8;
  const beside = Math.floor((room - 32) / (sourceColumns + outputColumns));
  const below = Math.floor(room / Math.max(sourceColumns, outputColumns));
  return Math.max(13, Math.min(34, beside >= 22 ? beside : below));
}

function showPictures() {
  const values = tensors();
  const sizes = axes.map((axis) => axis.n), kernels = axes.map((axis) => axis.k);
  const source = axes.map((axis, a) => sourceLine(problem, axis, counts[a], at[a]));
  const output = axes.map((axis, a) => outputLine(problem, axis, counts[a], at[a]));
  if (axes.length === 1) source.unshift([ONE_SOURCE]);
  if (axes.length === 1) output.unshift([ONE_OUTPUT]);
  const strip = (index) => (axes.length === 1 ? index.slice(1) : index);
  const shown = {
    input: (position) => values.input(0, offsetOf(strip(position), sizes)),
    weight: (tap) => values.weight(0, offsetOf(strip(tap).map((t, a) => (problem.flip ? kernels[a] - 1 - t : t)), kernels)),
  };
  const occurs = new Set();
  const size = cellSize(source.at(-1).length, output.at(-1).length);
  const slices = axes.length === 3 ? source[0].filter((cell) => cell !== null && cell.tap >= 0) : [null];
  element("source").innerHTML = slices.map((slice) => {
    const name = slice === null ? "" : slice.input >= 0 ? `kernel depth ${slice.tap} on input depth ${slice.input}` : `kernel depth ${slice.tap} finds no input`;
    return (name && `<p class="slice">${name}</p>`) +
      drawSource(source.slice(-2), slice, size, name || "input and kernel", shown, occurs);
  }).join("");
  element("source-caption").textContent = problem.operation === "conv" ? "input with the kernel on it"
    : "input as the equal direct convolution sees it, with the rotated kernel on it";
  const sliceTaps = axes.length === 3 ? counts[0].taps[at[0]] : 1;
  element("output").innerHTML = drawOutput(output.slice(-2), sliceTaps, size, `output ${by("o")}`,
    (row, column) => evaluate(problem, axes, [...at.slice(0, -2), row, column].slice(-axes.length), values), occurs);
  element("legend").innerHTML = drawLegend(occurs);
}

function show() {
  showPictures();
  const rows = [], terms = [];
  const name = (term) => start.channels > 1 ? [term.channel, ...term.input] : term.input;
  const bracket = (index) => `[${index.join(",")}]`;
  const weight = (term) => start.channels > 1 ? [term.channel, ...term.weight] : term.weight;
  let count = 0;
  const value = evaluate(problem, axes, at, tensors(), (term) => {
    ++count;
    if (terms.length < 6) terms.push(`${shortNumber(term.x)}\u00b7${shortNumber(term.w)}`);
    if (rows.length >= MOST_LISTED) return;
    rows.push(`<tr><td>x${bracket(name(term))}</td><td>w${bracket(weight(term))}</td><td>${term.x}</td>` +
      `<td>${term.w}</td><td>${term.product}</td><td>${term.sum}</td></tr>`);
  });
  const sum = terms.join(" + ") + (count > terms.length ? ` + \u2026 (${count} products)` : "");
  const bias = start.bias !== 0 || count === 0 ? `${count > 0 ? " + " : ""}${start.bias}${start.bias === 0 ? "" : " (bias)"}` : "";
  element("equation").textContent = `y${bracket(at)} = ` +
    (count === 0 && start.bias === 0 ? "0 (no input reaches it)" : `${sum}${bias} = ${value}`);
  element("equation").dataset.value = value;
  const own = start.input === null || (ownElements(start.input, axes.map((axis) => axis.n)) &&
    ownElements(start.weight, axes.map((axis) => axis.k)));
  const missing = product(axes.map((axis) => axis.k)) * start.channels - count;
  element("pairs-note").textContent = `${count} products; ${missing} taps find no input.` +
    (count > rows.length ? ` The first ${rows.length} are listed.` : "") + (start.note ? ` ${start.note}` : "") +
    (own ? "" : " Since the sizes were changed, the values are made up.");
  element("pairs-head").innerHTML = "<tr>" + ["input", "weight", "x", "w", "x\u00b7w", "running sum"]
    .map((title) => `<th scope="col">${title}</th>`).join("") + "</tr>";
  element("pairs").innerHTML = rows.join("");
  const slider = element("position");
  slider.value = offsetOf(at, axes.map((axis) => axis.o));
  slider.setAttribute("aria-valuetext", `output ${at.join(", ")} is ${value}`);
}

function stop() {
  clearInterval(timer);
  timer = null;
  element("play").textContent = "Play";
}

function togglePlay() {
  if (timer !== null) return stop();
  element("play").textContent = "Pause";
  timer = setInterval(() => step(1), 700);
}

function step(by) {
  const all = outputs();
  at = indexOf((offsetOf(at, axes.map((axis) => axis.o)) + by + all) % all);
  show();
}

// Moves along one axis, counted from the last, within the output.
function move(fromLast, by) {
  const a = axes.length - 1 - fromLast;
  if (a < 0) return;
  at[a] = Math.min(axes[a].o - 1, Math.max(0, at[a] + by));
  show();
}

function onKey(event) {
  const keys = {
    ArrowLeft: () => move(0, -1), ArrowRight: () => move(0, 1), ArrowUp: () => move(1, -1), ArrowDown: () => move(1, 1),
    PageUp: () => move(2, -1), PageDown: () => move(2, 1), " ": togglePlay,
    Home: () => { at = indexOf(0); show(); }, End: () => { at = indexOf(outputs() - 1); show(); },
  };
  if (!(event.key in keys) || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  keys[event.key]();
}

function onCell(event) {
  const cell = event.target.closest("rect[data-row]");
  if (cell === null) return;
  const position = [Number(cell.dataset.row), Number(cell.dataset.column)];
  at = [...at.slice(0, -2), ...position].slice(-axes.length);
  show();
}

function reset() {
  at = [...start.at];
  fillForm(start);
  changed();
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  element("theme").textContent = theme === "dark" ? "Light" : "Dark";
  element("theme").setAttribute("aria-label", `Use the ${theme === "dark" ? "light" : "dark"} theme`);
}

const dark = matchMedia("(prefers-color-scheme: dark)");
setTheme(dark.matches ? "dark" : "light");
dark.addEventListener("change", () => setTheme(dark.matches ? "dark" : "light"));
element("theme").addEventListener("click", () => setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
buildForm();
element("parameters").addEventListener("input", changed);
element("parameters").addEventListener("submit", (event) => event.preventDefault());
element("reset").addEventListener("click", reset);
element("previous").addEventListener("click", () => step(-1));
element("next").addEventListener("click", () => step(1));
element("play").addEventListener("click", togglePlay);
element("position").addEventListener("input", (event) => { at = indexOf(Number(event.target.value)); show(); });
for (const id of ["source", "output"]) element(id).addEventListener("keydown", onKey);
element("output").addEventListener("click", onCell);
addEventListener("resize", () => axes && showPictures());
reset();
