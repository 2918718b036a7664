// The dashboard's pages by which a company is set up: the site's editor, the chat's settings, agents on trial, hours, lists.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { after, test } from "node:test";
import { gzipSync } from "node:zlib";
import { accessible, ask, browser, clean, company, desk, fits, press, signIn, small, tab, visit } from "./stand.mjs";

after(() => browser.close());

mkdirSync("target/screenshots", { recursive: true });

/** The frame in which a preview is. */
const preview = (page) => page.frameLocator("iframe.preview:not([hidden])");

test("a page is written beside what visitors will see of it, and only then saved", async () => {
  const [page, owner] = await desk();
  await tab(page, "Website");
  const front = page.locator("section").filter({ hasText: "Front page" }).first().locator(".name a").first();
  await front.click();
  // Its own look, with the company's services, before anything is pressed.
  await preview(page).getByRole("heading", { name: "Services and prices" }).waitFor();
  await page.getByLabel("Title").fill("We mend what leaks");
  await page.getByLabel("Text").fill("# At night too\n- By **Olive** herself\n<b>as written</b>");
  await preview(page).getByRole("heading", { level: 1, name: "We mend what leaks" }).waitFor();
  await preview(page).getByRole("heading", { name: "At night too" }).waitFor();
  await preview(page).getByText("<b>as written</b>").waitFor();
  assert.equal(await preview(page).locator("script").count(), 0);
  assert.match(await page.locator(".count").innerText(), /^5\d of 20000 characters$/);
  assert.doesNotMatch(await (await visit(owner.url)).content(), /We mend what leaks/);
  await press(page, "Save", "Saved.");
  assert.match(await (await visit(owner.url)).content(), /We mend what leaks[\s\S]*At night too/);
  // Going back leads to the page before, and not through the previews.
  await page.goBack();
  assert.match(page.url(), /\/dashboard\/site\/[-0-9a-f]{36}$/);
  clean(page, owner.url);
});

test("a page is added, moved, hidden and removed", async () => {
  const [page, owner] = await desk();
  await tab(page, "Website");
  await page.getByLabel("Short name").fill("our-team");
  await page.getByLabel("Title").fill("Our team");
  await page.getByLabel("Text").fill("Olive and Otto.");
  await page.getByRole("button", { name: "Preview" }).click();
  await preview(page).getByRole("heading", { level: 1, name: "Our team" }).waitFor();
  await press(page, "Add", "Added.");
  const titles = () => page.locator("section").filter({ hasText: "Pages in the menu" }).locator(".name").allInnerTexts();
  const before = await titles();
  const row = page.locator(".list > li").filter({ hasText: "Our team" });
  await row.getByRole("button", { name: "Move up" }).click();
  await page.getByRole("status").filter({ hasText: "Saved." }).waitFor();
  const after = await titles();
  assert.equal(after.indexOf("Our team"), before.indexOf("Our team") - 1);
  await row.getByRole("button", { name: "Hide" }).click();
  await row.getByText("hidden").waitFor();
  const visitor = await visit(owner.url);
  assert.equal((await visitor.goto(`${owner.url}/pages/our-team`)).status(), 404);
  await row.getByRole("button", { name: "Show" }).click();
  await row.getByRole("button", { name: "Hide" }).waitFor();
  assert.equal((await visitor.goto(`${owner.url}/pages/our-team`)).status(), 200);
  await row.getByRole("link", { name: "Our team" }).click();
  page.once("dialog", (dialog) => dialog.accept());
  await press(page, "Remove the page", "Removed.");
  assert.equal(await row.count(), 0);
});

