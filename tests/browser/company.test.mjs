// The company's own settings, as its owner changes them.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { browser, clean, desk, press, tab } from "./stand.mjs";

after(() => browser.close());

test("an owner renames the company, asks for its end and calls it off", async () => {
  const [page, owner] = await desk("florist");
  await tab(page, "Settings");
  await page.getByLabel("Company's name").fill("Renamed & Sons");
  await press(page, "Save", "Saved.");
  assert.equal(await page.getByLabel("Company's name").inputValue(), "Renamed & Sons");
  await page.getByLabel("Your password").fill(owner.password);
  page.once("dialog", (dialog) => dialog.accept());
  await press(page, "Ask for its deletion", "Asked for.");
  await page.getByText(/from \d{4}-\d\d-\d\d on the company may be deleted/).waitFor();
  await press(page, "Call it off", "Called off");
  await page.getByLabel("Your password").waitFor();
  clean(page, owner.url);
});

test("an owner says how long things are kept, and takes it back", async () => {
  const [page, owner] = await desk("florist");
  await tab(page, "Settings");
  await page.getByText("An empty field keeps things.").waitFor();
  const conversations = page.getByLabel("Conversations, days after the last message"), audit = page.getByLabel("Audit log, days");
  assert.equal(await conversations.inputValue(), "");
  await conversations.fill("365");
  await audit.fill("30");
  await page.getByRole("button", { name: "Set days" }).click();
  await page.getByText("Audit log (audit_days): from 90 to 3650 days, or nothing to keep all of it.").waitFor();
  await page.goto(`${owner.url}/dashboard/company`);
  await conversations.fill("365");
  await audit.fill("90");
  await press(page, "Set days", "Saved.");
  assert.deepEqual([await conversations.inputValue(), await audit.inputValue()], ["365", "90"]);
  await audit.fill("");
  await press(page, "Set days", "Saved.");
  assert.deepEqual([await conversations.inputValue(), await audit.inputValue()], ["365", ""]);
});
