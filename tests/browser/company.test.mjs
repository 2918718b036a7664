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
