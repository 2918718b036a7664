// The API's page: what an address takes and answers is found without a script, on a phone and with an assistive program.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { gzipSync } from "node:zlib";
import { accessible, browser, clean, fits, root, small, visit } from "./stand.mjs";

after(() => browser.close());

test("an address opens, and its types are a click away", async () => {
  const page = await visit(`${root}/docs/api`);
  const address = page.locator("details", { hasText: "POST /v1/agents " }).first();
  await address.locator("summary").click();
  await address.getByText("The company's admins and owners.").waitFor();
  await address.getByRole("link", { name: "Tier" }).click();
  assert.match(page.url(), /#Tier$/);
  assert.match(await page.locator("#Tier ~ pre").first().innerText(), /"fast" \| "balanced" \| "best"/);
  clean(page, root);
  await page.context().close();
});

test("it is small, fits a phone in light and dark, and needs no script", async () => {
  for (const colorScheme of ["light", "dark"]) {
    const page = await visit(`${root}/docs/api`, { viewport: { width: 360, height: 740 }, colorScheme });
    await page.evaluate(() => document.querySelectorAll("details").forEach((one) => (one.open = true)));
    await fits(page, colorScheme);
    assert.deepEqual(await page.evaluate(small), []);
    clean(page, root);
    await page.context().close();
  }
  const page = await visit(`${root}/docs/api`, { bypassCSP: true });
  await page.evaluate(() => document.querySelectorAll("details").forEach((one) => (one.open = true)));
  await accessible(page, "the API's page");
  await page.context().close();
  const html = await (await fetch(`${root}/docs/api`)).text();
  assert.ok(!html.includes("<script"));
  assert.ok(gzipSync(html).length < 40_000, `${gzipSync(html).length} bytes`);
});
