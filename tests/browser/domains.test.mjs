// A company's own domain, as its people have it: added, its record copied, checked, and given up.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { accessible, browser, desk, fits, press, small, tab } from "./stand.mjs";

const PICTURES = "target/screenshots";
// What the DNS has: texts by name.
const records = new Map();
let resolver;

before(async () => {
  mkdirSync(PICTURES, { recursive: true });
  resolver = createServer((request, response) => {
    const name = new URL(request.url, "http://resolver").searchParams.get("name");
    const Answer = (records.get(name) ?? []).map((text) => ({ name, type: 16, TTL: 60, data: JSON.stringify(text) }));
    response.writeHead(200, { "content-type": "application/dns-json" });
    response.end(JSON.stringify(Answer.length ? { Status: 0, TC: false, Answer } : { Status: 3, TC: false }));
  });
  await new Promise((listening) => resolver.listen(process.env.MODEL_PORT, "127.0.0.1", listening));
});
after(async () => {
  resolver.close();
  await browser.close();
});

/** Nothing is in anybody's way, wider than the window or too small for a thumb; pictures are kept. */
async function looks(page, name) {
  for (const width of [360, 768, 1280]) {
    await page.setViewportSize({ width, height: 800 });
    await fits(page, `${name} at ${width} px`);
    assert.deepEqual(await page.evaluate(small), [], `${name} at ${width} px`);
    await page.screenshot({ path: `${PICTURES}/domains-${name}-${width}.png`, fullPage: true });
  }
  await accessible(page, name);
}

test("a name is added, says what its DNS must hold, leads here once it does, and is removed", async () => {
  const [page, owner] = await desk();
  await tab(page, "Domains");
  await page.getByText("No name of your own yet.").waitFor();
  const host = `www.${owner.slug}.com`;
  await page.getByLabel("Name").fill("https://nonsense/");
  await page.getByRole("button", { name: "Add it" }).click();
  await page.getByRole("alert").filter({ hasText: "it is the name alone" }).waitFor();
  await page.getByLabel("Name").fill(host);
  await press(page, "Add it", "Put the records below into your DNS");
  await page.getByRole("heading", { level: 2, name: host }).waitFor();
  await page.getByText(`${owner.slug}.localhost`, { exact: true }).waitFor();
  const proof = await page.getByText(/^bulkhead=/).innerText();
  assert.match(proof, /^bulkhead=[\w-]{32}$/);
  await looks(page, "waiting");

  await page.getByRole("button", { name: "Check now" }).click();
  await page.getByRole("alert").filter({ hasText: `_bulkhead.${host} is not in the DNS yet` }).waitFor();
  records.set(`_bulkhead.${host}`, ["v=spf1 -all", proof]);
  await tab(page, "Domains");
  await press(page, "Check now", "the name leads here");
  await page.getByText("It leads here. Leave").waitFor();
  await looks(page, "leads-here");

  page.once("dialog", (dialog) => dialog.accept());
  await press(page, "Remove", "Removed.");
  await page.getByText("No name of your own yet.").waitFor();
});
