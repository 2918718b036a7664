// The platform's page: from a company's name to its site.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, test } from "node:test";
import { browser, clean, company, fits, password, root, signIn, visit } from "./stand.mjs";

after(() => browser.close());

test("a name becomes an address, and the site is up", async () => {
  const page = await visit(root);
  const unique = randomBytes(4).toString("hex");
  await page.getByLabel("Company name").pressSequentially(`Söhne & Co. ${unique}`);
  const slug = `sohne-and-co-${unique}`;
  assert.equal(await page.getByLabel("Web address").inputValue(), slug);
  await page.getByLabel("Industry").selectOption("plumbing");
  await page.getByText(/Repairs, drains/).waitFor();
  await page.getByLabel("Your name").fill("Olive Owner");
  await page.getByLabel("E-mail").fill(`olive@${unique}.example`);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Create my site" }).click();
  await page.getByRole("heading", { name: "Your site is up" }).waitFor();
  clean(page, root);

  await page.getByRole("link", { name: "Open the dashboard" }).click();
  await signIn(page, { email: `olive@${unique}.example`, password });
  await page.getByRole("link", { name: "View site" }).click();
  await page.getByRole("heading", { name: "Services and prices" }).waitFor();
  assert.equal(new URL(page.url()).hostname.split(".")[0], slug);
});

test("an address of one's own stays, and one that is taken is said", async () => {
  const taken = await company("hvac");
  const page = await visit(root);
  await page.getByLabel("Web address").fill(taken.slug);
  await page.getByLabel("Company name").fill("Another");
  assert.equal(await page.getByLabel("Web address").inputValue(), taken.slug);
  await page.getByLabel("Industry").selectOption("hvac");
  await page.getByLabel("Your name").fill("Olive Owner");
  await page.getByLabel("E-mail").fill("olive@example.com");
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Create my site" }).click();
  await page.getByRole("alert").filter({ hasText: /taken.*Free are: another/i }).waitFor();
});

for (const width of [320, 360, 768, 1280]) {
  test(`nothing is wider than a window of ${width} px`, async () => {
    await fits(await visit(root, { viewport: { width, height: 740 } }), "landing");
  });
}
