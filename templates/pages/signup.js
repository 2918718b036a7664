// Signing up on the platform's page: the form works without this; with it the address and the industry are easier to find,
// and what is wrong is said without losing anything. On the page after that it goes on by itself.

document.getElementById("arrival")?.submit();
const form = document.getElementById("form");
if (form) signup();

function signup() {
  const { company, slug, industry, key } = form.elements;
  const button = form.querySelector("button[type=submit]");
  const state = document.getElementById("slug-state");
  const others = document.getElementById("slug-others");

  // What is wrong, beside the field that it is about; beside the heading where it is about none.
  const wrong = (field, sentence) => {
    const problem = document.getElementById(`${field}-wrong`) ?? document.getElementById("-wrong");
    problem.textContent = sentence;
    problem.hidden = !sentence;
    const control = field === "industry" ? search : form.elements[field];
    if (!control?.setAttribute) return;
    if (sentence) control.setAttribute("aria-invalid", "true");
    else control.removeAttribute("aria-invalid");
    if (sentence) control.focus();
  };

  // An address from a name: "Söhne & Co. Plumbing" becomes sohne-and-co-plumbing.
  const suggest = (name) =>
    name.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase().replaceAll("&", " and ").replaceAll(/['’.]/g, "")
      .replaceAll(/[^a-z0-9]+/g, "-").replace(/^[^a-z]+/, "").slice(0, 40).replace(/-+$/, "");

  // The address follows the name until somebody writes one; whether it is free is asked when nobody types.
  let own = slug.value !== "", timer, asked = 0;
  const look = () => {
    clearTimeout(timer);
    state.textContent = "";
    timer = setTimeout(ask, 300);
  };
  async function ask() {
    const [wanted, turn] = [slug.value, ++asked];
    if (wanted.length < 3 || !slug.validity.valid) return;
    const free = async (name) => {
      const query = new URLSearchParams({ name, industry: industry.value });
      const response = await fetch(`/v1/slugs?${query}`).catch(() => null);
      return response?.ok ? (await response.json()).slugs : [];
    };
    const [mine, more] = await Promise.all([free(wanted), own && company.value.trim() ? free(company.value) : []]);
    // Somebody has typed on, or the server did not answer.
    if (turn !== asked || wanted !== slug.value || !mine.length) return;
    const taken = !mine.includes(wanted);
    if (taken && !own) {
      slug.value = mine[0];
      return ask();
    }
    state.textContent = taken ? `${wanted} is taken.` : `${wanted} is free.`;
    state.className = `state ${taken ? "taken" : "free"}`;
    const rest = [...new Set([...more, ...mine])].filter((other) => other !== wanted).slice(0, 3);
    others.hidden = !taken || !rest.length;
    others.replaceChildren("Free are:", ...rest.map((other) => {
      const choice = document.createElement("button");
      choice.type = "button";
      choice.textContent = other;
      choice.onclick = () => {
        [slug.value, own] = [other, true];
        wrong("slug", "");
        others.hidden = true;
        slug.focus();
        look();
      };
      return choice;
    }));
  }
  company.oninput = () => {
    if (!own) slug.value = suggest(company.value);
    wrong("company", "");
    look();
  };
  slug.oninput = () => {
    own = slug.value !== "";
    slug.value = slug.value.toLowerCase().replaceAll(" ", "-");
    wrong("slug", "");
    look();
  };

  const search = combobox(industry, document.getElementById("summary"), () => wrong("industry", ""));

  // The same form sent again is the same request: a lost answer makes no second company.
  let sent = "";
  form.onsubmit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    for (const problem of form.querySelectorAll(".problem:not([hidden])")) wrong(problem.id.replace(/-wrong$/, ""), "");
    const fields = Object.fromEntries(new FormData(form));
    delete fields.key;
    const body = JSON.stringify(fields);
    if (sent && body !== sent) key.value = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    sent = body;
    try {
      const headers = { "content-type": "application/json", "idempotency-key": key.value };
      const response = await fetch("/v1/signup", { method: "POST", headers, body });
      // The company is there. The form goes the way it goes without a script, which finds it and leads on.
      if (response.ok) return form.submit();
      const problem = await response.json().catch(() => ({}));
      wrong(problem.field ?? "", problem.detail ?? "That did not work. Try again in a moment.");
      if (problem.field === "slug") ask();
    } catch {
      wrong("", "Bulkhead could not be reached. Check your connection and try again.");
    }
    button.disabled = false;
  };
}

// A list to choose from that narrows while one types, after the pattern "editable combobox with list autocomplete"
// (https://www.w3.org/WAI/ARIA/apg/patterns/combobox/). The select stays, out of sight, and holds what was chosen.
function combobox(select, summary, chosen) {
  const choices = [...select.options].filter((option) => option.value);
  const input = document.createElement("input");
  const list = document.createElement("ul");
  const set = (element, values) => Object.entries(values).forEach(([name, value]) => element.setAttribute(name, value));
  set(input, {
    id: "industry-search", role: "combobox", autocomplete: "off", "aria-autocomplete": "list", "aria-expanded": "false",
    "aria-controls": "industry-options", "aria-describedby": "industry-wrong summary", required: "", placeholder: "Type to search",
  });
  set(list, { id: "industry-options", role: "listbox", "aria-label": "Industries", class: "options", hidden: "" });
  document.getElementById("industry-label").htmlFor = input.id;
  select.hidden = true;
  select.required = false;
  select.before(input, list);

  let shown = [], at = -1;
  const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
  const mark = (to) => {
    at = to;
    [...list.children].forEach((item, n) => item.setAttribute("aria-selected", String(n === at)));
    if (at < 0) return input.removeAttribute("aria-activedescendant");
    input.setAttribute("aria-activedescendant", list.children[at].id);
    list.children[at].scrollIntoView({ block: "nearest" });
  };
  const open = (wanted) => {
    if (list.hidden === !wanted) return;
    list.hidden = !wanted;
    input.setAttribute("aria-expanded", String(wanted));
    if (!wanted) mark(-1);
  };
  const narrow = (text) => {
    const words = plain(text).split(/\s+/).filter(Boolean);
    shown = choices.filter((choice) => words.every((word) => plain(`${choice.text} ${choice.value} ${choice.dataset.summary}`).includes(word)));
    // Those whose name begins so come first.
    shown.sort((a, b) => plain(b.text).startsWith(words[0] ?? "") - plain(a.text).startsWith(words[0] ?? ""));
    list.replaceChildren(...shown.map((choice, n) => {
      const item = document.createElement("li");
      set(item, { id: `industry-option-${n}`, role: "option", "aria-selected": "false" });
      const small = document.createElement("small");
      small.textContent = choice.dataset.summary;
      item.append(choice.text, small);
      item.onpointerdown = (event) => event.preventDefault();
      item.onclick = () => choose(choice);
      return item;
    }));
    mark(-1);
    open(shown.length > 0);
  };
  const choose = (choice) => {
    select.value = choice?.value ?? "";
    if (choice) input.value = choice.text;
    input.setCustomValidity(choice || !input.value ? "" : "Choose one of the list.");
    summary.textContent = choice?.dataset.summary ?? "";
    if (choice) open(false);
    chosen();
  };
  // A name that is written in full is chosen.
  const typed = () => choose(choices.find((choice) => plain(choice.text) === plain(input.value.trim())));
  input.oninput = () => {
    typed();
    narrow(input.value);
  };
  input.onclick = () => narrow(select.value ? "" : input.value);
  input.onblur = () => open(false);
  input.onkeydown = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      if (list.hidden) narrow(select.value ? "" : input.value);
      if (shown.length) mark(at < 0 ? (step > 0 ? 0 : shown.length - 1) : (at + step + shown.length) % shown.length);
    } else if (event.key === "Enter" && !list.hidden && at >= 0) {
      event.preventDefault();
      choose(shown[at]);
    } else if (event.key === "Escape") {
      if (list.hidden) {
        input.value = "";
        choose();
      }
      open(false);
    }
  };
  if (select.value) choose(select.selectedOptions[0]);
  return input;
}
