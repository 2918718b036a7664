// From signing up to a customer who is answered on the company's own website: what a new user does on the first day.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { elsewhere } from "./elsewhere.mjs";
import { answer, ask, browser, password, press, root, tab, trade, visit } from "./stand.mjs";

const LEAK = "Do you fix leaking pipes?";
let shop, provider;
// What the provider was asked.
const asked = [];

before(async () => {
  mkdirSync("target/screenshots", { recursive: true });
  shop = await elsewhere();
  // The provider's answer as it was recorded, at the address that the stand takes for the provider's.
  const recorded = readFileSync(new URL("../fixtures/openai/normal.sse", import.meta.url));
  provider = createServer(async (request, response) => {
    let text = "";
    for await (const chunk of request) text += chunk;
    asked.push({ key: request.headers.authorization, body: JSON.parse(text) });
    response.writeHead(200, { "content-type": "text/event-stream" }).end(recorded);
  });
  await new Promise((listening) => provider.listen(process.env.MODEL_PORT, "127.0.0.1", listening));
});
after(async () => {
  shop.close();
  provider.close();
  await browser.close();
});

/** A picture of what somebody sees now; those of the README were taken so. */
async function picture(page, name) {
  await page.screenshot({ path: `target/screenshots/journey-${name}.jpg`, type: "jpeg", quality: 82 });
}

test("sign up, put the chat on a website, answer a customer, add a key, and see the budget hold", async () => {
  const unique = randomBytes(4).toString("hex");
  const email = `olive@${unique}.example`;
  const page = await visit(root);
  const slug = `olive-${unique}`;
  await page.getByLabel("Company name").fill("Olive's Plumbing");
  assert.equal(await page.getByLabel("Web address").inputValue(), "olives-plumbing");
  await page.getByLabel("Web address").fill(slug);
  await trade(page, "Plumbing");
  await page.getByLabel("Your name").fill("Olive Owner");
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Create my site" }).click();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  const url = root.replace("://", `://${slug}.`);

  // The site is there at once, and its chat knows the trade.
  const site = await visit(url);
  await site.getByRole("heading", { name: "Services and prices" }).waitFor();
  assert.match(await ask(site, "How much does it cost to replace a water heater?"), /\$\d/);
  await picture(site, "site");

  // What is pasted is what the dashboard says.
  await tab(page, "Chat widget");
  await page.getByText(`<script src="${url}/widget.js" async></script>`).waitFor();
  assert.equal(await (await visit(shop.address(url))).getByRole("button", { name: /^Chat with / }).count(), 0);
  await page.getByLabel("Your website's addresses").fill(`${shop.origin}\n`);
  await press(page, "Save", "Saved.");
  assert.equal((await page.getByLabel("Your website's addresses").inputValue()).trim(), shop.origin);

  // A customer on that website asks, and a person answers; the customer sees it without doing anything.
  const customer = await visit(shop.address(url), { viewport: { width: 390, height: 780 } });
  await customer.getByRole("button", { name: /^Chat with / }).click();
  await ask(customer, LEAK);
  await customer.getByRole("button", { name: "Talk to a person" }).click();
  await customer.getByText(/was asked to join|is closed now/).first().waitFor();
  await tab(page, "Inbox");
  await page.getByRole("link", { name: LEAK }).click();
  await page.getByLabel("Your reply").fill("Olive here. We fix those today.");
  await press(page, "Send", "Sent.");
  await customer.getByText("We fix those today.").first().waitFor();
  await picture(customer, "customer");
  await picture(page, "inbox");
  await press(page, "Hand back to the assistant", "Handed back");

  // With a key the company's own model answers.
  await tab(page, "Models");
  const key = `sk-${randomBytes(12).toString("hex")}`;
  const form = page.locator("form").filter({ hasText: "Add a provider" });
  await form.getByLabel("API key").fill(key);
  await form.getByRole("button").click();
  await page.getByText(`Key ending in ${key.slice(-4)}`).waitFor();
  await site.reload();
  await site.getByLabel("Your question").waitFor();
  await ask(site, LEAK);
  assert.equal(asked.length, 1);
  assert.equal(asked[0].key, `Bearer ${key}`);
  assert.ok(JSON.stringify(asked[0].body).includes(LEAK));
  await tab(page, "Usage");
  await page.getByRole("region", { name: /calls/i }).getByRole("row").nth(1).waitFor();

  // Without money left no model is called, and customers are answered all the same.
  await tab(page, "Overview");
  await picture(page, "overview");
  await tab(page, "Budget");
  await page.getByText(/^\$0\.0\d* of \$2\.00 spent today/).waitFor();
  await page.getByLabel("Dollars a day").fill("0");
  await press(page, "Save limits", "Saved.");
  assert.match(await ask(site, "How much does it cost to replace a water heater?"), /\$\d/);
  assert.equal(asked.length, 1, "the model was called beyond the budget");
  await customer.getByLabel("Your question").fill("And a blocked drain?");
  await customer.getByRole("button", { name: "Send" }).click();
  assert.ok((await answer(customer)).length > 10);
  assert.equal(asked.length, 1);
  for (const [who, complaints] of [["owner", page.complaints], ["site", site.complaints], ["customer", customer.complaints]]) {
    assert.deepEqual(complaints, [], who);
  }
});
