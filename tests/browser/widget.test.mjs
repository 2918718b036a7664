// The chat on pages of another origin.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, before, test } from "node:test";
import { elsewhere } from "./elsewhere.mjs";
import { ask, browser, call, company, fits, focused, settings, signedIn, visit } from "./stand.mjs";

const HEATER = "How much does it cost to replace a water heater?";
let shop, plumber, dentist;

before(async () => {
  shop = await elsewhere();
  plumber = await company("plumbing", "Pia's Plumbing");
  dentist = await company("dental-practice", "Dora's Dental");
  for (const each of [plumber, dentist]) await settings(each, { allowed_origins: [shop.origin] });
});
after(async () => {
  shop.close();
  await browser.close();
});

const bubble = (page) => page.getByRole("button", { name: /^Chat with / });

/** A page elsewhere with the chat open. */
async function opened(options = {}, context = {}) {
  const page = await visit(shop.address(plumber.url, options), context);
  await bubble(page).click();
  await page.getByLabel("Your question").waitFor();
  return page;
}

/** Nothing was wrong, and nobody but the page and its company was asked. */
function clean(page, { url } = plumber) {
  assert.deepEqual(page.complaints, []);
  assert.deepEqual(page.asked.filter((address) => ![url, shop.origin, "data:"].some((fine) => address.startsWith(fine))), []);
}

