"use strict";
// Opens the page from disk in headless Chromium, with the network off, and uses it as a reader does.
//
//   node browser_test.js FOLDER CHROMIUM      (page_cases has filled FOLDER; screenshots go there too)
const assert = require("node:assert");
const fs = require("node:fs");
const path = require("node:path");
const { pathToFileURL } = require("node:url");
const { chromium } = require("playwright-core");

const [folder, executablePath] = process.argv.slice(2);
const walks = JSON.parse(fs.readFileSync(path.join(folder, "walks.json"), "utf8"));
const address = pathToFileURL(path.join(folder, "page.html")).href;

const value = (page) => page.$eval("#equation", (element) => Number(element.dataset.value));
const text = (page, selector) => page.$eval(selector, (element) => element.textContent);

async function setProblem(page, problem) {
  await page.selectOption("#operation", problem.operation);
  if (problem.operation === "conv") await page.selectOption("#mode", problem.mode);
  await page.setChecked("#flip", problem.flip);
  for (const [a, axis] of problem.axes.entries()) {
    for (const [key, number] of Object.entries(axis)) {
      if (key === "op" && problem.operation === "conv") continue;
      await page.fill(`#${key}${a}`, String(number));
    }
  }
}

// Every output element in turn, by the button; the slider and the picture follow.
async function expectOutputs(page, outputs) {
  await page.focus("#output");
  await page.keyboard.press("Home");
  for (const [position, expected] of outputs.entries()) {
    assert.strictEqual(await value(page), expected, `element ${position}`);
    assert.strictEqual(await page.inputValue("#position"), String(position));
    assert.strictEqual(await page.locator("#output rect.chosen").count(), 1);
    const last = page.locator("#pairs tr:last-child td:last-child");
    if (await last.count() > 0) assert.strictEqual(Number(await last.textContent()), expected);
    await page.click("#next");
  }
  assert.strictEqual(await value(page), outputs[0], "stepping wraps around");
}

async function expectKeyboard(page) {
  await page.focus("#output");
  await page.keyboard.press("Home");
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowDown");
  assert.match(await text(page, "#equation"), /^y\[1,1\] = /);
  await page.keyboard.press("ArrowLeft");
  assert.match(await text(page, "#equation"), /^y\[1,0\] = /);
  await page.keyboard.press("End");
  assert.strictEqual(await page.inputValue("#position"), await page.getAttribute("#position", "max"));
  await page.keyboard.press("Home");
  const played = page.evaluate(() => new Promise((resolve) => {
    new MutationObserver(resolve).observe(document.getElementById("equation"), { childList: true });
  }).then(() => document.getElementById("position").value));
  await page.keyboard.press("Space");
  assert.strictEqual(await text(page, "#play"), "Pause");
  assert.strictEqual(await played, "1");
  await page.keyboard.press("Space");
  assert.strictEqual(await text(page, "#play"), "Play");
  await page.focus("#position");
  await page.keyboard.press("Home");
  await page.keyboard.press("ArrowRight");
  assert.match(await text(page, "#equation"), /^y\[0,1\] = /);
  assert.match(await page.getAttribute("#position", "aria-valuetext"), /^output 0, 1 is /);
}

async function expectMistakesToBeTold(page) {
  await page.fill("#pl0", "900");
  assert.match(await text(page, "#alert"), /the padding crops everything/);
  await page.fill("#pl0", "1");
  await page.fill("#k1", "");
  assert.match(await text(page, "#alert"), /kernel size, width: a whole number from 1 to 64/);
  assert.strictEqual(await page.getAttribute("#k1", "aria-invalid"), "true");
  await page.click("#reset");
  assert.strictEqual(await text(page, "#alert"), "");
}

// Every control has a name that a screen reader can say.
async function expectNames(page) {
  const nameless = await page.$$eval("button, input, select, [tabindex]", (elements) => elements.filter((element) =>
    !(element.getAttribute("aria-label") || element.getAttribute("aria-labelledby") || element.textContent.trim() ||
      element.closest("label"))).map((element) => element.outerHTML));
  assert.deepStrictEqual(nameless, []);
  assert.deepStrictEqual(await page.$$eval("svg[role=img]:not([aria-label])", (elements) => elements.length), 0);
}

async function main() {
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  for (const width of [390, 1280]) {
    for (const colorScheme of ["light", "dark"]) {
      const context = await browser.newContext({ viewport: { width, height: 850 }, colorScheme, offline: true });
      const page = await context.newPage();
      const trouble = [];
      page.on("console", (message) => trouble.push(message.text()));
      page.on("pageerror", (error) => trouble.push(String(error)));
      page.on("request", (request) => { if (request.url() !== address && !request.url().startsWith("data:")) trouble.push(request.url()); });
      await page.goto(address);
      assert.strictEqual(await text(page, "#equation"), "y[0,1] = 1\u00b75 + 1\u00b77 = 12");
      await page.screenshot({ path: path.join(folder, `page-${width}-${colorScheme}.png`), fullPage: true });
      assert.strictEqual(await page.evaluate(() => document.documentElement.scrollWidth), width, "nothing overflows");
      const paper = await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
      assert.strictEqual(paper === "rgb(255, 255, 255)", colorScheme === "light");
      await expectNames(page);
      await expectKeyboard(page);
      await expectMistakesToBeTold(page);
      for (const walk of width === 1280 ? walks : walks.slice(0, 2)) {
        await setProblem(page, walk.problem);
        assert.strictEqual(await text(page, "#alert"), "");
        await expectOutputs(page, walk.outputs);
        assert.strictEqual(await page.evaluate(() => document.documentElement.scrollWidth), width);
      }
      await page.screenshot({ path: path.join(folder, `walked-${width}-${colorScheme}.png`), fullPage: true });
      await page.click("#theme");
      assert.notStrictEqual(await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor), paper);
      assert.deepStrictEqual(trouble, []);
      await context.close();
    }
  }
  await browser.close();
  console.log("the page shows what the core computes");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
