// From signing up to a colleague who is invited, and a password that is forgotten: by the mails that the stand catches.

import assert from "node:assert/strict";
import { createHmac, randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { after, before, test } from "node:test";
import { accessible, browser, clean, company, fits, link, mail, password, press, root, signIn, tab, trade, visit } from "./stand.mjs";

before(() => mkdirSync("target/screenshots", { recursive: true }));
after(() => browser.close());

const NEW = "a newer password than before";

/** A picture of what somebody sees now. */
async function picture(page, name) {
  await page.screenshot({ path: `target/screenshots/accounts-${name}.png`, fullPage: true });
}

/** The code that an app shows now, or so many steps later (RFC 6238). */
function code(secret, ahead = 0) {
  const bits = [...secret].map((letter) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(letter).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => Number.parseInt(byte, 2)));
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + ahead));
  const digest = createHmac("sha1", key).update(step).digest();
  return String((digest.readUInt32BE(digest.at(-1) & 15) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

test("sign up, confirm the address, invite a colleague, and choose a new password", async () => {
  const unique = randomBytes(4).toString("hex");
  const email = `olive@${unique}.example`;
  const page = await visit(root);
  await page.getByLabel("Company name").fill(`Olive ${unique}`);
  await trade(page, "Florist");
  await page.getByLabel("Your name").fill("Olive Owner");
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Create my site" }).click();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  const url = new URL(page.url()).origin;

  // The address is confirmed by the mail's link; the page of all mails has it as well.
  await page.getByText("Confirm your e-mail address.").waitFor();
  await picture(page, "overview");
  const caught = await visit(process.env.MAIL_PAGE);
  const found = caught.getByRole("link", { name: new RegExp(`^${url}/dashboard/sign-in/email`) });
  assert.equal(await found.first().getAttribute("href"), link(await mail(email)));
  await page.goto(link(await mail(email)));
  await page.getByRole("button", { name: "Yes, confirm it" }).click();
  await page.getByText("Your address is confirmed.").waitFor();
  await page.goto(`${url}/dashboard`);
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  assert.equal(await page.getByText("Confirm your e-mail address.").count(), 0);

  // A colleague.
  await tab(page, "Team");
  const nora = `nora@${unique}.example`;
  await page.getByLabel("E-mail").fill(nora);
  await page.getByLabel("What they will be").selectOption("admin");
  await press(page, "Invite", "Invited");
  await page.locator(".list > li").filter({ hasText: nora }).getByText("admin").waitFor();
  await picture(page, "team");
  const colleague = await visit(link(await mail(nora)));
  await colleague.getByLabel("Your name").fill("Nora New");
  await colleague.getByLabel("Password").fill("short");
  await colleague.getByRole("button", { name: "Accept the invitation" }).click();
  await colleague.getByRole("alert").filter({ hasText: "10 to 200 characters" }).waitFor();
  assert.equal(await colleague.getByLabel("Your name").inputValue(), "Nora New");
  await colleague.getByLabel("Password").fill(password);
  await colleague.getByRole("button", { name: "Accept the invitation" }).click();
  await colleague.getByText("Welcome.").waitFor();
  await signIn(colleague, { email: nora, password });
  await tab(page, "Team");
  await page.getByText("Nora New").waitFor();
  await page.getByText("None waits.").waitFor();

  // The colleague forgets the password; whoever was signed in with it is not any more.
  const forgot = await visit(`${url}/dashboard/sign-in`);
  await forgot.getByRole("link", { name: "I forgot my password" }).click();
  await forgot.getByLabel("E-mail").fill(nora);
  await forgot.getByRole("button", { name: "Mail me a link" }).click();
  await forgot.getByRole("heading", { name: "Look at your mail" }).waitFor();
  const reset = link(await mail(nora, 2));
  await forgot.goto(reset);
  await forgot.getByLabel("Password").fill(NEW);
  await forgot.getByRole("button", { name: "Save the password" }).click();
  await forgot.getByText("Your new password holds.").waitFor();
  await signIn(forgot, { email: nora, password: NEW });
  await colleague.reload();
  await colleague.getByRole("button", { name: "Sign in" }).waitFor();
  const used = await visit(reset);
  await used.getByRole("heading", { name: "This link has ended" }).waitFor();
  await used.getByRole("link", { name: "Ask for a new link" }).waitFor();
  for (const each of [page, forgot, used]) assert.deepEqual(each.complaints.filter((line) => !line.includes("400")), []);
});

test("an app's codes are turned on, asked for, and turned off", async () => {
  const owner = await company("hvac");
  const page = await visit(`${owner.url}/dashboard`);
  await signIn(page, owner);
  await tab(page, "Security");
  const on = page.locator("form").filter({ hasText: "Turn it on" });
  await on.getByLabel("Your password").fill(password);
  await on.getByRole("button", { name: "Begin" }).click();
  await page.getByRole("heading", { name: "Set up your app" }).waitFor();
  const address = await page.getByRole("link", { name: "Open it in an app on this phone" }).getAttribute("href");
  const secret = new URL(address).searchParams.get("secret");
  await page.getByRole("img", { name: "The key as a QR code" }).waitFor();
  await page.getByText(secret.match(/.{4}/g).join(" ")).waitFor();
  await picture(page, "app");
  await page.getByLabel("The code that the app shows now").fill(code(secret));
  await page.getByRole("button", { name: "Turn it on" }).click();
  await page.getByRole("heading", { name: "Two-step sign-in is on" }).waitFor();
  const codes = await page.locator(".list .name").allInnerTexts();
  assert.equal(codes.length, 8);
  await page.getByRole("button", { name: "Sign out" }).click();

  await page.getByLabel("E-mail").fill(owner.email);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "One more step" }).waitFor();
  assert.deepEqual(await page.context().cookies(), []);
  await page.getByLabel("Code").fill("000000");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("alert").filter({ hasText: "The code is wrong" }).waitFor();
  await page.getByLabel("Code").fill(code(secret, 1));
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Overview" }).waitFor();

  await tab(page, "Security");
  const off = page.locator("form").filter({ hasText: "Turn it off" });
  await off.getByLabel("Your password").fill(password);
  await off.getByLabel("Code").fill(codes[0]);
  page.once("dialog", (dialog) => dialog.accept());
  await off.getByRole("button", { name: "Turn it off" }).click();
  await page.getByRole("status").filter({ hasText: "Two-step sign-in is off." }).waitFor();
  clean({ complaints: page.complaints.filter((line) => !line.includes("401")), asked: page.asked }, owner.url);
});