const stream = (...events) => events.map(([name, data]) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`).join("");
const START = ["start", { conversation_id: "0193a000-0000-7000-8000-000000000000", message_id: "0193a000-0000-7000-8000-000000000001" }];
const DONE = ["done", { message_id: "0193a000-0000-7000-8000-000000000002", source: "model" }];

/** The next question gets this text. */
const says = (page, text) =>
  page.route("**/v1/chat", (route) => route.fulfill({
    contentType: "text/event-stream",
    headers: { "access-control-allow-origin": "*" },
    body: stream(START, ["delta", { text }], DONE),
  }), { times: 1 });

test("under the strictest policy it opens, answers with its source, and closes", async () => {
  const page = await opened({ strict: "" });
  assert.match(await ask(page, HEATER), /\$\d/);
  assert.match(await page.getByRole("list", { name: "Sources" }).innerText(), /water heater/i);
  await page.getByRole("button", { name: "Close the chat" }).click();
  assert.equal(await page.getByRole("dialog").count(), 0);
  assert.equal(await page.evaluate(() => document.cookie), "");
  clean(page);
});

test("a page that the company does not list has no chat", async () => {
  const other = await elsewhere();
  try {
    const page = await visit(other.address(plumber.url));
    assert.equal(await bubble(page).count(), 0);
    const asked = page.asked.filter((address) => address.startsWith(plumber.url)).map((address) => new URL(address).pathname);
    assert.deepEqual(asked, ["/widget.js", "/v1/widget"]);
    const told = await page.evaluate(async (url) => {
      const ways = [fetch(`${url}/v1/visitor`, { method: "POST" }), fetch(`${url}/v1/widget`)];
      return Promise.all(ways.map((way) => way.then(() => "read", () => "refused")));
    }, plumber.url);
    assert.deepEqual(told, ["refused", "refused"]);
  } finally {
    other.close();
  }
});

test("two companies in two tabs of one page's origin know nothing of each other", async () => {
  const context = await browser.newContext();
  const tabs = [];
  for (const each of [plumber, dentist]) {
    const page = await context.newPage();
    await page.goto(shop.address(each.url), { waitUntil: "networkidle" });
    await page.getByRole("button", { name: `Chat with ${each.name}` }).click();
    tabs.push(page);
  }
  assert.match(await ask(tabs[0], HEATER), /\$\d/);
  assert.doesNotMatch(await ask(tabs[1], HEATER), /\$|heater/);
  // The same tab, first with one and then with the other: each has its own conversation and its own visitor.
  await tabs[0].goto(shop.address(dentist.url), { waitUntil: "networkidle" });
  await bubble(tabs[0]).click();
  await tabs[0].waitForLoadState("networkidle");
  assert.equal(await tabs[0].locator(".message.visitor").count(), 0);
  await tabs[0].goto(shop.address(plumber.url), { waitUntil: "networkidle" });
  await bubble(tabs[0]).click();
  await tabs[0].locator(".message.visitor").waitFor();
  // One's token is worth nothing at the other, also from the same page.
  const status = await tabs[0].evaluate(async ([one, other]) => {
    const { token } = JSON.parse(sessionStorage.getItem(`bulkhead ${one}`));
    const call = (url) => fetch(`${url}/v1/leads`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify({ name: "V", phone: "555 0100" }),
    });
    return [(await call(one)).status, (await call(other)).status];
  }, [plumber.url, dentist.url]);
  assert.deepEqual(status, [201, 401]);
  await context.close();
});

test("the keyboard is enough, and the focus comes back", async () => {
  const page = await visit(shop.address(plumber.url, { strict: "" }));
  await bubble(page).waitFor();
  for (let presses = 0; presses < 6 && !/^$/.test(await focused(page)); presses++) await page.keyboard.press("Tab");
  assert.ok(await bubble(page).evaluate((element) => element.matches(":focus-visible")));
  await page.keyboard.press("Enter");
  await page.getByRole("dialog", { name: "Chat with Pia's Plumbing" }).waitFor();
  assert.equal(await bubble(page).getAttribute("aria-expanded"), "true");
  await page.waitForFunction(() => document.querySelector("[data-bulkhead]").shadowRoot.activeElement?.id === "question");
  await page.keyboard.type(HEATER);
  await page.keyboard.press("Enter");
  await page.getByRole("list", { name: "Sources" }).waitFor();
  await page.keyboard.press("Escape");
  assert.equal(await page.getByRole("dialog").count(), 0);
  assert.ok(await bubble(page).evaluate((element) => element.matches(":focus")));
  clean(page);
});

test("a popup keeps the focus in while it is open, and lets it go after", async () => {
  const page = await visit(shop.address(plumber.url, { mode: "popup", target: "#ask", strict: "" }));
  assert.equal(await bubble(page).count(), 0);
  const opener = page.getByRole("button", { name: "Ask us" });
  await opener.click();
  await page.getByLabel("Your question").waitFor();
  const seen = new Set();
  for (let presses = 0; presses < 40; presses++) {
    await page.keyboard.press("Tab");
    seen.add(await page.evaluate(() => document.activeElement.id || document.activeElement.dataset.bulkhead || document.activeElement.localName));
  }
  // The browser's own surface is the only other place.
  assert.deepEqual([...seen].filter((place) => !["popup", "body"].includes(place)), []);
  await page.keyboard.press("Escape");
  assert.equal(await page.getByRole("dialog").count(), 0);
  await page.waitForFunction(() => document.activeElement.id === "ask");
  clean(page);
});

test("a page steers it, also before it is there", async () => {
  const early = `window.bulkhead ||= function () { (bulkhead.q ||= []).push(arguments) };
    window.heard = []; for (const event of ["ready", "open", "message", "answer", "close"]) bulkhead("on", event, (detail) => heard.push([event, detail?.text]));
    bulkhead("send", "${HEATER}");`;
  const page = await visit(shop.address(plumber.url, { early, strict: "" }));
  await page.getByRole("list", { name: "Sources" }).waitFor();
  await page.evaluate(() => bulkhead("close"));
  await page.waitForFunction(() => heard.length === 5);
  const heard = await page.evaluate(() => heard);
  assert.deepEqual(heard.map(([event]) => event), ["ready", "open", "message", "answer", "close"]);
  assert.equal(heard[2][1], HEATER);
  assert.match(heard[3][1], /\$\d/);
  await page.evaluate(() => bulkhead("destroy"));
  await page.waitForFunction(() => !document.querySelector("[data-bulkhead]") && !window.bulkhead);
  clean(page);
});

test("an answer can show what it says and can do nothing", async () => {
  const page = await opened({});
  await page.evaluate(() => (window.alert = window.hacked = () => (window.harmed = true)));
  const poison = [
    "![a](https://evil.example/a.png)",
    "![a](//evil.example/b.png)",
    "![a][ref]\n\n[ref]: https://evil.example/c.png",
    "[a][ref] and [ref]\n\n[ref]: https://evil.example/d",
    "[click](https://evil.example/e?secret=1)",
    "[click](javascript:hacked())",
    "[click](JaVaScRiPt:hacked())",
    "[click](&#106;avascript:hacked())",
    "[click](data:text/html,<script>hacked()</script>)",
    "[click](vbscript:hacked())",
    "[click](blob:https://evil.example/f)",
    "[![a](https://evil.example/g.png)](https://evil.example/h)",
    "<img src=https://evil.example/i.png onerror=hacked()>",
    "<svg onload=hacked()><image href=https://evil.example/j.png /></svg>",
    "<script>hacked()</script><script src=https://evil.example/k.js></script>",
    "<iframe src=https://evil.example/l></iframe><object data=https://evil.example/m></object>",
    "<style>@import url(https://evil.example/n.css)</style><link rel=stylesheet href=https://evil.example/o.css>",
    "<a href=https://evil.example/p ping=https://evil.example/q>click</a>",
    "<https://evil.example/r> https://evil.example/s http://evil.example/t",
    "`<img src=https://evil.example/u.png>`\n```html\n<img src=https://evil.example/v.png onerror=hacked()>\n```",
    `[click](${plumber.url}@evil.example/w) [click](${plumber.url}.evil.example/x) [click](https://evil.example#${plumber.url})`,
    "[click](https://evil.example\\@pias.example) [click](\\\\evil.example/y) [click](/\\evil.example/z)",
    "**bold <b onclick=hacked()>x</b>** *![i](https://evil.example/1.png)* - ![li](https://evil.example/2.png)",
    "![a](<https://evil.example/3.png> \"title\") ![](https://evil.example/4.png)",
  ];
  for (const text of poison) {
    await says(page, text);
    await ask(page, "What else?");
    const found = await page.locator(".message.agent > .said").last().evaluate((said) => {
      for (const element of said.querySelectorAll("*")) element.dispatchEvent(new MouseEvent("mouseover", { bubbles: true }));
      const known = "a br code em h3 li ol p pre span strong ul".split(" ");
      return {
        strange: [...said.querySelectorAll("*")].map((element) => element.localName).filter((name) => !known.includes(name)),
        links: [...said.querySelectorAll("a")].map((a) => a.href),
        handlers: [...said.querySelectorAll("*")].flatMap((element) => element.getAttributeNames()).filter((name) => /^on|style|src/.test(name)),
      };
    });
    assert.deepEqual(found, { strange: [], links: [], handlers: [] }, text);
  }
  await page.waitForTimeout(300);
  assert.deepEqual(page.asked.filter((address) => address.includes("evil")), []);
  assert.equal(await page.evaluate(() => window.harmed), undefined);
  clean(page);

  // The same text leads and shows where the company lists the host; so the look above can see.
  await settings(plumber, { link_hosts: ["fine.example"], image_hosts: ["pictures.example"] });
  const listed = await opened({});
  await says(listed, `[map](https://fine.example/map) ![van](https://pictures.example/van.png) ![x](https://fine.example/x.png) [prices](/pages/prices) https://fine.example/a.`);
  await ask(listed, "Where?");
  const links = await listed.locator(".message.agent a").evaluateAll((all) => all.map((a) => [a.href, a.rel, a.target]));
  const rel = ["noopener noreferrer nofollow", "_blank"];
  assert.deepEqual(links, [["https://fine.example/map", ...rel], [`${plumber.url}/pages/prices`, ...rel], ["https://fine.example/a", ...rel]]);
  assert.deepEqual(listed.asked.filter((address) => address.includes(".example/")), ["https://pictures.example/van.png"]);
  await settings(plumber, { link_hosts: [], image_hosts: [] });
});

