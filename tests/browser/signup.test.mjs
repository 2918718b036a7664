// The platform's page: from a company's name to its site.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, test } from "node:test";
import { accessible, browser, company, fits, password, root, trade, visit } from "./stand.mjs";

after(() => browser.close());

async function fill(page, unique) {
  await page.getByLabel("Your name").fill("Olive Owner");
  await page.getByLabel("E-mail").fill(`olive@${unique}.example`);
  await page.getByLabel("Password").fill(password);
}

const create = (page) => page.getByRole("button", { name: "Create my site" }).click();

test("a name becomes an address, the site is up, and one is in the dashboard", async () => {
  const page = await visit(root);
  const unique = randomBytes(4).toString("hex");
  await page.getByLabel("Company name").pressSequentially(`Söhne & Co. ${unique}`);
  const slug = `sohne-and-co-${unique}`;
  assert.equal(await page.getByLabel("Web address").inputValue(), slug);
  await page.getByText(`${slug} is free.`).waitFor();
  await trade(page, "Plumbing");
  await page.locator("#summary").getByText(/Repairs, drains/).waitFor();
  await fill(page, unique);
  await create(page);
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  const url = root.replace("://", `://${slug}.`);
  assert.equal(page.url(), `${url}/dashboard`);
  await page.getByRole("heading", { name: "Next steps" }).waitFor();
  await page.getByText("Confirm your e-mail address.").waitFor();
  const [cookie, ...others] = await page.context().cookies();
  assert.deepEqual([others.length, cookie.name, cookie.domain], [0, "__Host-session", new URL(url).hostname]);
  assert.deepEqual(page.complaints, []);
  assert.deepEqual(page.asked.filter((address) => !address.startsWith(`${url}/`) && !address.startsWith(`${root}/`)), []);
  await page.getByRole("link", { name: "View site" }).click();
  await page.getByRole("heading", { name: "Services and prices" }).waitFor();
});

test("it works without a script, and what is wrong is said beside the field with the rest kept", async () => {
  const page = await visit(root, { javaScriptEnabled: false });
  const unique = randomBytes(4).toString("hex");
  const taken = await company("hvac");
  await page.getByLabel("Company name").fill("No Script Plumbing");
  await page.getByLabel("Web address").fill(taken.slug);
  await page.getByLabel("Industry").selectOption("plumbing");
  await fill(page, unique);
  await create(page);
  await page.getByRole("alert").filter({ hasText: /taken/ }).waitFor();
  assert.equal(await page.getByLabel("Web address").getAttribute("aria-invalid"), "true");
  assert.equal(await page.getByLabel("Company name").inputValue(), "No Script Plumbing");
  assert.equal(await page.getByLabel("Industry").inputValue(), "plumbing");
  await page.getByLabel("Web address").fill(`n${unique}`);
  await page.getByLabel("Password").fill(password);
  await create(page);
  await page.getByRole("heading", { name: "Your site is up" }).waitFor();
  await page.getByRole("button", { name: "Open your dashboard" }).click();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  assert.equal(page.url(), `${root.replace("://", `://n${unique}.`)}/dashboard`);
});

test("an address of one's own stays, and one that is taken is said before and after sending", async () => {
  const taken = await company("hvac");
  const page = await visit(root);
  await page.getByLabel("Web address").fill(taken.slug);
  await page.getByLabel("Company name").fill("Another");
  assert.equal(await page.getByLabel("Web address").inputValue(), taken.slug);
  await page.getByText(`${taken.slug} is taken.`).waitFor();
  await page.getByRole("button", { name: /^another/ }).first().waitFor();
  await trade(page, "Heating and air");
  await fill(page, "example");
  await create(page);
  await page.getByRole("alert").filter({ hasText: /This address is taken/ }).waitFor();
  assert.equal(await page.getByLabel("Password").inputValue(), password, "nothing is lost");
  assert.equal(await page.evaluate(() => document.activeElement.name), "slug");
  const other = page.getByRole("button", { name: /^another/ }).first();
  const chosen = await other.innerText();
  await other.click();
  assert.equal(await page.getByLabel("Web address").inputValue(), chosen);
  await page.getByText(`${chosen} is free.`).waitFor();
});

test("the industry is found by typing, with the keyboard alone", async () => {
  const page = await visit(root);
  const box = page.getByRole("combobox", { name: "Industry" });
  await box.focus();
  await page.keyboard.type("water heater");
  assert.equal(await box.getAttribute("aria-expanded"), "true");
  const first = page.getByRole("option").first();
  assert.match(await first.innerText(), /Plumbing/);
  await page.keyboard.press("ArrowDown");
  assert.equal(await box.getAttribute("aria-activedescendant"), await first.getAttribute("id"));
  assert.equal(await first.getAttribute("aria-selected"), "true");
  await page.keyboard.press("Enter");
  assert.equal(await box.getAttribute("aria-expanded"), "false");
  assert.equal(await box.inputValue(), "Plumbing");
  assert.equal(await page.locator("select[name=industry]").inputValue(), "plumbing");
  await page.keyboard.press("ArrowUp");
  assert.equal(await page.getByRole("option").count(), 52);
  await page.keyboard.press("Escape");
  assert.equal(await box.getAttribute("aria-expanded"), "false");
  assert.equal(await box.inputValue(), "Plumbing");
  await page.keyboard.press("Escape");
  assert.equal(await page.locator("select[name=industry]").inputValue(), "");
});

for (const colorScheme of ["light", "dark"]) {
  test(`signing up is in nobody's way, ${colorScheme}`, async () => {
    const page = await visit(root, { colorScheme, bypassCSP: true, viewport: { width: 390, height: 780 } });
    await page.getByLabel("Web address").fill((await company("hvac")).slug);
    await page.getByText("is taken.").waitFor();
    await page.getByRole("combobox", { name: "Industry" }).fill("re");
    await page.getByRole("option").first().waitFor();
    await page.keyboard.press("ArrowDown");
    await accessible(page, "sign-up");
    await page.screenshot({ path: `target/screenshots/signup-${colorScheme}.png`, fullPage: true });
  });
}

for (const width of [320, 360, 768, 1280]) {
  test(`nothing is wider than a window of ${width} px`, async () => {
    await fits(await visit(root, { viewport: { width, height: 740 } }), "landing");
  });
}
