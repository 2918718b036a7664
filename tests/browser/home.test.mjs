// A company's page, with and without its script.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { addEntry, ask, browser, clean, company, find, fits, signIn, tab, visit } from "./stand.mjs";

let plumber;
before(async () => (plumber = await company("plumbing", "Pia's Plumbing")));
after(() => browser.close());

test("it names the company, its services with prices, its hours and what people ask", async () => {
  const page = await visit(plumber.url);
  assert.match(await page.title(), /^Pia's Plumbing/);
  assert.equal(await page.locator("h1").count(), 1);
  const service = page.getByRole("region", { name: "Services and prices" }).getByRole("listitem").first();
  assert.match(await service.innerText(), /\$\d+/);
  assert.match(await page.getByRole("region", { name: "Opening hours" }).innerText(), /Monday\s+7 AM – 6 PM/);
  assert.ok((await page.locator("#questions details").count()) >= 3);
  assert.doesNotMatch(await page.content(), /\{\{|\*\*/);
  clean(page, plumber.url);
});

test("search engines and link previews find what the page says", async () => {
  const page = await visit(plumber.url);
  const { "@graph": [business, questions] } = JSON.parse(await page.locator('script[type="application/ld+json"]').textContent());
  assert.deepEqual([business["@type"], business.name, business.url], ["LocalBusiness", "Pia's Plumbing", `${plumber.url}/`]);
  assert.ok(business.makesOffer.length >= 12 && business.openingHoursSpecification.length >= 5);
  assert.equal(questions.mainEntity.length, await page.locator("#questions details").count());
  assert.equal(await page.locator('meta[property="og:url"]').getAttribute("content"), `${plumber.url}/`);
  const robots = await page.evaluate(() => fetch("/robots.txt").then((response) => response.text()));
  assert.match(robots, new RegExp(`^Sitemap: ${plumber.url}/sitemap.xml$`, "m"));
  const sitemap = await page.evaluate(() => fetch("/sitemap.xml").then((response) => response.text()));
  const addresses = [...sitemap.matchAll(/<loc>([^<]+)<\/loc>/g)].map(([, address]) => address);
  assert.ok(addresses.length >= 8 && addresses[0] === `${plumber.url}/`);
  for (const address of addresses) {
    const response = await page.goto(address);
    assert.equal(response.status(), 200, address);
    assert.equal(await page.locator('link[rel="canonical"]').getAttribute("href"), address);
  }
  clean(page, plumber.url);
});

test("it says enough without JavaScript", async () => {
  const page = await visit(plumber.url, { javaScriptEnabled: false });
  assert.ok(await page.locator("noscript p").isVisible());
  assert.equal(await page.getByLabel("Your question").isVisible(), false);
  assert.ok(await page.getByRole("region", { name: "Services and prices" }).isVisible());
});

test("it is small", async () => {
  const page = await visit(plumber.url);
  const weigh = async (address) => {
    const text = await page.evaluate(async (address) => (await fetch(address)).text(), address);
    return gzipSync(text, { level: 9 }).length;
  };
  const loaded = [...new Set(page.asked)].filter((address) => !address.includes("/v1/"));
  const weights = await Promise.all(loaded.map(async (address) => [new URL(address).pathname, await weigh(address)]));
  console.log("# gzip bytes:", Object.fromEntries(weights));
  assert.ok(weights.reduce((sum, [, weight]) => sum + weight, 0) <= 30_000);
  assert.ok(weights.filter(([path]) => path.endsWith(".js")).reduce((sum, [, weight]) => sum + weight, 0) <= 15_000);
});

for (const width of [320, 360, 768, 1280]) {
  test(`nothing is wider than a window of ${width} px`, async () => {
    const page = await visit(plumber.url, { viewport: { width, height: 740 } });
    await fits(page, "home");
    await ask(page, `How much is a water heater${"r".repeat(200)}?`);
    await page.getByRole("button", { name: "Leave your number" }).click();
    await page.locator("details").evaluateAll((all) => all.forEach((details) => (details.open = true)));
    await fits(page, "home with everything open");
  });
}

test("what a finger has to hit is large enough", async () => {
  const page = await visit(plumber.url, { viewport: { width: 360, height: 740 }, hasTouch: true });
  const small = await page.locator("button:visible, .button:visible, nav a:visible, summary:visible, textarea:visible").evaluateAll((all) =>
    all.map((one) => [one.textContent.trim(), one.getBoundingClientRect()])
      .filter(([, box]) => box.height < 44 || box.width < 24)
      .map(([text, box]) => `${text}: ${box.width} × ${box.height}`));
  assert.deepEqual(small, []);
});

test("a poisoned entry is text: it asks for nothing and becomes no element", async () => {
  const poison = [
    "![x](https://evil.example/leak.png?q=1)",
    "<img src=https://evil.example/y.png onerror=\"document.title='owned'\">",
    "[click](javascript:document.title='owned')",
    "<svg onload=alert(1)><script>alert(2)</script>",
    "<a href=\"https://evil.example\">here</a>",
  ].join("\n");
  const page = await visit(`${plumber.url}/dashboard`);
  await signIn(page, plumber);
  await tab(page, "Knowledge");
  await addEntry(page, `What is the zebra guarantee? ${poison.slice(0, 60)}`, poison);
  await find(page, "zebra");
  await page.getByText("1 entry").waitFor();

  const visitor = await visit(plumber.url);
  for (const question of ["What is the zebra guarantee?", poison]) {
    await ask(visitor, question);
    assert.ok((await visitor.locator("#messages").innerText()).includes("onerror"));
  }
  await visitor.reload();
  await visitor.locator(".message.visitor").nth(1).waitFor();
  for (const seen of [page, visitor]) {
    assert.equal(await seen.locator("#messages .said :is(img, script, a, svg), #entries :is(img, script, a, svg)").count(), 0);
    assert.doesNotMatch(await seen.title(), /owned/);
    clean(seen, plumber.url);
  }
});