test("what an answer says is shown as it is meant", async () => {
  const page = await opened({});
  await says(page, "# Prices\nWe **fix** *leaks*:\n\n- one `tap`\n- two\n\n3. three\n4. four\n\n```\na  <b>\n```\nUse snake_case_names, 2 * 3 * 4 and * stars.");
  await ask(page, "Prices?");
  const said = page.locator(".message.agent > .said").last();
  assert.equal(await said.locator("strong").allInnerTexts().then(String), "Prices,fix");
  assert.equal(await said.locator("em").allInnerTexts().then(String), "leaks");
  assert.equal(await said.locator("li").allInnerTexts().then(String), "one tap,two,three,four");
  assert.equal(await said.locator("ol").getAttribute("start"), "3");
  assert.equal(await said.locator("pre").innerText(), "a  <b>");
  assert.equal(await said.locator("p").last().innerText(), "Use snake_case_names, 2 * 3 * 4 and * stars.");
});

test("an answer whose stream is lost is fetched, and asked for once", async () => {
  const page = await opened({});
  await page.evaluate(() => {
    const real = window.fetch;
    window.chats = 0;
    window.fetch = async (path, options) => {
      if (!path.endsWith("/v1/chat")) return real(path, options);
      window.chats++;
      // The host says all of it; the visitor hears the beginning.
      const [start] = (await (await real(path, options)).text()).split("\n\n");
      const body = new ReadableStream({
        start(controller) {
          controller.enqueue(new TextEncoder().encode(`${start}\n\n`));
          setTimeout(() => controller.error(new TypeError("network error")), 50);
        },
      });
      return new Response(body);
    };
  });
  assert.match(await ask(page, HEATER), /\$\d/);
  assert.equal(await page.getByRole("list", { name: "Sources" }).count(), 1);
  assert.equal(await page.locator(".trouble").count(), 0);
  assert.equal(await page.evaluate(() => window.chats), 1);
  clean(page);
});

