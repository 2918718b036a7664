// The chat of a company's page, as visitors have it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { answer, ask, browser, clean, company, focused, visit } from "./stand.mjs";

const HEATER = "How much does it cost to replace a water heater?";
let plumber, dentist;

before(async () => {
  plumber = await company("plumbing", "Pia's Plumbing");
  dentist = await company("dental-practice", "Dora's Dental");
});
after(() => browser.close());

test("a question is answered with a price and its source", async () => {
  const page = await visit(plumber.url);
  assert.match(await ask(page, HEATER), /\$\d/);
  assert.match(await page.getByRole("list", { name: "Sources" }).last().innerText(), /water heater/i);
  clean(page, plumber.url);
});

test("another company does not know it and asks for a number", async () => {
  const page = await visit(dentist.url);
  assert.doesNotMatch(await ask(page, HEATER), /\$|heater/);
  assert.equal(await page.getByRole("list", { name: "Sources" }).count(), 0);

  await page.getByLabel("Your name").fill("Vera Visitor");
  await page.getByRole("button", { name: "Please call me back" }).click();
  assert.match(await page.getByRole("alert").innerText(), /phone number or an e-mail/);
  await page.getByLabel("Phone").fill("555 0100");
  await page.getByRole("button", { name: "Please call me back" }).click();
  await page.getByText("Thank you, Vera Visitor. Dora's Dental will get back to you.").first().waitFor();
  assert.equal(await page.locator("form.lead").count(), 0);
  clean(page, dentist.url);
});

test("a number can be left at any time", async () => {
  const page = await visit(plumber.url);
  await page.getByRole("button", { name: "Leave your number" }).click();
  await page.keyboard.type("Vic");
  await page.getByLabel("or e-mail").fill("vic@example.com");
  await page.keyboard.press("Enter");
  await page.getByText("Thank you, Vic.").first().waitFor();
  clean(page, plumber.url);
});

test("a quick reply asks its question", async () => {
  const page = await visit(plumber.url);
  const reply = page.getByRole("group", { name: "Questions to start with" }).getByRole("button").first();
  const question = await reply.innerText();
  await reply.click();
  await answer(page);
  assert.deepEqual((await page.locator(".message.visitor").innerText()).split(/:\s+/), ["You", question]);
  assert.equal(await reply.isVisible(), false);
});

test("the conversation is there again after a reload, and goes on", async () => {
  const page = await visit(plumber.url);
  const told = await ask(page, HEATER);
  const conversation = () => page.evaluate(() => JSON.parse(sessionStorage.getItem(`bulkhead ${location.origin}`)).conversation);
  const before = await conversation();
  await page.reload();
  await page.locator(".message.visitor").waitFor();
  assert.equal(await page.locator(".message.agent > .said").last().innerText(), told);
  assert.equal(await page.getByRole("list", { name: "Sources" }).count(), 1);
  await ask(page, "How long does a tank last?");
  assert.equal(await conversation(), before);
  assert.equal(await page.locator(".message.visitor").count(), 2);

  await page.getByRole("button", { name: "New chat" }).click();
  assert.equal(await page.locator(".message").count(), 1);
  await ask(page, HEATER);
  assert.notEqual(await conversation(), before);
  clean(page, plumber.url);
});

test("the keyboard is enough", async () => {
  const page = await visit(plumber.url);
  await page.keyboard.press("Tab");
  assert.equal(await focused(page), "Skip to the chat");
  await page.keyboard.press("Enter");
  for (let presses = 0; presses < 12; presses++) {
    if ((await focused(page)) === "question") break;
    await page.keyboard.press("Tab");
    const outline = await page.evaluate(() => {
      const element = document.activeElement.shadowRoot?.activeElement ?? document.activeElement;
      return getComputedStyle(element).outlineStyle;
    });
    assert.notEqual(outline, "none");
  }
  await page.keyboard.type(HEATER);
  await page.keyboard.press("Enter");
  await page.getByRole("list", { name: "Sources" }).waitFor();
  await page.locator("#stop").waitFor({ state: "hidden" });
  assert.equal(await focused(page), "question");
});

