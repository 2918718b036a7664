// The dashboard: shows and changes a company through the JSON API. Whatever comes from it is put in as text.

const byId = (id) => document.getElementById(id);

// The access token is only in memory. The refresh token is in sessionStorage, so that a reload does not sign out: it
// goes with the tab, and it can be used once.
let access = null;
let renewing = null;
const REFRESH = "refresh_token";

function signed({ access_token, refresh_token }) {
  access = access_token;
  sessionStorage.setItem(REFRESH, refresh_token);
}

function forget() {
  access = null;
  sessionStorage.removeItem(REFRESH);
}

// One answer of the API. A token that has run out is renewed, once for all requests that find out at the same time.
async function api(method, path, body) {
  let response = await send(method, path, body);
  if (response.status === 401 && access) {
    renewing ??= renew().finally(() => (renewing = null));
    await renewing;
    response = await send(method, path, body);
    if (response.status === 401) leave();
  }
  return value(response);
}

async function renew() {
  const response = await send("POST", "/v1/token/refresh", { refresh_token: sessionStorage.getItem(REFRESH) });
  if (response.ok) signed(await response.json());
  else if (response.status < 500) forget();
  else await value(response);
}

function send(method, path, body) {
  const headers = {};
  if (access) headers.authorization = `Bearer ${access}`;
  if (body) headers["content-type"] = "application/json";
  return fetch(path, { method, headers, body: body && JSON.stringify(body) }).catch(() => {
    throw new Error("Bulkhead could not be reached. Check your connection and try again.");
  });
}

async function value(response) {
  if (response.status === 204) return null;
  const value = await response.json().catch(() => ({}));
  if (response.ok) return value;
  throw new Error(value.detail ?? "That did not work. Try again in a moment.");
}

// Elements ------------------------------------------------------------------------------------------------------

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const text = (tag, textContent, className = "") => make(tag, { textContent, className });
const button = (textContent, onclick, kind = "quiet") =>
  make("button", { type: "button", textContent, className: `button ${kind}`, onclick: guarded(onclick) });
const tags = (list) => make("div", { className: "tags" }, ...list.map((tag) => text("span", tag, "tag")));
const none = (sentence) => make("li", {}, text("p", sentence));
let told = 0;

// Says for a moment that something was done.
function say(sentence) {
  byId("status").textContent = sentence;
  clearTimeout(told);
  told = setTimeout(() => (byId("status").textContent = ""), 5_000);
}

function fail(problem, sentence) {
  problem.textContent = sentence;
  problem.hidden = !sentence;
}

// Runs something and tells what went wrong at the top of the view.
const guarded = (run) => async (...given) => {
  fail(byId("problem"), "");
  try {
    await run(...given);
  } catch (error) {
    fail(byId("problem"), error.message);
    byId("problem").scrollIntoView({ block: "nearest" });
  }
};

// A form that is sent by `run` and tells what went wrong beside its button.
function submits(form, run) {
  form.onsubmit = async (event) => {
    event.preventDefault();
    const problem = form.querySelector(".problem");
    const pressed = form.querySelector("[type=submit]");
    fail(problem, "");
    pressed.disabled = true;
    try {
      await run(Object.fromEntries(new FormData(form)), form);
    } catch (error) {
      fail(problem, error.message);
    }
    pressed.disabled = false;
  };
}

const dollars = (microusd) =>
  (microusd / 1e6).toLocaleString("en-US", {
    style: "currency",
    currency: "USD",
    maximumFractionDigits: microusd % 10_000 ? 4 : 2,
  });
const microusd = (dollars) => Math.round(Number(dollars) * 1e6);
const when = (stamp) => new Date(stamp.replace(" ", "T").replace(/([+-]\d\d)$/, "$1:00")).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });

// Views ---------------------------------------------------------------------------------------------------------

const views = { overview, knowledge, agents, providers, budget, leads };

const open = guarded(async () => {
  const name = location.hash.slice(1) in views ? location.hash.slice(1) : "overview";
  const view = document.querySelector(`[data-view=${name}]`);
  for (const section of document.querySelectorAll("[data-view]")) section.hidden = section !== view;
  for (const tab of byId("tabs").children) {
    if (tab.hash === `#${name}`) {
      tab.ariaCurrent = "page";
      byId("tabs").scrollLeft = tab.offsetLeft - 80;
    } else tab.ariaCurrent = null;
  }
  // What comes in late must not overwrite what somebody has begun to type.
  view.inert = true;
  await views[name]().finally(() => (view.inert = false));
});