test("a question that comes again is the same question", async () => {
  const page = await opened({});
  // It is answered, and nothing of that arrives.
  await page.evaluate(() => {
    const real = window.fetch;
    window.fetch = async (path, options) => {
      const response = await real(path, options);
      if (!path.endsWith("/v1/chat")) return response;
      await response.text();
      window.fetch = real;
      throw new TypeError("network error");
    };
  });
  await ask(page, HEATER);
  await page.getByText("The chat could not be reached.").first().waitFor();
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByRole("list", { name: "Sources" }).waitFor();
  assert.equal(await page.locator(".message.visitor").count(), 1);
  await page.reload();
  await bubble(page).click();
  await page.locator(".message.visitor").waitFor();
  assert.equal(await page.locator(".message.visitor").count(), 1, "the host has it once");
  assert.equal(await page.locator(".message.agent").count(), 2);
});

test("an answer is rated, with a remark", async () => {
  const page = await opened({});
  await ask(page, HEATER);
  const bad = page.getByRole("button", { name: "This did not help" });
  const sent = page.waitForResponse(/rating$/);
  await bad.click();
  assert.equal((await sent).status(), 200);
  assert.equal(await bad.getAttribute("aria-pressed"), "true");
  await page.getByLabel("What was missing or wrong?").fill("Nothing of tall tanks");
  const remarked = page.waitForRequest((request) => request.url().endsWith("/rating") && request.method() === "PUT");
  await page.locator(".message form").getByRole("button", { name: "Send" }).click();
  assert.deepEqual((await remarked).postDataJSON(), { good: false, remark: "Nothing of tall tanks" });
  await page.locator("small").getByText("Thank you for telling us.").waitFor();
  await page.getByRole("button", { name: "This helped" }).click();
  assert.equal(await bad.getAttribute("aria-pressed"), "false");
  clean(page);
});

test("a person is asked for, and what they say arrives", async () => {
  const page = await opened({});
  await ask(page, HEATER);
  await page.getByRole("button", { name: "Talk to a person" }).click();
  await page.getByText(/was asked to join|is closed now/).first().waitFor();
  await page.evaluate(() => {
    const real = window.fetch;
    window.fetch = async (path, options) => {
      const response = await real(path, options);
      if (!path.endsWith("/messages")) return response;
      const said = await response.json();
      said.messages.push({ message_id: "ffffffff-0000-7000-8000-000000000000", author: "member", body: "Pia here. When suits you?", complete: true, citations: [] });
      return Response.json(said);
    };
  });
  await page.getByText("Pia here. When suits you?").first().waitFor();
  assert.ok(await page.getByText("A person of Pia's Plumbing").isVisible());
  await page.waitForResponse(/messages$/);
  assert.equal(await page.locator(".message", { hasText: "Pia here." }).count(), 1);
  clean(page);
});

test("the page's server says who the visitor is, and the next one sees nothing of theirs", async () => {
  const { identity_secret } = await call(dentist, "POST", "/v1/widget-settings/secret", (await signedIn(dentist)).token, undefined, 201);
  const jwt = (sub) => {
    const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const signed = `${part({ alg: "HS256" })}.${part({ sub, name: "Vera", exp: Math.floor(Date.now() / 1000) + 600 })}`;
    return `${signed}.${createHmac("sha256", identity_secret).update(signed).digest("base64url")}`;
  };
  const early = `window.bulkhead ||= function () { (bulkhead.q ||= []).push(arguments) }; bulkhead("identify", "${jwt("7")}");`;
  const page = await visit(shop.address(dentist.url, { early }));
  await bubble(page).click();
  const told = page.waitForResponse(/identity$/);
  await ask(page, "Do you see children?");
  assert.equal((await told).status(), 200);
  assert.equal(page.asked.filter((address) => address.endsWith("/identity")).length, 1);
  await page.evaluate((jwt) => bulkhead("identify", jwt), jwt("8"));
  await page.locator(".message.visitor").waitFor({ state: "detached" });
  const again = page.waitForResponse(/chat$/);
  await ask(page, "And grown-ups?");
  assert.equal((await again).status(), 200);
  // The page says it is the first one again: that is neither the other's conversation nor, on this browser, the old one.
  await page.reload({ waitUntil: "networkidle" });
  const anew = page.waitForResponse((response) => response.url().endsWith("/identity") && response.status() === 200);
  await bubble(page).click();
  await anew;
  await page.waitForLoadState("networkidle");
  assert.equal(await page.locator(".message.visitor").count(), 0);
});

