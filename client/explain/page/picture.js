"use strict";
// The two drawings of the page, as SVG text: what the kernel moves over, and the output.

const MOST_CELLS = 34;

// Which positions of first..last are shown: all, or both ends and what surrounds focus.
function visiblePositions(first, last, focusFirst, focusLast, most) {
  const range = (from, to) => Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => from + i);
  if (last - first < most) return range(first, last);
  const ends = Math.floor(most / 8);
  const middle = most - 2 * ends - 2;
  const around = Math.max(0, Math.floor((middle - (focusLast - focusFirst + 1)) / 2));
  const shown = new Set([...range(first, first + ends - 1), ...range(last - ends + 1, last)]);
  const from = Math.max(first, focusFirst - around);
  const to = Math.min(last, Math.min(focusLast + around, from + middle - 1));
  range(from, to).forEach((position) => shown.add(position));
  const cells = [];
  let previous = first - 1;
  for (const position of [...shown].sort((a, b) => a - b)) {
    if (position !== previous + 1) cells.push(null);
    cells.push(position);
    previous = position;
  }
  return cells;
}

// The line that the kernel moves over: one entry a cell, null for what is left out. A ConvTranspose is shown as
// the direct convolution that it equals: holes between the inputs, the rotated kernel moving by one.
function sourceLine(problem, axis, counts, j) {
  const conv = problem.operation === "conv";
  const { n, k, s, d, pl, pr, ek, o } = axis;
  const spacing = conv ? 1 : s;
  const start = conv ? j * s - pl : j + pl - (ek - 1);
  const first = conv ? -pl : Math.min(0, pl - (ek - 1));
  const last = conv ? n - 1 + pr : Math.max((n - 1) * s, o - 1 + pl);
  const unused = new Set(counts.unused);
  return visiblePositions(first, last, start, start + ek - 1, MOST_CELLS).map((position) => {
    if (position === null) return null;
    const offset = position - start;
    const inWindow = offset >= 0 && offset < ek;
    const step = inWindow && offset % d === 0 ? offset / d : -1;
    const cell = { kind: "padding", input: -1, inWindow, tap: step < 0 || conv ? step : k - 1 - step, unused: false };
    if (position >= 0 && position <= (n - 1) * spacing) {
      if (position % spacing !== 0) return { ...cell, kind: "hole" };
      const input = position / spacing;
      return { ...cell, kind: "input", input, unused: unused.has(input) };
    }
    const input = conv ? repeated(problem.mode, position, n) : -1;
    return input < 0 ? cell : { ...cell, kind: "repeat", input };
  });
}

function outputLine(problem, axis, counts, j) {
  const conv = problem.operation === "conv";
  const { n, s, pl, op, ek, o } = axis;
  const first = conv ? 0 : -pl;
  const last = conv ? o - 1 : Math.max((n - 1) * s + ek - 1 - pl, o - 1);
  return visiblePositions(first, last, j, j, MOST_CELLS).map((position) => {
    if (position === null) return null;
    const inside = position >= 0 && position < o;
    return {
      position,
      kind: !inside ? "cropped" : position >= o - op ? "revealed" : "output",
      taps: inside ? counts.taps[position] : 0,
      selected: position === j,
    };
  });
}

const ONE_SOURCE = { kind: "input", input: 0, inWindow: true, tap: 0, unused: false };
const ONE_OUTPUT = { position: 0, kind: "output", taps: 1, selected: true };

function combinedKind(cells, order) {
  return order.find((kind) => cells.some((cell) => cell.kind === kind));
}

// Text that fits a cell.
function shortNumber(value) {
  if (!Number.isFinite(value)) return String(value);
  const text = String(Math.round(value * 1000) / 1000);
  return text.length <= 6 ? text.replace("-", "\u2212") : value.toPrecision(2).replace("-", "\u2212");
}

function svgOf(columns, rows, size, label, body) {
  const width = columns * size + 2, height = rows * size + 2;
  return `<svg viewBox="-1 -1 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${label}">` +
    `<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">` +
    `<path class="hatching" d="M0 0v6"/></pattern></defs>${body}</svg>`;
}

function textAt(x, y, fontSize, text, kind = "") {
  return `<text class="${kind}" x="${x}" y="${y}" font-size="${fontSize}">${text}</text>`;
}

function cross(x, y, size) {
  return `<path class="cross" d="M${x + size / 4} ${y + size / 4}l${size / 2} ${size / 2}m0 ${-size / 2}l${-size / 2} ${size / 2}"/>`;
}

