// What the browser tests share: Chromium, companies of their own on a running stand, and pages that are watched.
// It starts no stand: ROOT_URL says where the platform's page of one is (the default is that of ./scripts/dev).

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { request } from "node:http";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export const root = (process.env.ROOT_URL ?? "http://localhost:8787").replace(/\/$/, "");

export const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  headless: true,
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});

/** JSON of a request on a company's host, which Node's own resolver does not know; the status must be that one. */
export async function call({ url }, method, path, token, body, expected = 200) {
  const { host, port } = new URL(url);
  const headers = { host, "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) };
  const [status, text] = await new Promise((done, failed) => {
    const sent = request({ host: "127.0.0.1", port, path, method, headers }, async (response) => {
      let text = "";
      for await (const chunk of response) text += chunk;
      done([response.statusCode, text]);
    });
    sent.on("error", failed).end(body && JSON.stringify(body));
  });
  assert.equal(status, expected, text);
  return /^[[{]/.test(text) ? JSON.parse(text) : text;
}

/** The company with its owner's access token. */
export async function signedIn(owner) {
  owner.token ??= (await call(owner, "POST", "/v1/login", "", { email: owner.email, password: owner.password })).access_token;
  return owner;
}

/** Changes the chat's settings as the owner. */
export async function settings(owner, change) {
  return call(owner, "PATCH", "/v1/widget-settings", (await signedIn(owner)).token, change);
}

export const password = "a few words make a good one";

/** A new company of an industry, with its address and its owner's login. */
export async function company(industry, name = `Test ${industry}`) {
  const slug = `t${randomBytes(6).toString("hex")}`;
  const email = `owner@${slug}.example`;
  const response = await fetch(`${root}/v1/signup`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ company: name, slug, industry, name: "Olive Owner", email, password }),
  });
  assert.equal(response.status, 201, await response.clone().text());
  return { name, slug, email, password, url: root.replace("://", `://${slug}.`) };
}

/** Opens a page and watches it: `page.complaints` is what the console said, `page.asked` every address requested. */
export async function visit(url, options = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  page.complaints = [];
  page.asked = [];
  page.on("console", (message) => message.type() === "error" && page.complaints.push(message.text()));
  page.on("pageerror", (error) => page.complaints.push(String(error)));
  page.on("request", (request) => page.asked.push(request.url()));
  const response = await page.goto(url, { waitUntil: "networkidle" });
  assert.equal(response.status(), 200, url);
  return page;
}

/** Asks in the chat and waits until the answer is there: the last message, without its sources. */
export async function ask(page, question) {
  await page.getByLabel("Your question").fill(question);
  await page.getByRole("button", { name: "Send" }).click();
  return answer(page);
}

export async function answer(page) {
  await page.locator("#stop").waitFor({ state: "visible", timeout: 2_000 }).catch(() => {});
  await page.locator("#stop").waitFor({ state: "hidden" });
  return page.locator(".message.agent > .said").last().innerText();
}

/** Id of what has the focus, also in the chat's shadow root; its text where it has none. */
export const focused = (page) =>
  page.evaluate(() => {
    let element = document.activeElement;
    while (element.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
    return element.id || element.textContent;
  });

/** Nothing was wrong, and nobody else was asked. */
export function clean(page, url) {
  assert.deepEqual(page.complaints, []);
  assert.deepEqual(page.asked.filter((address) => !address.startsWith(`${url}/`)), []);
}

/** Nothing is wider than the window. */
export async function fits(page, where) {
  const [wide, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(wide <= window, `${where}: ${wide} px in a window of ${window} px`);
}

export async function signIn(page, { email, password }) {
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
}

/** The dashboard of a company of its own: an address may try to sign in ten times a quarter of an hour. */
export async function desk(industry = "plumbing", options = {}) {
  const owner = await company(industry);
  const page = await visit(`${owner.url}/dashboard`, options);
  await signIn(page, owner);
  return [page, owner];
}

/** Chooses an industry on the platform's page. */
export async function trade(page, name) {
  await page.getByRole("combobox", { name: "Industry" }).fill(name);
  await page.getByRole("option", { name }).first().click();
}

/** The newest mail to an address that the stand caught, once there are so many. */
export async function mail(to, least = 1) {
  for (let tries = 0; tries < 100; tries++) {
    const { emails } = await (await fetch(`${process.env.MAIL_PAGE}/emails?to=${encodeURIComponent(to)}`)).json();
    if (emails.length >= least) return emails[0];
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error(`${least} mails to ${to} did not come`);
}

/** The link in a mail. */
export const link = ({ text }) => text.match(/^http.*token=.*$/m)[0];

/** Nothing that axe-core knows is in the way of anybody; the page is opened past its own policy, which lets in no other script. */
export async function accessible(page, where) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"] }));
  assert.deepEqual(violations.map(({ id, nodes }) => `${where}: ${id}: ${nodes[0].html}`), []);
}

/** In a page: controls that are too small for a thumb. */
export const small = () =>
  [...document.querySelectorAll("main :is(a.button, button, input, select, textarea, summary), .side :is(a, button)")]
    .filter((control) => control.checkVisibility() && control.type !== "checkbox")
    .map((control) => [control.outerHTML.slice(0, 80), control.getBoundingClientRect().height])
    .filter(([, height]) => height < 43.5);

/** Opens a tab of the dashboard, on a phone from its menu. */
export async function tab(page, name) {
  const menu = page.getByRole("button", { name: "Menu", exact: true });
  if (await menu.isVisible()) await menu.click();
  await page.getByRole("navigation", { name: "Dashboard" }).getByRole("link", { name }).click();
  await page.getByRole("heading", { level: 1, name }).waitFor();
}

/** Presses a button and waits until the next page says that it was done. */
export async function press(page, button, said) {
  await page.getByRole("button", { name: button, exact: true }).click();
  await page.getByRole("status").filter({ hasText: said }).waitFor();
}

/** Adds an entry on the page of the knowledge. */
export async function addEntry(page, question, answer) {
  await page.getByLabel("Question", { exact: true }).fill(question);
  await page.getByLabel("Answer", { exact: true }).fill(answer);
  await press(page, "Add", "Added.");
}

/** Narrows the list of entries to those with these words. */
export async function find(page, words) {
  await page.getByLabel("Look for").fill(words);
  await page.getByRole("button", { name: "Search" }).click();
  await page.waitForURL(/[?&]q=/);
}
