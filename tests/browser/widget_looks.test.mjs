// The chat's states, each looked at by axe-core and kept as a picture; and what it weighs, costs and moves.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { elsewhere } from "./elsewhere.mjs";
import { ask, browser, call, company, fits, settings, visit } from "./stand.mjs";

const HEATER = "How much does it cost to replace a water heater?";
const PICTURES = "target/screenshots";
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
let shop, plumber;

before(async () => {
  mkdirSync(PICTURES, { recursive: true });
  shop = await elsewhere();
  plumber = await company("plumbing", "Pia's Plumbing");
  await settings(plumber, { allowed_origins: [shop.origin], greet_after_s: 0, accent_color: "#c2410c" });
});
after(async () => {
  shop.close();
  await browser.close();
});

/** axe-core finds nothing in the chat as it is now; a picture of it is kept. */
async function check(page, state) {
  await page.evaluate(axe);
  const violations = await page.evaluate(async () => {
    const found = await globalThis.axe.run(document.querySelector("[data-bulkhead]"), {
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
      // A part of a page is in none of its landmarks, and has no first heading.
      rules: { region: { enabled: false }, "page-has-heading-one": { enabled: false } },
    });
    return found.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target, failureSummary }) => `${target}: ${failureSummary}`).join("\n")}`);
  });
  await page.screenshot({ path: `${PICTURES}/widget-${state}.png` });
  assert.deepEqual(violations, [], state);
  await fits(page, state);
}

/** The states of a panel that is open. */
async function states(page, name) {
  await check(page, `${name}-new`);
  await ask(page, HEATER);
  await check(page, `${name}-answered`);
  await page.getByRole("button", { name: "This did not help" }).last().click();
  await page.getByLabel("What was missing or wrong?").waitFor();
  await check(page, `${name}-rated`);
  await page.getByLabel("What was missing or wrong?").fill("Tall tanks.");
  await page.locator(".message form").getByRole("button", { name: "Send" }).click();
  await page.locator("small").getByText("Thank you for telling us.").waitFor();
  await page.getByRole("button", { name: "Talk to a person" }).click();
  await page.getByText(/was asked to join|is closed now/).first().waitFor();
  if (!(await page.getByLabel("Your name").count())) await page.getByRole("button", { name: "Leave your number" }).click();
  await page.getByRole("button", { name: "Please call me back" }).click();
  await page.getByLabel("Your name").fill("V");
  await page.getByRole("button", { name: "Please call me back" }).click();
  await page.getByRole("alert").waitFor();
  await check(page, `${name}-lead`);
  await page.route("**/v1/chat", (route) => route.abort(), { times: 1 });
  await ask(page, "Is that all?");
  await page.getByRole("button", { name: "Try again" }).waitFor();
  await check(page, `${name}-trouble`);
  await page.route("**/v1/chat", () => {}, { times: 1 });
  await page.getByLabel("Your question").fill("And now?");
  await page.keyboard.press("Enter");
  await page.locator(".waiting").waitFor();
  await check(page, `${name}-waiting`);
}

for (const [width, height, ...schemes] of [[360, 740, "light", "dark"], [768, 1024, "light"], [1280, 800, "light", "dark"]]) {
  for (const colorScheme of schemes) {
    const context = { viewport: { width, height }, colorScheme, reducedMotion: "reduce" };
    const name = (mode) => `${mode}-${width}-${colorScheme}`;

    test(`a bubble at ${width} px, ${colorScheme}`, async () => {
      const page = await visit(shop.address(plumber.url), context);
      await page.locator(".greeting").waitFor();
      await check(page, `${name("bubble")}-greeting`);
      await page.getByRole("button", { name: /^Chat with/ }).click();
      await page.getByLabel("Your question").waitFor();
      await states(page, name("bubble"));
    });

    test(`a popup at ${width} px, ${colorScheme}`, async () => {
      const page = await visit(shop.address(plumber.url, { mode: "popup", target: "#ask" }), context);
      await page.getByRole("button", { name: "Ask us" }).click();
      await page.getByLabel("Your question").waitFor();
      await states(page, name("popup"));
    });

    test(`inline at ${width} px, ${colorScheme}`, async () => {
      const page = await visit(shop.address(plumber.url, { mode: "inline", target: "#chat" }), context);
      await page.getByLabel("Your question").waitFor();
      await states(page, name("inline"));
    });
  }
}

test("every language is written without a fault", async () => {
  for (const lang of ["ar", "de", "es", "fr", "he", "it", "ja", "nl", "pl", "pt", "ru", "tr", "uk", "vi", "zh"]) {
    const page = await visit(shop.address(plumber.url, { lang, mode: "inline", target: "#chat" }), { viewport: { width: 360, height: 740 } });
    await page.locator("#question").waitFor();
    await check(page, `lang-${lang}`);
    await page.context().close();
  }
});

test("it is small", async () => {
  const text = (answer) => (typeof answer === "string" ? answer : JSON.stringify(answer));
  const weigh = async (path) => gzipSync(text(await call(plumber, "GET", path)), { level: 9 }).length;
  const [loader, panel, words] = await Promise.all(["/widget.js", "/widget/app.js", "/v1/widget?lang=en"].map(weigh));
  const all = loader + panel + words;
  console.log(`widget: loader ${loader} B, panel ${panel} B, names and words ${words} B; all in ${all} B gzip`);
  assert.ok(loader <= 5_000 && all <= 15_000, `${loader} and ${all}`);
});

test("it moves nothing on the page, and takes little of its time", async () => {
  const load = async (options) => {
    const context = await browser.newContext();
    const page = await context.newPage();
    const session = await context.newCDPSession(page);
    await session.send("Performance.enable");
    await page.addInitScript(() => {
      window.shifts = 0;
      window.long = 0;
      new PerformanceObserver((list) => list.getEntries().forEach((entry) => (window.shifts += entry.value))).observe({ type: "layout-shift", buffered: true });
      new PerformanceObserver((list) => (window.long += list.getEntries().length)).observe({ type: "longtask", buffered: true });
    });
    await page.goto(shop.address(plumber.url, options), { waitUntil: "networkidle" });
    if (!("none" in options)) await page.locator("[data-bulkhead]").waitFor({ state: "attached" });
    await page.waitForTimeout(300);
    const { metrics } = await session.send("Performance.getMetrics");
    const ms = (name) => metrics.find((metric) => metric.name === name).value * 1_000;
    const { shifts, long } = await page.evaluate(() => ({ shifts: window.shifts, long: window.long }));
    await context.close();
    return { shifts, long, script: ms("ScriptDuration"), layout: ms("LayoutDuration") + ms("RecalcStyleDuration"), all: ms("TaskDuration") };
  };
  const middle = (runs) => runs.sort((a, b) => a.all - b.all)[Math.floor(runs.length / 2)];
  const run = async (options) => {
    const runs = [];
    for (let times = 0; times < 5; times++) runs.push(await load(options));
    assert.deepEqual(runs.map(({ shifts }) => shifts), [0, 0, 0, 0, 0], JSON.stringify(options));
    return middle(runs);
  };
  const none = await run({ none: "" });
  for (const [mode, options] of [["bubble", {}], ["inline", { mode: "inline", target: "#chat" }]]) {
    const some = await run(options);
    const more = (part) => (some[part] - none[part]).toFixed(1);
    console.log(`widget, ${mode}: scripts ${more("script")} ms, style and layout ${more("layout")} ms, main thread in all ${more("all")} ms more than ${none.all.toFixed(1)} ms without it (${(some.all / none.all).toFixed(1)} times); tasks over 50 ms: ${some.long}`);
  }
});