// One slice of the left drawing. `values` has input(position) and weight(tap), or null where cells show none.
function drawSource(lines, slice, size, label, values, occurs) {
  const [rows, columns] = lines;
  const order = ["padding", "hole", "repeat", "input"];
  let body = "";
  rows.forEach((row, r) => columns.forEach((column, c) => {
    const x = c * size, y = r * size;
    if (row === null || column === null) {
      body += textAt(x + size / 2, y + size / 2, size / 3, "\u2026");
      return;
    }
    const cells = slice === null ? [row, column] : [slice, row, column];
    const kind = combinedKind(cells, order);
    const tap = cells.every((cell) => cell.tap >= 0);
    const unused = kind === "input" && cells.some((cell) => cell.unused);
    const reads = kind === "input" || kind === "repeat";
    occurs.add(reads && tap ? "input tap" : tap ? "padding tap" : unused ? "unused" : kind);
    const box = (name) => `<rect class="${name}" x="${x}" y="${y}" width="${size}" height="${size}"/>`;
    body += box(kind + (tap ? " tap" : ""));
    if (unused) body += box("unused");
    if (kind === "hole" && !tap) body += `<circle class="dot" cx="${x + size / 2}" cy="${y + size / 2}" r="2"/>`;
    if (size < 20) return;
    const ink = tap && reads ? "on" : "";
    if (reads) {
      const value = values.input(cells.map((cell) => cell.input));
      body += textAt(x + size / 2, y + size / 2 - (tap ? size / 9 : 0), size / 2.8, shortNumber(value), ink);
    }
    if (tap) {
      const value = values.weight(cells.map((cell) => cell.tap));
      body += textAt(x + size * 0.62, y + size * 0.78, size / 3.8, "\u00d7" + shortNumber(value), ink);
    }
  }));
  const inside = (line) => line.flatMap((cell, i) => (cell !== null && cell.inWindow ? [i] : []));
  const across = inside(columns), down = inside(rows);
  if (across.length > 0 && down.length > 0) {
    body += `<rect class="window" x="${across[0] * size}" y="${down[0] * size}" ` +
      `width="${(across.at(-1) - across[0] + 1) * size}" height="${(down.at(-1) - down[0] + 1) * size}"/>`;
  }
  return svgOf(columns.length, rows.length, size, label, body);
}

// The output. `values(row, column)` is the number to show in a cell.
function drawOutput(lines, sliceTaps, size, label, values, occurs) {
  const [rows, columns] = lines;
  let body = "";
  rows.forEach((row, r) => columns.forEach((column, c) => {
    const x = c * size, y = r * size;
    if (row === null || column === null) {
      body += textAt(x + size / 2, y + size / 2, size / 3, "\u2026");
      return;
    }
    const kind = combinedKind([row, column], ["cropped", "revealed", "output"]);
    const box = (name, data = "") =>
      `<rect class="${name}" x="${x}" y="${y}" width="${size}" height="${size}"${data}/>`;
    if (kind === "cropped") {
      occurs.add("cropped");
      body += box("cropped") + cross(x, y, size);
      return;
    }
    const taps = row.taps * column.taps * sliceTaps;
    const chosen = row.selected && column.selected ? " chosen" : "";
    if (kind === "revealed") occurs.add("output revealed");
    if (taps === 0) occurs.add("output none");
    body += box(`output${kind === "revealed" ? " revealed" : ""}${taps === 0 ? " none" : ""}${chosen}`,
      ` data-row="${row.position}" data-column="${column.position}"`);
    if (size < 20) return;
    body += textAt(x + size / 2, y + size / 2 - size / 9, size / 2.8, shortNumber(values(row.position, column.position)), chosen);
    body += textAt(x + size * 0.75, y + size * 0.8, size / 4, taps, chosen);
  }));
  return svgOf(columns.length, rows.length, size, label, body);
}

const LEGEND = {
  "input tap": "input that a tap reads",
  "input": "input",
  "unused": "input that reaches no output",
  "padding": "padding",
  "repeat": "padding that repeats an input",
  "hole": "hole between strides",
  "padding tap": "tap that finds no input",
  "output none": "output that no input reaches",
  "output revealed": "output that output padding adds",
  "cropped": "cropped by the padding",
};

function drawLegend(occurs) {
  return Object.keys(LEGEND).filter((kind) => occurs.has(kind)).map((kind) => {
    const mark = kind === "hole" ? '<circle class="dot" cx="8" cy="8" r="2"/>' : kind === "cropped" ? cross(0, 0, 16) : "";
    return `<li><svg width="18" height="18" viewBox="-1 -1 18 18" aria-hidden="true">` +
      `<rect class="${kind}" width="16" height="16"/>${mark}</svg>${LEGEND[kind]}</li>`;
  }).join("");
}