test("the chat is seen with its settings before they are saved, and sends nothing there", async () => {
  const [page, owner] = await desk();
  await tab(page, "Chat widget");
  const frame = preview(page);
  const bubble = frame.getByRole("button", { name: /Chat/ });
  await bubble.waitFor();
  assert.equal(await frame.locator(".corner").getAttribute("class"), "corner right");
  await page.getByLabel("The button is at").selectOption("left");
  await frame.locator(".corner.left").waitFor();
  await page.getByLabel("Your colour").fill("#ffee00");
  await page.getByLabel("Its first words").fill("Ahoy from the preview!");
  await page.waitForTimeout(900);
  await frame.locator(".corner.left").waitFor();
  await page.locator("iframe.preview:not([hidden])").scrollIntoViewIfNeeded();
  await bubble.click();
  await frame.getByText("Ahoy from the preview!").waitFor();
  // What is written on the brand's colour can be read.
  const colours = await bubble.evaluate((button) => [getComputedStyle(button).backgroundColor, getComputedStyle(button).color]);
  assert.deepEqual(colours, ["rgb(255, 238, 0)", "rgb(0, 0, 0)"]);
  await frame.getByLabel("Your question").fill("Is anybody there?");
  await frame.getByRole("button", { name: "Send" }).click();
  await page.waitForTimeout(500);
  assert.deepEqual(page.asked.filter((address) => /v1\/(chat|visitor)/.test(address)), []);
  const now = await visit(owner.url);
  assert.doesNotMatch(await now.content(), /Ahoy/);
  await press(page, "Save", "Saved.");
  await tab(page, "Inbox");
  await page.getByText("No conversation here.").waitFor();
});

test("the snippet is copied with a press", async () => {
  const [page, owner] = await desk();
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"], { origin: owner.url });
  await tab(page, "Chat widget");
  await page.getByRole("button", { name: "Copy" }).click();
  await page.getByRole("button", { name: "Copied" }).waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), `<script src="${owner.url}/widget.js" async></script>`);
});

test("an agent is added and tried by keyboard alone, and nobody finds that in the inbox", async () => {
  const [page, owner] = await desk();
  await tab(page, "Agents");
  const type = async (label, text) => {
    await page.getByLabel(label, { exact: true }).first().focus();
    await page.keyboard.type(text);
  };
  await page.getByLabel("Short name").focus();
  await page.keyboard.type("night-desk");
  await type("Name", "Night desk");
  await page.getByLabel("What it is there for").focus();
  await page.keyboard.type("the one who is awake");
  await page.getByLabel("What it is told").focus();
  await page.keyboard.type("Be brief.");
  await page.getByRole("group", { name: "What it knows" }).getByRole("checkbox").first().focus();
  await page.keyboard.press("Space");
  await page.getByRole("button", { name: "Add", exact: true }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("status").filter({ hasText: "Added." }).waitFor();
  await page.getByRole("link", { name: "Night desk" }).focus();
  await page.keyboard.press("Enter");
  await page.getByLabel("Your question").waitFor();
  assert.equal(await page.getByRole("group", { name: "What it knows" }).getByRole("checkbox", { checked: true }).count(), 1);
  await page.getByLabel("Your question").focus();
  await page.keyboard.type("Do you fix leaks?");
  await page.getByRole("button", { name: "Ask" }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "The agent" }).waitFor();
  await page.getByText(/of \$2\.00 spent today/).waitFor();
  await page.getByLabel("Your question").fill("And how soon?");
  await page.getByRole("button", { name: "Ask" }).click();
  await page.locator(".list .body").nth(3).waitFor();
  await tab(page, "Inbox");
  await page.getByText("No conversation here.").waitFor();
  clean(page, owner.url);
});

