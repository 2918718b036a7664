// The dashboard, as a company's people have it.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, test } from "node:test";
import { gzipSync } from "node:zlib";
import { accessible, addEntry, ask, browser, clean, company, desk, find, fits, press, signIn, small, tab, visit } from "./stand.mjs";

after(() => browser.close());

const TABS = [
  "Overview", "Inbox", "Leads", "Checklist", "Knowledge", "Agents", "Contexts", "Website", "Services", "Hours", "Chat widget", "Domains", "Models",
  "Budget", "Usage", "Plan", "Office", "Settings", "Team", "Notifications", "API keys", "Webhooks", "Audit log", "Security",
];

/** A conversation that a visitor has begun on the company's site. */
async function conversation(owner, question = "Do you fix leaks?") {
  const visitor = await visit(owner.url);
  await ask(visitor, question);
  return visitor;
}

test("a wrong password is a sentence", async () => {
  const owner = await company("plumbing");
  const page = await visit(`${owner.url}/dashboard`);
  await page.getByLabel("E-mail").fill(owner.email);
  await page.getByLabel("Password").fill("not the right one");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("The e-mail address or the password is wrong for this company.").waitFor();
  assert.equal(await page.getByLabel("E-mail").inputValue(), owner.email);
  assert.deepEqual(await page.context().cookies(), []);
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

test("the cookie is this host's alone, and no script reads it", async () => {
  const [page, owner] = await desk();
  const [cookie, ...others] = await page.context().cookies();
  assert.deepEqual(others, []);
  const { name, domain, path, httpOnly, secure, sameSite } = cookie;
  const host = new URL(owner.url).hostname;
  assert.deepEqual([name, domain, path, httpOnly, secure, sameSite], ["__Host-session", host, "/", true, true, "Lax"]);
  assert.equal(await page.evaluate(() => document.cookie + localStorage.length + sessionStorage.length), "00");
});

test("the overview says what is spent, to confirm and to do, and draws the month", async () => {
  const [page, owner] = await desk();
  await conversation(owner);
  await page.reload();
  const text = await page.locator("main").innerText();
  assert.match(text, /Spent today\s+\$0\.00\s+of \$2\.00/);
  assert.match(text, /Entries to confirm\s+[1-9]/);
  assert.match(text, /Signed in as Olive Owner, owner/);
  assert.match(text, /Next steps/);
  const plot = page.getByRole("img", { name: "Conversations: 1 in 30 days, at most 1 a day" });
  assert.equal(await plot.locator("rect").count(), 1);
  clean(page, owner.url);
});

test("an entry that is added is what the chat answers", async () => {
  const [page, owner] = await desk();
  await tab(page, "Knowledge");
  await addEntry(page, "Do you repair pinball machines?", "Yes, pinball machines are $42 an hour.");
  await find(page, "pinball");
  await page.getByText("1 entry", { exact: true }).waitFor();

  const visitor = await visit(owner.url);
  assert.match(await ask(visitor, "Do you repair pinball machines?"), /\$42 an hour/);

  await page.getByRole("link", { name: "Do you repair pinball machines?" }).click();
  await page.getByRole("textbox", { name: "Answer" }).fill("Yes, pinball machines are $43 an hour.");
  await press(page, "Save", "Saved.");
  assert.match(await ask(visitor, "Do you repair pinball machines?"), /\$43 an hour/);

  await find(page, "pinball");
  await page.getByText("$43").waitFor();
  await page.getByRole("link", { name: "Do you repair pinball machines?" }).click();
  page.once("dialog", (dialog) => dialog.accept());
  await press(page, "Remove", "Removed.");
  await find(page, "pinball");
  await page.getByText("0 entries").waitFor();
  assert.doesNotMatch(await ask(visitor, "Do you repair pinball machines?"), /\$43/);
  clean(page, owner.url);
});

test("an entry is confirmed with one press", async () => {
  const [page] = await desk();
  await tab(page, "Knowledge");
  const count = async () => {
    await page.getByLabel("Only those to confirm").check();
    await page.getByRole("button", { name: "Search" }).click();
    await page.waitForURL(/confirm=true/);
    return Number.parseInt(await page.getByRole("heading", { name: /^\d+ entr/ }).innerText(), 10);
  };
  const before = await count();
  assert.ok(before > 0);
  await page.getByRole("button", { name: "Confirm" }).first().click();
  await page.getByRole("status").filter({ hasText: "Saved." }).waitFor();
  assert.equal(await count(), before - 1);
});

test("what cannot be is said beside the button, and what was typed stays", async () => {
  const [page] = await desk();
  await tab(page, "Budget");
  await page.getByLabel("Longest answer, tokens").fill("999999");
  await page.getByRole("button", { name: "Save limits" }).click();
  await page.getByRole("alert").filter({ hasText: "max_output_tokens takes 16 to 8000." }).waitFor();
  assert.equal(await page.getByLabel("Longest answer, tokens").inputValue(), "999999");
});

test("agents are shown with what they know, and changed", async () => {
  const [page] = await desk();
  await tab(page, "Agents");
  const first = page.locator(".list > li").filter({ hasText: "answers first" });
  assert.match(await first.innerText(), /Customer service[\s\S]*Knows: .*pricing/);
  await first.getByRole("link").click();
  await page.getByLabel("Kind of model").selectOption("best");
  await page.getByRole("group", { name: "What it knows" }).getByRole("checkbox").first().uncheck();
  const known = await page.getByRole("group", { name: "What it knows" }).getByRole("checkbox", { checked: true }).count();
  await press(page, "Save", "Saved.");
  await first.getByText("best model").waitFor();
  await first.getByRole("link").click();
  assert.equal(await page.getByRole("group", { name: "What it knows" }).getByRole("checkbox", { checked: true }).count(), known);
});

test("a key is sealed, paused and removed, and never shown", async () => {
  const [page] = await desk();
  await tab(page, "Models");
  await page.getByText("No provider yet.").waitFor();
  const form = page.locator("form").filter({ hasText: "Add a provider" });
  await form.getByLabel("API key").fill("sk-test-0123456789-wxyz");
  await form.getByRole("button").click();
  const row = page.locator(".list > li").first();
  await row.getByText("Key ending in wxyz").waitFor();
  assert.doesNotMatch(await page.content(), /0123456789/);
  await row.getByRole("button", { name: "Pause" }).click();
  await row.getByRole("button", { name: "Resume" }).waitFor();

  const other = page.locator("form").filter({ hasText: "Add another provider" });
  await other.getByLabel("Its name here").fill("Elsewhere");
  await other.getByLabel("API key").fill("sk-test-0123456789");
  await other.getByLabel("Base URL").fill("https://evil.example/v1");
  await other.getByLabel("Model", { exact: true }).fill("m");
  await other.getByLabel("Input price").fill("0.5");
  await other.getByLabel("Output price").fill("1");
  await other.getByRole("button").click();
  await other.getByText("has not listed its host").waitFor();

  page.once("dialog", (dialog) => dialog.accept());
  await row.getByRole("button", { name: "Remove" }).click();
  await page.getByText("No provider yet.").waitFor();
});

test("the budget is changed", async () => {
  const [page] = await desk();
  await tab(page, "Budget");
  await page.getByLabel("Dollars a day").fill("3.5");
  await press(page, "Save limits", "Saved.");
  await page.getByText("$0.00 of $3.50 spent today").waitFor();
  await page.reload();
  await page.getByText("$0.00 of $3.50 spent today").waitFor();
});

test("a lead left in the chat is there, is moved, and goes to a spreadsheet as text", async () => {
  const [page, owner] = await desk();
  const visitor = await visit(owner.url);
  await visitor.getByRole("button", { name: "Leave your number" }).click();
  await visitor.getByLabel("Your name").fill("=Vera Visitor");
  await visitor.getByLabel("Phone").fill("555 0100");
  await visitor.getByRole("button", { name: "Please call me back" }).click();
  await visitor.getByText("Thank you, =Vera Visitor.").first().waitFor();
  await tab(page, "Leads");
  const lead = page.locator(".list > li").first();
  assert.match(await lead.innerText(), /Vera Visitor[\s\S]*555 0100/);
  assert.doesNotMatch(await lead.innerText(), /Invalid/);
  await lead.getByLabel("Stage").selectOption({ index: 1 });
  await press(page, "Move", "Saved.");
  assert.equal(await lead.getByLabel("Stage").evaluate((stage) => stage.selectedIndex), 1);
  const file = await page.evaluate(() => fetch("/dashboard/leads/export").then((response) => response.text()));
  assert.match(file, /"'=Vera Visitor","555 0100"/);
});

test("a person takes over, answers, and hands back; the page follows what is said", async () => {
  const [page, owner] = await desk();
  const visitor = await conversation(owner);
  await tab(page, "Inbox");
  await page.getByRole("link", { name: "Do you fix leaks?" }).click();
  await press(page, "Take over", "Taken over");
  await visitor.getByLabel("Your question").fill("Is anybody there?");
  await visitor.getByRole("button", { name: "Send" }).click();
  // Without a reload.
  await page.locator("#thread").getByText("Is anybody there?").waitFor();
  await page.getByText("Waiting for a person").waitFor();
  await page.getByLabel("Your reply").fill("Olive here: we come at nine.");
  await press(page, "Send", "Sent.");
  await page.getByLabel("A note for your colleagues").fill("Has a cellar.");
  await press(page, "Save the note", "Noted.");
  await press(page, "Hand back to the assistant", "Handed back");
  // Nor does the visitor have to do anything, and sees who it is.
  await visitor.getByText("we come at nine").first().waitFor();
  await visitor.locator(".message .who").getByText("Olive").waitFor();
  await visitor.reload();
  await visitor.getByText("we come at nine").waitFor();
  assert.doesNotMatch(await visitor.content(), /cellar/);
  await press(page, "Close", "Closed.");
  await page.getByRole("link", { name: "‹ Inbox" }).click();
  await page.getByLabel("State").selectOption("closed");
  await page.getByRole("button", { name: "Search" }).click();
  await page.getByRole("link", { name: "Do you fix leaks?" }).waitFor();
  clean(page, owner.url);
});

test("without a script: sign in, edit an entry, set a budget, answer in the inbox", async () => {
  const owner = await company("plumbing");
  await conversation(owner);
  const page = await visit(`${owner.url}/dashboard/knowledge`, { javaScriptEnabled: false });
  await page.getByLabel("E-mail").fill(owner.email);
  await page.getByLabel("Password").fill(owner.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  // Where one wanted to be.
  await page.getByRole("heading", { level: 1, name: "Knowledge" }).waitFor();
  await page.locator(".list .name a").first().click();
  await page.getByRole("textbox", { name: "Answer" }).fill("Changed without a script.");
  await press(page, "Save", "Saved.");
  await page.getByText("Changed without a script.").waitFor();
  await tab(page, "Budget");
  await page.getByLabel("Dollars a day").fill("4.25");
  await press(page, "Save limits", "Saved.");
  await page.getByText("$0.00 of $4.25 spent today").waitFor();
  await page.getByLabel("Longest answer, tokens").fill("999999");
  await page.getByRole("button", { name: "Save limits" }).click();
  await page.getByRole("alert").filter({ hasText: "max_output_tokens takes 16 to 8000." }).waitFor();
  await page.getByRole("link", { name: "To the dashboard" }).click();
  await tab(page, "Inbox");
  await page.getByRole("link", { name: "Do you fix leaks?" }).click();
  await page.getByLabel("Your reply").fill("By hand.");
  await press(page, "Send", "Sent.");
  await page.locator("#thread .member").getByText("By hand.").waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("button", { name: "Sign in" }).waitFor();
});

test("another site's form changes nothing", async () => {
  const [page, owner] = await desk();
  const html = `<form method="post" action="${owner.url}/dashboard/budget"><input name="daily_limit_microusd:dollars" value="0"></form>
    <form method="post" action="${owner.url}/dashboard/sign-out"></form>`;
  const evil = createServer((_, response) => response.setHeader("content-type", "text/html").end(html)).listen(0, "127.0.0.1");
  try {
    // Of another site; and of a sibling host, which browsers take for the same site: they send it the cookie.
    for (const host of ["127.0.0.1", "evil.localhost"]) {
      for (const at of [0, 1]) {
        const tab = await page.context().newPage();
        await tab.goto(`http://${host}:${evil.address().port}/`);
        const [response] = await Promise.all([
          tab.waitForResponse((response) => response.url().startsWith(owner.url)),
          tab.evaluate((at) => document.forms[at].submit(), at),
        ]);
        assert.equal(response.status(), 403, host);
        await tab.close();
      }
    }
  } finally {
    evil.close();
  }
  await tab(page, "Budget");
  await page.getByText("$0.00 of $2.00 spent today").waitFor();
});

test("the office's lists are kept: one is added, changed and removed", async () => {
  const [page, owner] = await desk();
  await tab(page, "Office");
  await page.getByRole("link", { name: "Services and prices" }).click();
  await page.getByLabel("Short name").fill("robot-walk");
  const add = page.locator("form").filter({ has: page.getByRole("heading", { name: "Add" }) });
  await add.getByLabel("Name", { exact: true }).fill("Robot walking");
  await add.getByLabel("What it is").fill("We walk your robot.");
  await add.getByLabel("Price from").fill("12.5");
  await press(page, "Add", "Added.");
  const row = page.locator(".list > li").filter({ hasText: "Robot walking" });
  await row.locator("summary").click();
  assert.equal(await row.getByLabel("Price from").inputValue(), "12.50");
  await row.getByLabel("Price from").fill("13");
  await row.getByRole("button", { name: "Save" }).click();
  await page.getByRole("status").filter({ hasText: "Saved." }).waitFor();
  const site = await visit(owner.url);
  assert.match(await site.content(), /Robot walking[\s\S]*from \$13/);
  page.once("dialog", (dialog) => dialog.accept());
  await row.getByRole("button", { name: "Remove" }).click();
  await page.getByRole("status").filter({ hasText: "Removed." }).waitFor();
  assert.equal(await row.count(), 0);
});

test("a key is shown once, and a session elsewhere is ended", async () => {
  const [page, owner] = await desk();
  await tab(page, "API keys");
  await page.getByLabel("What it is for").fill("Our till");
  await page.getByRole("button", { name: "Make the key" }).click();
  const [key] = (await page.getByText(/^bk_/).innerText()).match(/^bk_\S{60,}$/);
  await tab(page, "API keys");
  await page.getByText(`Ends in ${key.slice(-4)}.`).waitFor();
  assert.doesNotMatch(await page.content(), new RegExp(key.slice(0, 40)));

  const elsewhere = await visit(`${owner.url}/dashboard`);
  await signIn(elsewhere, owner);
  await tab(page, "Security");
  const other = page.locator(".list > li").filter({ hasText: "Another browser" }).first();
  page.once("dialog", (dialog) => dialog.accept());
  await other.getByRole("button", { name: "End" }).click();
  await page.getByRole("status").filter({ hasText: "Ended." }).waitFor();
  await elsewhere.reload();
  await elsewhere.getByRole("button", { name: "Sign in" }).waitFor();
  await tab(page, "Audit log");
  await page.getByRole("cell", { name: "session ended" }).waitFor();
});

test("a reload keeps one signed in, signing out does not, nor does going back", async () => {
  const [page] = await desk();
  await page.reload();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("button", { name: "Sign in" }).waitFor();
  await page.reload();
  await page.getByRole("button", { name: "Sign in" }).waitFor();
  assert.deepEqual(await page.context().cookies(), []);
});

test("two companies in two tabs of one browser stay two", async () => {
  const [page, owner] = await desk();
  const other = await company("hvac", "Other hvac");
  const second = await page.context().newPage();
  await second.goto(`${other.url}/dashboard`);
  await second.getByRole("button", { name: "Sign in" }).waitFor();
  await signIn(second, other);
  for (const [tab, { name, url }] of [[page, owner], [second, other]]) {
    await tab.reload();
    assert.equal(await tab.locator(".side .brand").innerText().then((text) => text.includes(name)), true);
    assert.equal(new URL(tab.url()).origin, url);
  }
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("button", { name: "Sign in" }).waitFor();
  await second.reload();
  await second.getByRole("heading", { name: "Overview" }).waitFor();
});

test("what somebody writes is text on every page", async () => {
  const [page, owner] = await desk();
  const poison = `<img src=https://evil.example/y.png onerror="document.title='owned'"><script>document.title='owned'</script>`;
  await tab(page, "Knowledge");
  await addEntry(page, `Zebra? ${poison}`, poison);
  await find(page, "zebra");
  await page.getByText("1 entry").waitFor();
  await page.locator(".list .name a").first().click();
  assert.equal(await page.getByRole("textbox", { name: "Answer" }).inputValue(), poison);
  await conversation(owner, poison);
  await tab(page, "Inbox");
  await page.locator(".list .name a").first().click();
  await page.locator("#thread").getByText("onerror").first().waitFor();
  assert.doesNotMatch(await page.title(), /^owned/);
  assert.equal(await page.locator("main img, main script").count(), 0);
  clean(page, owner.url);
});

for (const colorScheme of ["light", "dark"]) {
  test(`nothing is in anybody's way, ${colorScheme}`, async () => {
    const owner = await company("dental-practice");
    await conversation(owner);
    const page = await visit(`${owner.url}/dashboard`, { colorScheme, bypassCSP: true });
    await accessible(page, "Sign in");
    await signIn(page, owner);
    for (const name of TABS) {
      await tab(page, name);
      await accessible(page, name);
    }
    await tab(page, "Inbox");
    await page.locator(".list .name a").first().click();
    await page.getByLabel("Your reply").fill("Hello.");
    await press(page, "Send", "Sent.");
    await page.waitForTimeout(100);
    await accessible(page, "Conversation");
    await tab(page, "Agents");
    await page.locator(".list .name a").first().click();
    await page.getByLabel("What it is told").waitFor();
    await accessible(page, "Agent");
    await tab(page, "Office");
    await page.getByRole("link", { name: "Services and prices" }).click();
    await page.locator("summary").first().click();
    await accessible(page, "Services");
  });
}

test("nothing is wider than the window, controls fit a thumb, and pages are small", async () => {
  const [page, owner] = await desk("dental-practice");
  await conversation(owner, "A question with averyveryveryveryveryveryveryveryveryveryveryveryveryverylongword?");
  const weights = {};
  for (const width of [360, 768, 1280]) {
    await page.setViewportSize({ width, height: 740 });
    for (const name of TABS) {
      await tab(page, name);
      await fits(page, `${name} at ${width} px`);
      assert.deepEqual(await page.evaluate(small), [], name);
      weights[name] = gzipSync(await page.content()).length;
    }
    await tab(page, "Inbox");
    await page.locator(".list .name a").first().click();
    await page.locator("#thread").waitFor();
    await fits(page, `A conversation at ${width} px`);
  }
  console.log("# gzip bytes of each page:", weights);
  assert.ok(Object.values(weights).every((weight) => weight <= 60_000));
});