async function overview() {
  const [company, today, { leads }, { providers }] = await Promise.all([
    api("GET", "/v1/company"),
    api("GET", "/v1/budget"),
    api("GET", "/v1/leads"),
    // A member who is no administrator does not see these.
    api("GET", "/v1/providers").catch(() => ({ providers: null })),
  ]);
  byId("me").textContent = `${company.you.name}, ${company.you.role}`;
  const figure = (label, figure, ...more) => make("li", { className: "card" }, text("p", label), text("p", figure, "figure"), ...more);
  byId("figures").replaceChildren(
    figure("Spent today", dollars(today.spent_microusd), meter(today), text("p", `of ${dollars(today.daily_limit_microusd)}`)),
    figure("Entries to confirm", String(company.entries_to_confirm), text("p", "prices and rules of your trade")),
    figure("Leads", String(leads.length), text("p", "people who left their number")),
    figure("Plan", company.plan[0].toUpperCase() + company.plan.slice(1), text("p", company.industry)),
  );
  const step = (done, sentence, href) =>
    make("li", { className: done ? "done" : "" }, make("a", { href, textContent: sentence }), done && text("span", "Done", "unseen"));
  byId("steps").replaceChildren(
    step(company.entries_to_confirm === 0, "Confirm the prices and rules that came with your industry", "#knowledge"),
    providers && step(providers.length > 0, "Add your model key, so that answers are worded for each question", "#providers"),
    step(false, "Ask your own assistant something, as a customer would", "/#chat"),
  );
}

function meter({ spent_microusd, daily_limit_microusd }) {
  return make("progress", { max: Math.max(1, daily_limit_microusd), value: spent_microusd, ariaLabel: "Spent of today's limit" });
}

let entries = [];
let shown = 40;

async function knowledge() {
  const [known, { categories }] = await Promise.all([api("GET", "/v1/knowledge"), api("GET", "/v1/knowledge/categories")]);
  entries = known.entries;
  const options = () => categories.map(({ slug, name }) => new Option(name, slug));
  const filter = byId("filter").category;
  const chosen = filter.value;
  filter.replaceChildren(new Option("All", ""), ...options());
  filter.value = chosen;
  byId("entry").querySelector("[name=category]").replaceChildren(...options());
  list();
}

function list() {
  const { text: wanted, category, confirm } = byId("filter");
  const words = wanted.value.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = entries.filter((entry) => {
    const whole = `${entry.question} ${entry.answer} ${entry.keywords}`.toLowerCase();
    return words.every((word) => whole.includes(word)) && (!category.value || entry.category === category.value) && (!confirm.checked || entry.to_confirm);
  });
  byId("count").textContent = fits.length === 1 ? "1 entry" : `${fits.length} entries`;
  byId("more").hidden = fits.length <= shown;
  byId("entries").replaceChildren(...fits.slice(0, shown).map(card));
}

function card(entry) {
  const confirmed = async () => {
    await api("PATCH", `/v1/knowledge/${entry.entry_id}`, { to_confirm: false });
    entry.to_confirm = false;
    say("Confirmed.");
    list();
  };
  const facts = tags([entry.category]);
  if (entry.to_confirm) facts.append(text("span", "to confirm", "tag call"));
  return make("li", {}, text("h2", entry.question), text("p", entry.answer, "answer"),
    make("div", { className: "row" }, facts, entry.to_confirm && button("Confirm", confirmed), button("Edit", () => edit(entry))));
}

function edit(entry) {
  const dialog = byId("entry");
  const form = dialog.querySelector("form");
  form.reset();
  fail(form.querySelector(".problem"), "");
  byId("entry-title").textContent = entry ? "Edit the entry" : "Add an entry";
  // An entry stays in its category: agents' scopes rest on it.
  form.category.disabled = Boolean(entry);
  byId("entry-remove").hidden = !entry;
  if (entry) for (const name of ["category", "question", "answer", "keywords"]) form[name].value = entry[name];
  submits(form, async (given) => {
    if (entry) await api("PATCH", `/v1/knowledge/${entry.entry_id}`, given);
    else await api("POST", "/v1/knowledge", given);
    dialog.close();
    await knowledge();
    say("Saved. The assistant knows it from the next question on.");
  });
  byId("entry-remove").onclick = async () => {
    if (!confirm(`Remove “${entry.question}”?`)) return;
    try {
      await api("DELETE", `/v1/knowledge/${entry.entry_id}`);
      dialog.close();
      await knowledge();
      say("Removed.");
    } catch (error) {
      fail(form.querySelector(".problem"), error.message);
    }
  };
  dialog.showModal();
  (entry ? form.question : form.category).focus();
}

async function agents() {
  const { agents } = await api("GET", "/v1/agents");
  const row = (agent) =>
    make("li", {}, text("h2", agent.name), text("p", agent.role),
      make("div", { className: "row" },
        make("div", { className: "tags" },
          agent.is_default && text("span", "answers first", "tag call"),
          !agent.enabled && text("span", "paused", "tag call"),
          text("span", `${agent.tier} model`, "tag"))),
      make("p", { className: "fine" }, agent.scope.length ? `Knows: ${agent.scope.join(", ")}` : "Knows nothing of the company yet."));
  byId("agent-list").replaceChildren(...agents.map(row));
}