test("hours, closed days, contexts, stages and notifications are set", async () => {
  const [page, owner] = await desk();
  await tab(page, "Hours");
  await page.getByLabel("Sunday from", { exact: true }).fill("10:00");
  await page.getByLabel("Sunday to", { exact: true }).fill("11:30");
  await press(page, "Save", "Saved.");
  assert.equal(await page.getByLabel("Sunday to", { exact: true }).inputValue(), "11:30");
  assert.match(await (await visit(owner.url)).locator(".hours").innerText(), /Sunday\s+10 AM – 11:30 AM/);
  await page.getByLabel("Day", { exact: true }).fill("2031-05-05");
  await page.getByLabel("Why, such as").fill("Outing");
  await press(page, "Add", "Added.");
  const outing = page.locator(".list > li").filter({ hasText: "Outing" });
  await outing.getByRole("button").click();
  await page.getByRole("status").filter({ hasText: "Removed." }).waitFor();
  assert.equal(await outing.count(), 0);

  await tab(page, "Contexts");
  const voice = page.locator(".list > li").filter({ hasText: "How you write" });
  await voice.locator("summary").click();
  await voice.getByLabel("Text").fill("Short words.");
  assert.equal(await voice.locator(".count").innerText(), "12 of 8000 characters");
  await voice.getByRole("button", { name: "Save" }).click();
  await page.getByRole("status").filter({ hasText: "Saved." }).waitFor();
  await voice.getByText("Short words.").first().waitFor();

  await tab(page, "Office");
  await page.getByRole("link", { name: "Stages of a lead" }).click();
  await page.getByLabel("Short name").fill("on-hold");
  await page.locator("form.card").getByLabel("Name", { exact: true }).fill("On hold");
  await press(page, "Add", "Added.");
  await page.locator(".list > li").filter({ hasText: "On hold" }).getByText("0 leads").waitFor();

  await tab(page, "Notifications");
  const first = page.locator(".list > li").first();
  const was = await first.locator(".tag").first().innerText();
  await first.locator("summary").click();
  await first.getByLabel("Tell of it").click();
  await first.getByRole("button", { name: "Save" }).click();
  await page.getByRole("status").filter({ hasText: "Saved." }).waitFor();
  assert.notEqual(await first.locator(".tag").first().innerText(), was);
});

test("the checklist says what is left, and leads to where it is set", async () => {
  const [page] = await desk();
  await tab(page, "Checklist");
  const count = async () => Number.parseInt(await page.getByRole("heading", { name: /^\d+ of \d+ done$/ }).innerText(), 10);
  const before = await count();
  await page.getByLabel("Phone number").fill("555 0100");
  await page.locator(".list > li").filter({ hasText: "Phone number" }).getByRole("button", { name: "Confirm" }).click();
  await page.getByRole("status").filter({ hasText: "Saved." }).waitFor();
  await page.getByRole("heading", { name: `${before + 1} of` }).waitFor();
  await page.locator("section").filter({ has: page.getByRole("heading", { name: "Prices to confirm" }) }).getByRole("button", { name: "Confirm" }).first().click();
  await page.getByRole("heading", { name: `${before + 2} of` }).waitFor();
  await page.getByRole("link", { name: "Check opening hours and holidays" }).click();
  await page.getByRole("heading", { level: 1, name: "Opening hours" }).waitFor();
});

test("a lead has a page of its own, with what was said and notes", async () => {
  const [page, owner] = await desk();
  const visitor = await visit(owner.url);
  await ask(visitor, "Do you fix leaks?");
  await visitor.getByRole("button", { name: "Leave your number" }).click();
  await visitor.getByLabel("Your name").fill("Vera Visitor");
  await visitor.getByLabel("Phone").fill("555 0100");
  await visitor.getByRole("button", { name: "Please call me back" }).click();
  await visitor.getByText("Thank you, Vera Visitor.").first().waitFor();
  await tab(page, "Leads");
  await page.getByRole("link", { name: "Vera Visitor" }).click();
  await page.getByRole("heading", { level: 1, name: "Vera Visitor" }).waitFor();
  await page.getByText("Do you fix leaks?").first().waitFor();
  await page.getByLabel("A note for your colleagues").fill("Has a cellar.");
  await press(page, "Save the note", "Noted.");
  await page.getByText("Has a cellar.").waitFor();
  await page.getByRole("heading", { level: 1, name: "Vera Visitor" }).waitFor();
  await page.getByRole("link", { name: "Answer in the inbox" }).click();
  await page.getByLabel("Your reply").waitFor();
});

