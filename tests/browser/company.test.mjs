// The company's own settings, as its owner changes them.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, test } from "node:test";
import { accessible, browser, clean, desk, fits, press, tab, visit } from "./stand.mjs";

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
  // The refusal of 30 days is a 400, which the console tells.
  clean({ complaints: page.complaints.filter((line) => !line.includes("400")), asked: page.asked }, owner.url);
});

test("support enters by its link, and the owner sees and ends it", async () => {
  const [page, owner] = await desk("plumbing", { bypassCSP: true });
  const args = ["support", "open", owner.slug, "--reason", "Nothing answers since noon", "--operator", "Ana", "--minutes", "5"];
  const link = execFileSync("target/debug/bulkhead", args, { encoding: "utf8" }).split("\n")[0];

  const support = await visit(link, { bypassCSP: true, viewport: { width: 360, height: 740 } });
  await support.getByRole("heading", { name: "Enter as support" }).waitFor();
  await accessible(support, "support's link");
  await support.getByRole("button", { name: "Enter" }).click();
  await support.getByText("You are here as support.").waitFor();
  await support.getByText("Signed in as Ana, support.").waitFor();
  await fits(support, "support's overview");
  await accessible(support, "support's overview");
  assert.equal(await support.getByRole("link", { name: "Team" }).count(), 0);

  await page.goto(`${owner.url}/dashboard`);
  await page.getByText("Support is in your dashboard.").waitFor();
  await page.getByText("Nothing answers since noon").waitFor();
  await page.getByRole("link", { name: "See it, or end it" }).click();
  await page.getByRole("heading", { name: "Support access" }).waitFor();
  await fits(page, "support access");
  await accessible(page, "support access");
  await press(page, "End it now", "Ended.");
  await page.getByText(/^Ended \d{4}-\d\d-\d\d \d\d:\d\d UTC\.$/).waitFor();
  await support.goto(`${owner.url}/dashboard/knowledge`);
  await support.getByLabel("Password").waitFor();

  await page.getByLabel("Support may enter when it has a reason").uncheck();
  await press(page, "Save", "Saved.");
  assert.equal(await page.getByLabel("Support may enter when it has a reason").isChecked(), false);
  assert.throws(() => execFileSync("target/debug/bulkhead", args, { encoding: "utf8", stdio: "pipe" }), /has forbidden it/);
  clean(page, owner.url);
});