async function providers() {
  const { providers: list } = await api("GET", "/v1/providers");
  const change = (provider, changes, done) => async () => {
    await api("PATCH", `/v1/providers/${provider.provider_id}`, changes);
    await providers();
    say(done);
  };
  const remove = (provider) => async () => {
    if (!confirm(`Remove ${provider.name} and its key? Answers then come from your knowledge alone.`)) return;
    await api("DELETE", `/v1/providers/${provider.provider_id}`);
    await providers();
    say("Removed.");
  };
  const row = (provider) =>
    make("li", {}, text("h2", provider.name), text("p", `Key ending in ${provider.last_four}${provider.base_url ? `, at ${provider.base_url}` : ""}`),
      make("div", { className: "row" },
        tags([...(provider.enabled ? [] : ["paused"]), ...provider.models.map(({ model }) => model)]),
        provider.enabled ? button("Pause", change(provider, { enabled: false }, "Paused.")) : button("Resume", change(provider, { enabled: true }, "Resumed.")),
        button("Remove", remove(provider), "danger")));
  byId("provider-list").replaceChildren(...(list.length ? list.map(row) : [none("No provider yet.")]));
}

const provider = byId("provider");
provider.kind.onchange = () => {
  const compatible = provider.kind.value === "compatible";
  byId("compatible").hidden = byId("compatible").disabled = !compatible;
  provider.elements.name.value = compatible ? "" : provider.kind.selectedOptions[0].text;
};
submits(provider, async ({ kind, name, api_key, base_url, model, tier, input, output, context }, form) => {
  const models = model && [{
    model,
    tier,
    input_microusd_per_mtok: microusd(input),
    output_microusd_per_mtok: microusd(output),
    context_tokens: Number(context),
  }];
  await api("POST", "/v1/providers", { kind, name, api_key, base_url, models });
  form.reset();
  form.kind.onchange();
  await providers();
  say("Saved.");
});

async function budget() {
  limits(await api("GET", "/v1/budget"));
}

function limits(today) {
  const form = byId("limits");
  form.daily.value = today.daily_limit_microusd / 1e6;
  form.max_output_tokens.value = today.max_output_tokens;
  form.visitor_turns_per_minute.value = today.visitor_turns_per_minute;
  byId("spent").replaceChildren(
    text("h2", `${dollars(today.spent_microusd)} of ${dollars(today.daily_limit_microusd)} spent today`),
    meter(today),
    text("p", `${today.day}, UTC. Model calls only; answers from your knowledge cost nothing.`, "fine"),
  );
}

submits(byId("limits"), async ({ daily, max_output_tokens, visitor_turns_per_minute }) => {
  limits(await api("PATCH", "/v1/budget", {
    daily_limit_microusd: microusd(daily),
    max_output_tokens: Number(max_output_tokens),
    visitor_turns_per_minute: Number(visitor_turns_per_minute),
  }));
  say("Saved. The next answer keeps to it.");
});

async function leads() {
  const { leads } = await api("GET", "/v1/leads");
  const link = (scheme, to) => to && make("a", { className: "button quiet", href: `${scheme}:${encodeURIComponent(to)}`, textContent: to });
  const row = (lead) =>
    make("li", {}, text("h2", lead.name), lead.message && text("p", `“${lead.message}”`),
      make("div", { className: "row" }, link("tel", lead.phone), link("mailto", lead.email), text("span", when(lead.created_at), "fine")));
  byId("lead-list").replaceChildren(...(leads.length ? leads.map(row) : [none("Nobody yet. When the assistant does not know an answer, it asks for a number, and it appears here.")]));
}

// Signing in and out --------------------------------------------------------------------------------------------

function show(inside) {
  byId("desk").hidden = !inside;
  byId("door").hidden = inside;
}

function leave() {
  forget();
  byId("entry").close();
  show(false);
}

submits(byId("login"), async ({ email, password }, form) => {
  signed(await api("POST", "/v1/login", { email, password }));
  form.reset();
  show(true);
  await open();
  byId("view").focus();
});

byId("logout").onclick = guarded(async () => {
  await api("POST", "/v1/logout");
  leave();
});

byId("filter").oninput = () => {
  shown = 40;
  list();
};
byId("filter").onsubmit = (event) => event.preventDefault();
byId("more").onclick = () => {
  shown += 100;
  list();
};
byId("entry-add").onclick = () => edit(null);
byId("entry-close").onclick = () => byId("entry").close();
addEventListener("hashchange", () => access && open());

if (sessionStorage.getItem(REFRESH)) {
  await renew().catch((error) => fail(byId("login").querySelector(".problem"), error.message));
}
show(Boolean(access));
if (access) open();
