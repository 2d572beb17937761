// Opens a nightly report in a browser and fails on anything that is wrong with it.
//
//     node check.mjs REPORT.html [OUT_DIR]
//
// OUT_DIR receives full-page pictures and a PDF, to be looked at.

import { mkdirSync, readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const SIZE_MAX = 5_000_000;
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"];
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic"];

const [report, outDir] = process.argv.slice(2);
if (!report) {
  console.error("usage: node check.mjs REPORT.html [OUT_DIR]");
  process.exit(2);
}
const url = pathToFileURL(resolve(report)).href;
if (outDir) mkdirSync(outDir, { recursive: true });

const faults = new Set();
const fail = (where, what) => faults.add(`${where}: ${what}`);
const { size } = statSync(report);
if (size > SIZE_MAX) fail("file", `${size} bytes, more than ${SIZE_MAX}`);

const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: FLAGS });

/** A page with the report in it, every complaint of which is a fault. */
async function open(where, { width = 1280, dark = false, locale = "en-US", scripts = true, hash = "" } = {}) {
  const context = await browser.newContext({
    viewport: { width, height: 900 }, deviceScaleFactor: width < 500 ? 2 : 1, colorScheme: dark ? "dark" : "light", locale, javaScriptEnabled: scripts,
  });
  const page = await context.newPage();
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && fail(where, `console: ${message.text()}`));
  page.on("pageerror", (error) => fail(where, `page error: ${error.message}`));
  page.on("request", (request) => request.url().split("#")[0] !== url && fail(where, `request: ${request.url().slice(0, 200)}`));
  page.on("dialog", (dialog) => {
    fail(where, `dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  if (scripts) {
    await page.addInitScript(() => {
      window.__violations = [];
      document.addEventListener("securitypolicyviolation", (event) => window.__violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
    });
  }
  await page.goto(url + hash);
  return page;
}

/** What the page says about itself, in one language. */
async function inspect(where, page, language) {
  const seen = await page.evaluate((chosen) => {
    const other = chosen === "en" ? "zh" : "en";
    const visible = (element) => element.checkVisibility();
    const charts = [...document.querySelectorAll(".chart")].map((box) => ({
      id: box.dataset.table,
      drawn: box.dataset.drawn === "true" && [...box.querySelectorAll("canvas, svg")].some((each) => each.clientWidth > 0 && each.clientHeight > 0),
      nothing: [...box.querySelectorAll(".nothing span")].some(visible),
      label: box.getAttribute("aria-label") ?? "",
      role: box.getAttribute("role"),
      table: box.closest(".block").querySelector("details table caption") !== null,
    }));
    return {
      charts,
      hacked: window.__hacked,
      violations: window.__violations,
      language: document.documentElement.lang,
      title: document.title,
      foreign: [...document.querySelectorAll(`span[lang^="${other}"]`)].filter(visible).map((each) => each.textContent.slice(0, 60)),
      pressed: document.querySelector('[aria-pressed="true"]')?.dataset.language,
      overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
      tables: document.querySelectorAll("table").length,
      empty: [...document.querySelectorAll("th span[lang], caption span[lang], dt span[lang]")].filter((each) => each.textContent.trim() === "").length,
    };
  }, language);
  const chinese = /\p{Script=Han}/u;
  for (const chart of seen.charts) {
    if (!chart.drawn && !chart.nothing) fail(where, `chart ${chart.id} is not drawn`);
    if (!chart.table) fail(where, `chart ${chart.id} has no table`);
    if (chart.drawn && chart.role !== "img") fail(where, `chart ${chart.id} has no role`);
    if (chart.drawn && (chart.label === "" || chinese.test(chart.label) !== (language === "zh"))) fail(where, `label of chart ${chart.id}: ${chart.label}`);
  }
  if (seen.hacked !== undefined) fail(where, "a script from the data has run");
  for (const violation of seen.violations) fail(where, `content security policy: ${violation}`);
  if (!seen.language.startsWith(language) || seen.pressed !== language) fail(where, `language ${seen.language}, button ${seen.pressed}`);
  if (chinese.test(seen.title) !== (language === "zh")) fail(where, `title: ${seen.title}`);
  for (const words of seen.foreign) fail(where, `in the other language: ${words}`);
  if (seen.overflow > 0) fail(where, `the page is ${seen.overflow} px wider than the window`);
  if (seen.empty > 0) fail(where, `${seen.empty} headings without words`);
  return seen;
}

async function axe(where, page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate((tags) => window.axe.run(document, { runOnly: { type: "tag", values: tags }, resultTypes: ["violations"] }), TAGS);
  for (const violation of violations) {
    for (const node of violation.nodes.slice(0, 5)) fail(where, `axe ${violation.id}: ${node.target.join(" ")}: ${node.failureSummary?.split("\n")[1]?.trim()}`);
  }
}

let seen;
for (const language of ["en", "zh"]) {
  for (const width of [1280, 360]) {
    for (const dark of [false, true]) {
      const where = `${language} ${width} ${dark ? "dark" : "light"}`;
      const page = await open(where, { width, dark });
      // By keyboard, as the switch must be usable with it.
      await page.focus(`[data-language="${language}"]`);
      await page.keyboard.press("Enter");
      await page.evaluate(() => document.activeElement.blur());
      seen = await inspect(where, page, language);
      if (outDir && (!dark || (language === "en" && width === 1280))) {
        await page.screenshot({ path: join(outDir, `${where.replaceAll(" ", "-")}.png`), fullPage: true });
      }
      // Tooltips are drawn too: the pointer crosses every chart.
      for (const box of await page.locator(".chart[data-drawn]").all()) {
        await box.scrollIntoViewIfNeeded();
        const at = await box.boundingBox();
        for (const [x, y] of [[0.3, 0.4], [0.5, 0.5], [0.6, 0.7]]) await page.mouse.move(at.x + at.width * x, at.y + at.height * y);
      }
      await page.evaluate(() => document.querySelectorAll("details").forEach((each) => (each.open = true)));
      await inspect(`${where}, tables open`, page, language);
      await axe(where, page);
      await page.reload();
      await inspect(`${where}, reloaded`, page, language);
      if (language === "zh" && width === 1280 && !dark) {
        await page.setViewportSize({ width: 360, height: 900 });
        await page.waitForTimeout(400);
        await inspect("resized", page, "zh");
      }
      if (outDir && width === 1280 && !dark) await page.pdf({ path: join(outDir, `${language}.pdf`), format: "A4", printBackground: false, preferCSSPageSize: true });
      await page.context().close();
    }
  }
}

const chinese = await open("browser in Chinese", { locale: "zh-CN" });
await inspect("browser in Chinese", chinese, "zh");

const plain = await open("without JavaScript", { scripts: false, width: 360 });
const shown = await plain.locator("table:visible").count();
if (shown !== seen.tables) fail("without JavaScript", `${shown} of ${seen.tables} tables are shown`);
if (outDir) await plain.screenshot({ path: join(outDir, "without-javascript.png"), fullPage: true });

await browser.close();
if (faults.size > 0) {
  console.error([...faults].join("\n"));
  console.error(`${faults.size} faults in ${report}`);
  process.exit(1);
}
console.log(`${report}: ${seen.charts.length} charts, ${seen.tables} tables, ${size} bytes, no fault`);