test("without a script: a page with its preview, hours, an agent on trial, the menu; two presses are one", async () => {
  const owner = await company("plumbing");
  const page = await visit(`${owner.url}/dashboard/site`, { javaScriptEnabled: false, viewport: { width: 360, height: 740 } });
  await page.getByLabel("E-mail").fill(owner.email);
  await page.getByLabel("Password").fill(owner.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByLabel("Short name").fill("by-hand");
  await page.getByLabel("Title").fill("By hand");
  await page.getByLabel("Text").fill("Without a script.");
  await page.getByRole("button", { name: "Preview" }).click();
  await preview(page).getByRole("heading", { level: 1, name: "By hand" }).waitFor();
  await page.getByRole("button", { name: "Add", exact: true }).dblclick();
  await page.getByRole("status").filter({ hasText: "Added." }).waitFor();
  assert.equal(await page.getByRole("link", { name: "By hand" }).count(), 1);
  // The same for what has no name that could be taken already.
  await tab(page, "Knowledge");
  await page.getByLabel("Question", { exact: true }).fill("Do you repair pinball machines?");
  await page.getByLabel("Answer", { exact: true }).fill("Yes.");
  await page.getByRole("button", { name: "Add", exact: true }).dblclick();
  await page.getByRole("status").filter({ hasText: "Added." }).waitFor();
  await page.getByLabel("Look for").fill("pinball");
  await page.getByRole("button", { name: "Search" }).click();
  await page.getByText("1 entry", { exact: true }).waitFor();
  await tab(page, "Hours");
  await page.getByLabel("Sunday from", { exact: true }).fill("10:00");
  await page.getByLabel("Sunday to", { exact: true }).fill("11:30");
  await press(page, "Save", "Saved.");
  assert.equal(await page.getByLabel("Sunday from", { exact: true }).inputValue(), "10:00");
  await tab(page, "Agents");
  await page.locator(".list .name a").first().click();
  await page.getByLabel("Your question").fill("Do you fix leaks?");
  await page.getByRole("button", { name: "Ask" }).click();
  await page.getByRole("heading", { name: "The agent" }).waitFor();
});

const PAGES = [
  ["/dashboard/site", "Website"], ["/dashboard/hours", "Hours"], ["/dashboard/contexts", "Contexts"], ["/dashboard/checklist", "Checklist"],
  ["/dashboard/plan", "Plan"], ["/dashboard/notifications", "Notifications"], ["/dashboard/pipeline", "Stages"], ["/dashboard/labels", "Labels"],
  ["/dashboard/follow-ups", "Following up"], ["/dashboard/appointment-types", "Appointments"], ["/dashboard/services", "Services"],
  ["/dashboard/widget-settings", "Chat widget"],
];

for (const [width, colorScheme] of [[360, "light"], [768, "dark"], [1280, "light"]]) {
  test(`nothing is in anybody's way, too wide or too small at ${width} px, ${colorScheme}`, async () => {
    const owner = await company("dental-practice");
    const page = await visit(`${owner.url}/dashboard`, { colorScheme, bypassCSP: true, viewport: { width, height: 740 } });
    await signIn(page, owner);
    const weights = {};
    const look = async (where) => {
      await fits(page, `${where} at ${width} px`);
      assert.deepEqual(await page.evaluate(small), [], where);
      await accessible(page, `${where} at ${width} px`);
      weights[where] = gzipSync(await page.content()).length;
      await page.screenshot({ path: `target/screenshots/desk-${where.replaceAll(" ", "-")}-${width}.jpg`, type: "jpeg", quality: 82 });
    };
    if (width < 1024) {
      await page.getByRole("button", { name: "Menu", exact: true }).click();
      await page.getByRole("link", { name: "Notifications" }).waitFor();
      await look("Menu");
    }
    for (const [address, name] of PAGES) {
      await page.goto(owner.url + address);
      for (const summary of await page.locator("main summary").all().then((all) => all.slice(0, 1))) await summary.click();
      if (name === "Chat widget") await preview(page).getByRole("button", { name: /Chat/ }).waitFor();
      await look(name);
    }
    await page.goto(`${owner.url}/dashboard/site`);
    await page.locator(".name a").first().click();
    await preview(page).locator("h1").waitFor();
    await look("A page of the site");
    await tab(page, "Agents");
    await page.locator(".list .name a").first().click();
    await page.getByLabel("Your question").fill("Do you take walk-ins?");
    await page.getByRole("button", { name: "Ask" }).click();
    await page.getByRole("heading", { name: "The agent" }).waitFor();
    await look("An agent on trial");
    console.log(`# gzip bytes of each page at ${width} px:`, weights);
    assert.ok(Object.values(weights).every((weight) => weight <= 60_000));
  });
}
