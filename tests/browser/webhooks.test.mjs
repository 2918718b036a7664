// Webhooks, as a company's people have them: added, its secret seen once, tried, and sent again what was given up.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { mkdirSync } from "node:fs";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { accessible, browser, call, clean, desk, fits, press, small, tab } from "./stand.mjs";

const PICTURES = "target/screenshots";
// The company's own program: what it was told, and what it answers.
const told = [];
let program, hook, status = 200;

before(async () => {
  mkdirSync(PICTURES, { recursive: true });
  program = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    told.push({ headers: request.headers, body });
    response.writeHead(status).end();
  });
  await new Promise((listening) => program.listen(process.env.MODEL_PORT, "127.0.0.1", listening));
  hook = `http://127.0.0.1:${process.env.MODEL_PORT}/hook`;
});
after(async () => {
  program.close();
  await browser.close();
});

/** What is signed for, as the company's program works it out. */
function signed(secret, { headers, body }) {
  const key = Buffer.from(secret.replace("whsec_", ""), "base64");
  const text = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
  return `v1,${createHmac("sha256", key).update(text).digest("base64")}`;
}

/** Nothing is in anybody's way, wider than the window or too small for a thumb; pictures are kept. */
async function looks(page, name) {
  for (const width of [360, 768, 1280]) {
    await page.setViewportSize({ width, height: 800 });
    await fits(page, `${name} at ${width} px`);
    assert.deepEqual(await page.evaluate(small), [], `${name} at ${width} px`);
    await page.screenshot({ path: `${PICTURES}/webhooks-${name}-${width}.png`, fullPage: true });
  }
  await accessible(page, name);
}

/** Adds a webhook; gives its secret, from the page that shows it this once. */
async function add(page) {
  await tab(page, "Webhooks");
  await page.getByLabel("Address").fill(hook);
  await page.getByRole("button", { name: "Add it and make its secret" }).click();
  return shown(page);
}

async function shown(page) {
  await page.getByRole("heading", { level: 1, name: "The webhook's secret" }).waitFor();
  const [secret] = (await page.getByText(/^whsec_/).innerText()).match(/^whsec_[A-Za-z0-9+/]{43}=$/);
  return secret;
}

test("a webhook is added, its secret is shown once, and a test is signed with it", async () => {
  const [page, owner] = await desk();
  const secret = await add(page);
  await looks(page, "secret");
  await tab(page, "Webhooks");
  assert.ok(!(await page.content()).includes(secret));
  await looks(page, "list");
  await press(page, "Test", "The test was taken.");
  const test = told.at(-1);
  assert.equal(JSON.parse(test.body).type, "webhook.test");
  assert.equal(test.headers["webhook-signature"], signed(secret, test));

  // Asked first, and nothing is done without a yes.
  page.once("dialog", (dialog) => dialog.dismiss());
  await page.getByRole("button", { name: "New secret" }).click();
  assert.equal(await page.getByRole("heading", { level: 1 }).innerText(), "Webhooks");
  page.once("dialog", (dialog) => dialog.accept());
  await page.getByRole("button", { name: "New secret" }).click();
  const next = await shown(page);
  assert.notEqual(next, secret);
  await tab(page, "Webhooks");
  await press(page, "Test", "The test was taken.");
  assert.equal(told.at(-1).headers["webhook-signature"], signed(next, told.at(-1)));

  await press(page, "Turn off", "Saved.");
  await page.getByText("off", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Turn on" }).click();
  await page.getByRole("button", { name: "Turn off" }).waitFor();
  page.once("dialog", (dialog) => dialog.accept());
  await press(page, "Remove", "Removed.");
  await page.getByText("No webhook yet.").waitFor();
  clean(page, owner.url);
});

test("what was given up says why, and is sent again", async () => {
  const [page, owner] = await desk();
  await add(page);
  await tab(page, "Webhooks");
  status = 500;
  await page.getByRole("button", { name: "Test" }).click();
  await page.getByRole("alert").filter({ hasText: "The test was not taken: it answered 500." }).waitFor();
  status = 200;
  // A lead comes meanwhile.
  const { token } = await call(owner, "POST", "/v1/visitor", "", undefined, 201);
  await call(owner, "POST", "/v1/leads", token, { name: "Vera", phone: "555 0100" }, 201);
  await page.getByRole("link", { name: hook }).click();
  await page.getByRole("heading", { level: 1, name: "Deliveries" }).waitFor();
  const row = (event) => page.locator(".list > li").filter({ hasText: event });
  assert.match(await row("webhook.test").innerText(), /given up/);
  await row("webhook.test").getByText("Attempts: 1. Answered 500. What was wrong: it answered 500.").waitFor();
  await row("lead.new").waitFor();
  await looks(page, "deliveries");
  const given = told.at(-1);
  await row("webhook.test").getByRole("button", { name: "Send again" }).click();
  await page.getByRole("status").filter({ hasText: "On its way again." }).waitFor();
  for (let tries = 0; tries < 100 && !(await row("webhook.test").getByText("delivered").isVisible()); tries++) {
    await page.waitForTimeout(100);
    await page.reload();
  }
  await row("webhook.test").getByText("delivered").waitFor();
  assert.notEqual(told.at(-1), given);
});
