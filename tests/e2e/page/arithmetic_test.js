"use strict";
// Runs the arithmetic of the page by itself and compares every answer with the core's.
//
//   node arithmetic_test.js FOLDER      (page_cases has filled FOLDER)
const assert = require("node:assert");
const fs = require("node:fs");
const path = require("node:path");

const folder = process.argv[2];
const page = fs.readFileSync(path.join(folder, "page.html"), "utf8");
const scripts = [...page.matchAll(/<script>([\s\S]*?)<\/script>/g)].map((match) => match[1]);
const script = scripts.find((text) => text.includes("function resolveAxis"));
const loaded = { exports: {} };
new Function("module", script)(loaded);
const arithmetic = loaded.exports;

let accepted = 0, pairs = 0;
const cases = JSON.parse(fs.readFileSync(path.join(folder, "cases.json"), "utf8"));
cases.forEach((expected, number) => {
  const { problem } = expected;
  const said = `case ${number}: ${JSON.stringify(problem)}`;
  const axes = arithmetic.resolve(problem);
  assert.strictEqual(axes.every((axis) => axis.error === ""), expected.accepted, said);
  if (!expected.accepted) return;
  ++accepted;
  axes.forEach((axis, a) => {
    const described = { ...arithmetic.describeAxis(problem.operation, problem.mode, axis), o: axis.o, ek: axis.ek };
    for (const [field, value] of Object.entries(expected.axes[a])) {
      assert.deepStrictEqual(described[field], value, `${said}, axis ${a}, ${field}`);
    }
  });
  const { terms, padded } = arithmetic.pairsBehind(problem, axes, expected.at);
  assert.deepStrictEqual(terms.map((term) => [term.input, term.weight]), expected.pairs, said);
  assert.strictEqual(padded, expected.padded, said);
  const elements = { channels: 1, bias: 0, input: (_, offset) => (offset % 9) + 1, weight: (_, offset) => (offset % 4) + 1 };
  let running = 0;
  const value = arithmetic.evaluate(problem, axes, expected.at, elements, (term) => { running = term.sum; ++pairs; });
  assert.strictEqual(value, expected.value, said);
  assert.strictEqual(running, expected.value, said);
});
assert(accepted > 2000, `only ${accepted} problems were accepted`);
console.log(`${cases.length} problems, ${accepted} accepted, ${pairs} pairs: all as the core has them`);