for (const colorScheme of ["light", "dark"]) {
  test(`no page of an account is in anybody's way, ${colorScheme}`, async () => {
    const owner = await company("hvac");
    const page = await visit(`${owner.url}/dashboard/sign-in/reset`, { colorScheme, bypassCSP: true, viewport: { width: 360, height: 740 } });
    const look = async (name) => {
      await accessible(page, name);
      await fits(page, name);
      await picture(page, `${name}-${colorScheme}`);
    };
    await look("reset");
    await page.getByLabel("E-mail").fill(owner.email);
    await page.getByRole("button", { name: "Mail me a link" }).click();
    await page.getByRole("heading", { name: "Look at your mail" }).waitFor();
    await look("asked");
    await page.goto(link(await mail(owner.email, 2)));
    await look("password");
    await page.goto(`${owner.url}/dashboard/sign-in/email?token=ended`);
    await look("ended");
    await page.goto(`${owner.url}/dashboard`);
    await signIn(page, owner);
    await tab(page, "Team");
    await page.getByLabel("E-mail").fill(`nora@${owner.slug}.example`);
    await press(page, "Invite", "Invited");
    await look("team");
    const invited = link(await mail(`nora@${owner.slug}.example`));
    await tab(page, "Security");
    await look("security");
    await page.locator("form").filter({ hasText: "Turn it on" }).getByLabel("Your password").fill(password);
    await page.getByRole("button", { name: "Begin" }).click();
    await page.getByRole("heading", { name: "Set up your app" }).waitFor();
    await look("app");
    await page.goto(invited);
    await look("invitation");
  });
}