test("the greeting comes once a visit, and goes when it is not wanted", async () => {
  await settings(plumber, { greet_after_s: 0, greeting: "Need a plumber today?" });
  const page = await visit(shop.address(plumber.url, { strict: "" }));
  const greeting = page.getByRole("button", { name: "Need a plumber today?" });
  await greeting.waitFor();
  await page.getByRole("button", { name: "Close the chat" }).click();
  assert.equal(await greeting.count(), 0);
  await page.reload({ waitUntil: "networkidle" });
  await bubble(page).waitFor();
  await page.waitForTimeout(200);
  assert.equal(await greeting.count(), 0);
  await settings(plumber, { greet_after_s: null, greeting: "" });
  clean(page);
});

test("it speaks the page's language, from the right where that does", async () => {
  const german = await visit(shop.address(plumber.url, { lang: "de-AT" }));
  await german.getByRole("button", { name: "Mit Pia's Plumbing chatten" }).click();
  await german.getByLabel("Ihre Frage").waitFor();
  const arabic = await visit(shop.address(plumber.url, { lang: "ar" }));
  await arabic.getByRole("button", { name: "الدردشة مع Pia's Plumbing" }).click();
  await arabic.getByLabel("سؤالك").waitFor();
  const [send, input] = await Promise.all(["#send", "#question"].map((id) => arabic.locator(id).boundingBox()));
  assert.ok(send.x < input.x, "the button is at the end of the line, which is left");
  await fits(arabic, "Arabic");
  const unknown = await visit(shop.address(plumber.url, { lang: "tlh" }));
  await bubble(unknown).waitFor();
});

test("on a slow network a click before the panel is there still opens it", async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  const session = await context.newCDPSession(page);
  await session.send("Network.enable");
  const slow = { offline: false, latency: 400, downloadThroughput: 50_000, uploadThroughput: 20_000 };
  await session.send("Network.emulateNetworkConditions", slow);
  await page.goto(shop.address(plumber.url));
  await bubble(page).click();
  await page.getByLabel("Your question").waitFor();
  assert.match(await ask(page, HEATER), /\$\d/);
  await context.close();
});

test("offline it says so, and goes on afterwards", async () => {
  const page = await opened({});
  await page.context().setOffline(true);
  await page.getByText("You are offline").waitFor();
  await ask(page, HEATER);
  await page.getByText("The chat could not be reached. Check your connection.").first().waitFor();
  await page.context().setOffline(false);
  await page.getByText("You are offline").waitFor({ state: "hidden" });
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByRole("list", { name: "Sources" }).waitFor();
});

test("a phone has all of it within reach", async () => {
  const page = await opened({}, { viewport: { width: 360, height: 640 }, hasTouch: true, isMobile: true });
  await ask(page, HEATER);
  await page.getByRole("button", { name: "Leave your number" }).click();
  await fits(page, "a phone");
  const box = await page.getByRole("dialog").boundingBox();
  assert.deepEqual([box.x, box.y, box.width, box.height].map(Math.round), [0, 0, 360, 640]);
  const small = await page.evaluate(() => {
    const { shadowRoot } = document.querySelector("[data-bulkhead]");
    const targets = [...shadowRoot.querySelectorAll("dialog button, dialog input, dialog textarea")].filter((element) => element.checkVisibility());
    return targets.map((element) => [element.id || element.className || element.name, element.getBoundingClientRect()]).filter(([, { width, height }]) => width < 44 || height < 44).map(([name]) => name);
  });
  assert.deepEqual(small, []);
});

test("at 200 % zoom, and with little motion, it is all there", async () => {
  const page = await opened({}, { viewport: { width: 640, height: 400 }, reducedMotion: "reduce" });
  const input = await page.getByLabel("Your question").boundingBox();
  assert.ok(input.y + input.height <= 400 && input.y > 0, JSON.stringify(input));
  assert.ok((await page.locator("#messages").boundingBox()).height >= 80);
  await page.route("**/v1/chat", () => {}, { times: 1 });
  await page.getByLabel("Your question").fill("x");
  await page.keyboard.press("Enter");
  await page.locator(".waiting").waitFor();
  const moving = await page.evaluate(() => document.querySelector("[data-bulkhead]").shadowRoot.getAnimations().length);
  assert.equal(moving, 0);
  await fits(page, "zoomed");
});
