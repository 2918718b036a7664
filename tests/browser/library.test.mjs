// The library, as a company's people have it: a search is tried, texts are imported and approved, questions answered.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { ask, browser, clean, company, fits, press, signIn, tab, visit } from "./stand.mjs";

const PICTURES = "target/screenshots";
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const words = (word) => `Our ${word} is what people come for. `.repeat(6);
// The company's website and its model's provider, at the one port that the stand takes for both.
let elsewhere, site;

before(async () => {
  mkdirSync(PICTURES, { recursive: true });
  const recorded = readFileSync(new URL("../fixtures/openai/normal.sse", import.meta.url));
  elsewhere = createServer((request, response) => {
    const pages = {
      "/robots.txt": ["text/plain", "User-agent: *\nDisallow: /private"],
      "/site/": ["text/html", `<title>Acme</title><nav><a href="about">About</a><a href="/private">x</a></nav><h2>Do you polish zithers?</h2><p>${words("zither")}`],
      "/site/about": ["text/html", `<h1>Who runs Acme?</h1><p>${words("orchestra")}<script>document.title = "owned"</script><img src="https://evil.example/x.png">`],
    };
    const page = pages[request.url] ?? (request.method === "POST" && ["text/event-stream", recorded]);
    if (page) response.writeHead(200, { "content-type": page[0] }).end(page[1]);
    else response.writeHead(404).end();
  });
  await new Promise((listening) => elsewhere.listen(process.env.MODEL_PORT, "127.0.0.1", listening));
  site = `http://127.0.0.1:${process.env.MODEL_PORT}/site/`;
});
after(async () => {
  elsewhere.close();
  await browser.close();
});

/** The dashboard's knowledge of a company of its own. */
async function desk(options = {}) {
  const owner = await company("plumbing");
  const page = await visit(`${owner.url}/dashboard`, options);
  await signIn(page, owner);
  await tab(page, "Knowledge");
  return [page, owner];
}

/** Opens a page beside the knowledge. */
async function beside(page, link, heading = link) {
  await tab(page, "Knowledge");
  await page.getByRole("navigation", { name: "Knowledge" }).getByRole("link", { name: link }).click();
  await page.getByRole("heading", { level: 1, name: heading }).waitFor();
}

/** Nothing is in anybody's way, wider than the window or too small for a thumb; pictures are kept. */
async function looks(page, name) {
  for (const width of [360, 768, 1280]) {
    await page.setViewportSize({ width, height: 800 });
    await fits(page, `${name} at ${width} px`);
    const small = await page.evaluate(() =>
      [...document.querySelectorAll("main :is(a.button, button, input, select, textarea, summary)")]
        .filter((control) => control.checkVisibility() && control.type !== "checkbox" && control.getBoundingClientRect().height < 43.5)
        .map((control) => control.outerHTML.slice(0, 80)),
    );
    assert.deepEqual(small, [], `${name} at ${width} px`);
    await page.screenshot({ path: `${PICTURES}/library-${name}-${width}.png`, fullPage: true });
  }
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"] }));
  assert.deepEqual(violations.map(({ id, nodes }) => `${name}: ${id}: ${nodes[0].html}`), []);
}

