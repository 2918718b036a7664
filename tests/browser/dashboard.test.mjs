// The dashboard, as a company's people have it.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { ask, browser, clean, company, fits, save, signIn, tab, visit } from "./stand.mjs";

after(() => browser.close());

/** The dashboard of a company of its own: an address may try to sign in ten times a quarter of an hour. */
async function desk(industry = "plumbing") {
  const owner = await company(industry);
  const page = await visit(`${owner.url}/dashboard`);
  await signIn(page, owner);
  return [page, owner];
}

test("a wrong password is a sentence", async () => {
  const owner = await company("plumbing");
  const page = await visit(`${owner.url}/dashboard`);
  await page.getByLabel("E-mail").fill(owner.email);
  await page.getByLabel("Password").fill("not the right one");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("The e-mail address or the password is wrong for this company.").waitFor();
});

test("another company's login is no login here", async () => {
  const owner = await company("plumbing");
  const other = await company("hvac");
  const page = await visit(`${owner.url}/dashboard`);
  await page.getByLabel("E-mail").fill(other.email);
  await page.getByLabel("Password").fill(other.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("The e-mail address or the password is wrong for this company.").waitFor();
});

test("the overview says what is spent, to confirm and to do", async () => {
  const [page, owner] = await desk();
  const overview = page.locator("[data-view=overview]");
  await overview.getByText("Spent today").waitFor();
  const text = await overview.innerText();
  assert.match(text, /\$0\.00\s+of \$2\.00/);
  assert.match(text, /Entries to confirm\s+[1-9]/);
  assert.match(text, /Plan\s+Starter/);
  clean(page, owner.url);
});

test("an entry that is added is what the chat answers", async () => {
  const [page, owner] = await desk();
  await tab(page, "Knowledge");
  await page.getByRole("button", { name: "Add an entry" }).click();
  await page.getByLabel("Question", { exact: true }).fill("Do you repair pinball machines?");
  await page.getByLabel("Answer", { exact: true }).fill("Yes, pinball machines are $42 an hour.");
  await save(page);
  await page.getByLabel("Search").fill("pinball");
  await page.getByText("1 entry", { exact: true }).waitFor();

  const visitor = await visit(owner.url);
  assert.match(await ask(visitor, "Do you repair pinball machines?"), /\$42 an hour/);

  await page.getByRole("button", { name: "Edit" }).click();
  await page.getByLabel("Answer", { exact: true }).fill("Yes, pinball machines are $43 an hour.");
  await save(page);
  await page.locator("#entries").getByText("$43").waitFor();
  assert.match(await ask(visitor, "Do you repair pinball machines?"), /\$43 an hour/);

  page.once("dialog", (dialog) => dialog.accept());
  await page.getByRole("button", { name: "Edit" }).click();
  await page.getByRole("button", { name: "Remove" }).click();
  await page.getByText("0 entries").waitFor();
  assert.doesNotMatch(await ask(visitor, "Do you repair pinball machines?"), /\$43/);
  clean(page, owner.url);
});

test("an entry is confirmed with one press", async () => {
  const [page] = await desk();
  await tab(page, "Knowledge");
  await page.getByLabel("Only those to confirm").check();
  const count = async () => Number.parseInt(await page.locator("#count").innerText(), 10);
  const before = await count();
  assert.ok(before > 0);
  await page.getByRole("button", { name: "Confirm" }).first().click();
  await page.getByText(`${before - 1} entr`).waitFor();
  await page.reload();
  await page.getByLabel("Only those to confirm").check();
  assert.equal(await count(), before - 1);
});

test("agents are shown with what they know", async () => {
  const [page] = await desk();
  await tab(page, "Agents");
  const first = page.locator("#agent-list > li").filter({ hasText: "answers first" });
  assert.match(await first.innerText(), /Customer service[\s\S]*Knows: .*pricing/);
});

test("a key is sealed, paused and removed, and never shown", async () => {
  const [page] = await desk();
  await tab(page, "Models");
  await page.getByText("No provider yet.").waitFor();
  await page.getByLabel("API key").fill("sk-test-0123456789-wxyz");
  await page.getByRole("button", { name: "Save the key" }).click();
  const row = page.locator("#provider-list > li");
  await row.getByText("Key ending in wxyz").waitFor();
  assert.doesNotMatch(await page.content(), /0123456789/);
  await row.getByRole("button", { name: "Pause" }).click();
  await row.getByRole("button", { name: "Resume" }).waitFor();

  await page.getByLabel("Kind").selectOption("compatible");
  await page.getByLabel("Name").fill("Elsewhere");
  await page.getByLabel("API key").fill("sk-test-0123456789");
  await page.getByLabel("Base URL").fill("https://evil.example/v1");
  await page.getByLabel("Model", { exact: true }).fill("m");
  await page.getByLabel("Input price").fill("0.5");
  await page.getByLabel("Output price").fill("1");
  await page.getByRole("button", { name: "Save the key" }).click();
  await page.locator("#provider").getByText("has not listed its host").waitFor();

  page.once("dialog", (dialog) => dialog.accept());
  await row.getByRole("button", { name: "Remove" }).click();
  await page.getByText("No provider yet.").waitFor();
});

test("the budget is changed", async () => {
  const [page] = await desk();
  await tab(page, "Budget");
  await page.getByLabel("Dollars a day").fill("3.5");
  await page.getByRole("button", { name: "Save limits" }).click();
  await page.getByText("$0.00 of $3.50 spent today").waitFor();
  await page.reload();
  await page.getByText("$0.00 of $3.50 spent today").waitFor();
});

test("a lead left in the chat is there", async () => {
  const [page, owner] = await desk();
  const visitor = await visit(owner.url);
  await visitor.getByRole("button", { name: "Leave your number" }).click();
  await visitor.getByLabel("Your name").fill("Vera Visitor");
  await visitor.getByLabel("Phone").fill("555 0100");
  await visitor.getByRole("button", { name: "Please call me back" }).click();
  await visitor.getByText("Thank you, Vera Visitor.").first().waitFor();
  await tab(page, "Leads");
  const lead = page.locator("#lead-list > li").first();
  assert.match(await lead.innerText(), /Vera Visitor[\s\S]*555 0100/);
  assert.doesNotMatch(await lead.innerText(), /Invalid/);
});

test("a reload keeps one signed in, signing out does not", async () => {
  const [page] = await desk();
  await page.reload();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("button", { name: "Sign in" }).waitFor();
  await page.reload();
  await page.getByRole("button", { name: "Sign in" }).waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
});

test("an access token that ran out is renewed once for all requests", async () => {
  const [page] = await desk();
  const refused = new Set();
  await page.route("**/v1/**", (route) => {
    const path = new URL(route.request().url()).pathname;
    if (path === "/v1/token/refresh" || refused.has(path)) return route.continue();
    refused.add(path);
    return route.fulfill({ status: 401, contentType: "application/problem+json", body: '{"detail":"Sign in again."}' });
  });
  page.asked.length = 0;
  await tab(page, "Knowledge");
  await page.locator("#entries > li").first().waitFor();
  assert.equal(page.asked.filter((address) => address.endsWith("/v1/token/refresh")).length, 1);
});

test("nothing is wider than the window", async () => {
  const [page] = await desk("dental-practice");
  for (const width of [360, 768, 1280]) {
    await page.setViewportSize({ width, height: 740 });
    for (const name of ["Overview", "Knowledge", "Agents", "Models", "Budget", "Leads"]) {
      await tab(page, name);
      await fits(page, `${name} at ${width} px`);
    }
  }
});