test("screen readers are told whole answers, once", async () => {
  const page = await visit(plumber.url);
  await page.evaluate(() => {
    window.told = [];
    const status = document.querySelector("[data-bulkhead]").shadowRoot.getElementById("status");
    new MutationObserver(() => window.told.push(status.textContent)).observe(status, { childList: true });
  });
  const told = await ask(page, HEATER);
  const heard = await page.evaluate(() => window.told);
  assert.equal(heard.length, 1);
  assert.equal(heard[0].replaceAll(/\s+/g, " "), told.replaceAll(/\s+/g, " "));
  assert.equal(await page.locator("#messages").getAttribute("aria-live"), null);
});

test("a token that is no longer good is renewed", async () => {
  const page = await visit(plumber.url);
  await ask(page, HEATER);
  await page.evaluate(() => {
    const name = `bulkhead ${location.origin}`;
    const kept = JSON.parse(sessionStorage.getItem(name));
    sessionStorage.setItem(name, JSON.stringify({ ...kept, token: "x.y.z" }));
  });
  await page.reload();
  assert.match(await ask(page, HEATER), /\$\d/);
  assert.ok(page.complaints.every((text) => /401|404/.test(text)), String(page.complaints));
});

const stream = (...events) => events.map(([name, data]) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`).join("");
const START = ["start", { conversation_id: "0193a000-0000-7000-8000-000000000000" }];

/** The next question gets this. */
const next = (page, reply) => page.route("**/v1/chat", (route) => route.fulfill(reply), { times: 1 });

test("each failure is a sentence, and can be tried again", async () => {
  const page = await visit(plumber.url);
  const detail = "That was too many requests. Wait 60 seconds and try again.";
  await next(page, { status: 429, contentType: "application/problem+json", body: JSON.stringify({ detail }) });
  assert.equal(await ask(page, HEATER), detail);

  const event = { contentType: "text/event-stream" };
  await next(page, { ...event, body: stream(["delta", { text: "It costs" }]) });
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByText("The connection was lost before the answer was complete.").first().waitFor();
  assert.equal(await page.getByText("It costs", { exact: true }).count(), 1);

  await next(page, { ...event, body: stream(["error", { detail: "The answer broke off before its end." }]) });
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByText("The answer broke off before its end.").first().waitFor();

  await next(page, { status: 502, contentType: "text/html", body: "<h1>Bad gateway</h1>" });
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByText("The chat is not available right now.").first().waitFor();

  await page.context().setOffline(true);
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByText("The chat could not be reached. Check your connection.").first().waitFor();
  await page.context().setOffline(false);

  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByRole("list", { name: "Sources" }).waitFor();
  assert.equal(await page.locator(".trouble").count(), 0);
});

test("an answer can be stopped, and what came stays", async () => {
  const page = await visit(plumber.url);
  await page.evaluate((start) => {
    const real = window.fetch;
    window.fetch = (path, options) => {
      if (!path.endsWith("/v1/chat")) return real(path, options);
      const body = new ReadableStream({
        start(controller) {
          controller.enqueue(new TextEncoder().encode(`${start}event: delta\ndata: {"text":"It costs"}\n\n`));
          options.signal.onabort = () => controller.error(options.signal.reason);
        },
      });
      return Promise.resolve(new Response(body));
    };
  }, stream(START));
  await page.getByLabel("Your question").fill(HEATER);
  await page.keyboard.press("Enter");
  await page.getByText("It costs").waitFor();
  await page.getByRole("button", { name: "Stop the answer" }).click();
  await page.locator(".message").getByText("You stopped this answer.").waitFor();
  assert.equal(await page.locator(".message.agent > .said").last().innerText(), "It costs");
  assert.deepEqual(page.complaints, []);
});

test("events may be cut anywhere", async () => {
  const page = await visit(plumber.url);
  const text = "Zwölf 💧 dollars.\nOr more.";
  await page.evaluate((whole) => {
    const real = window.fetch;
    window.fetch = (path, options) => {
      if (!path.endsWith("/v1/chat")) return real(path, options);
      const bytes = new TextEncoder().encode(whole);
      const body = new ReadableStream({
        start(controller) {
          for (const byte of bytes) controller.enqueue(Uint8Array.of(byte));
          controller.close();
        },
      });
      return Promise.resolve(new Response(body));
    };
  }, stream(START, ["delta", { text: text.slice(0, 7) }], ["delta", { text: text.slice(7) }], ["done", { source: "model" }]));
  assert.equal(await ask(page, HEATER), text);
  assert.deepEqual(page.complaints, []);
});