test("a search is tried, and says what the chat would make of it", async () => {
  const [page, owner] = await desk();
  await beside(page, "Try the search");
  await page.getByLabel("A customer's question").fill("Do you fix leaking pipes?");
  await page.getByRole("button", { name: "Try it" }).click();
  const first = page.locator(".list > li").first();
  assert.match(await first.innerText(), /rank 1\s*score [01]\.\d\d\s*from your trade's template/);
  const without = await page.locator("section", { has: page.getByRole("heading", { name: "Without a model" }) }).innerText();
  const visitor = await visit(owner.url);
  const answered = await ask(visitor, "Do you fix leaking pipes?");
  assert.ok(/I don't have an answer/.test(answered) ? /called back/.test(without) : without.includes(answered.slice(0, 60)), `${without}\n${answered}`);
  await first.getByRole("link").click();
  await page.getByRole("heading", { name: "Edit the entry" }).waitFor();
  clean(page, owner.url);
});

test("a website's texts wait until they are approved, and answer from then on", async () => {
  const [page, owner] = await desk();
  await beside(page, "Import", "Import and drafts");
  await page.getByLabel("Address").fill("http://169.254.169.254/latest/meta-data");
  await page.getByRole("button", { name: "Import the website" }).click();
  await page.getByRole("alert").filter({ hasText: "This address cannot be read" }).waitFor();
  await page.getByLabel("Address").fill(site);
  await press(page, "Import the website", "Imported.");
  await page.getByRole("heading", { name: "Waiting for you: 2" }).waitFor();
  await page.getByText(`From ${site}about`).waitFor();
  const visitor = await visit(owner.url);
  assert.doesNotMatch(await ask(visitor, "Do you polish zithers?"), /people come for/);
  // Changed, it is still a draft; approved, it answers.
  await page.getByRole("link", { name: "Do you polish zithers?" }).click();
  await page.getByRole("textbox", { name: "Answer" }).fill("We polish zithers on Mondays.");
  await press(page, "Save", "It is still a draft.");
  assert.doesNotMatch(await ask(visitor, "Do you polish zithers?"), /Mondays/);
  await press(page, "Approve as it was saved", "Approved.");
  assert.match(await ask(visitor, "Do you polish zithers?"), /zithers on Mondays/);
  page.once("dialog", (dialog) => dialog.accept());
  await press(page, "Approve all of these", "Approved.");
  await page.getByText("Nothing waits for you.").waitFor();
  assert.doesNotMatch(await page.title(), /owned/);
  // What was changed differs from what the website says, which is offered once more; what is the same is not.
  await page.getByLabel("Address").fill(site);
  await press(page, "Import the website", "Imported.");
  await page.getByRole("heading", { name: "Waiting for you: 1" }).waitFor();
  await page.waitForTimeout(100);
  await page.getByLabel("Address").fill(site);
  await press(page, "Import the website", "Nothing new was in it");
  assert.deepEqual(page.asked.filter((address) => address.includes("evil.example")), []);
});

test("a document is chosen, seen, and imported; without a script it is pasted", async () => {
  const [page, owner] = await desk();
  await beside(page, "Import", "Import and drafts");
  const text = `# Is the kazoo free?\n${words("kazoo")}\n<script>alert(1)</script>\n`;
  await page.getByLabel("Or a file").setInputFiles({ name: "faq.md", mimeType: "text/markdown", buffer: Buffer.from(text) });
  await page.waitForFunction((text) => document.querySelector("textarea").value === text, text);
  await press(page, "Import the text", "Imported.");
  await page.getByRole("link", { name: "Is the kazoo free?" }).waitFor();
  page.once("dialog", (dialog) => dialog.accept());
  await press(page, "Discard all of these", "Removed.");
  await page.getByLabel("Or a file").setInputFiles({ name: "big.txt", mimeType: "text/plain", buffer: Buffer.from("x".repeat(200_001)) });
  await page.getByRole("alert").filter({ hasText: "longer than" }).waitFor();

  const plain = await visit(`${owner.url}/dashboard/knowledge/drafts`, { javaScriptEnabled: false });
  await plain.getByLabel("E-mail").fill(owner.email);
  await plain.getByLabel("Password").fill(owner.password);
  await plain.getByRole("button", { name: "Sign in" }).click();
  await plain.getByRole("heading", { name: "Import and drafts" }).waitFor();
  assert.equal(await plain.getByLabel("Or a file").isVisible(), false);
  await plain.locator("textarea[name=text]").fill(text);
  await press(plain, "Import the text", "Imported.");
  await plain.getByRole("button", { name: "Approve", exact: true }).click();
  await plain.getByRole("status").filter({ hasText: "Approved." }).waitFor();
});

test("what was asked in vain is answered, drafted by a model, or dismissed", async () => {
  const [page, owner] = await desk();
  const visitor = await visit(owner.url);
  for (const question of ["Do you tune harpsichords?", "do you tune harpsichords", "Why is a raven like a writing-desk?"]) await ask(visitor, question);
  await beside(page, "Questions without an answer");
  await page.getByText("asked 2 times").waitFor();
  await looks(page, "unanswered");
  await page.getByRole("link", { name: "do you tune harpsichords" }).click();
  assert.equal(await page.getByRole("textbox", { name: "Question" }).inputValue(), "do you tune harpsichords");
  await looks(page, "question");
  await page.getByRole("textbox", { name: "Answer" }).fill("We tune harpsichords in May.");
  await press(page, "Add the answer", "Added.");
  assert.match(await ask(visitor, "Do you tune harpsichords?"), /in May/);
  assert.equal(await page.getByText("harpsichords").count(), 0);
  // Without a model there is a sentence.
  await page.getByRole("button", { name: "Draft with a model" }).click();
  await page.getByRole("alert").filter({ hasText: /There is no model yet|Nothing that you know/ }).waitFor();
  await press(page, "Dismiss", "Dismissed.");
  await page.getByText("Every question of late had an answer.").waitFor();

  await ask(visitor, "May harpsichords swim?");
  await tab(page, "Models");
  const form = page.locator("form").filter({ hasText: "Add a provider" });
  await form.getByLabel("API key").fill("sk-test-0123456789-wxyz");
  await form.getByRole("button").click();
  await page.getByText("Key ending in wxyz").waitFor();
  await beside(page, "Questions without an answer");
  await page.getByRole("button", { name: "Draft with a model" }).click();
  await page.getByRole("status").filter({ hasText: "Drafted. Check every fact" }).waitFor();
  assert.ok((await page.getByRole("textbox", { name: "Answer" }).inputValue()).length > 10);
  await page.getByText("Written by a model").waitFor();
  await looks(page, "draft");
  await press(page, "Approve as it was saved", "Approved.");
});

for (const colorScheme of ["light", "dark"]) {
  test(`the library is in nobody's way, ${colorScheme}`, async () => {
    const [page] = await desk({ colorScheme, bypassCSP: true });
    await looks(page, `knowledge-${colorScheme}`);
    await beside(page, "Import", "Import and drafts");
    await page.getByLabel("Address").fill(site);
    await press(page, "Import the website", "Imported.");
    await page.waitForTimeout(100);
    await looks(page, `drafts-${colorScheme}`);
    await beside(page, "Try the search");
    await page.getByLabel("A customer's question").fill("averyveryveryveryveryveryveryveryveryveryveryverylongword and leaking pipes?");
    await page.getByRole("button", { name: "Try it" }).click();
    await page.getByRole("heading", { name: "What it finds" }).waitFor();
    await looks(page, `search-${colorScheme}`);
    await beside(page, "Template updates");
    await page.getByText("Everything is as the template has it.").waitFor();
    await looks(page, `updates-${colorScheme}`);
  });
}
