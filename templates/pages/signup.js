// Signing up on the platform's page.

const form = document.getElementById("form");
const made = document.getElementById("made");
const problem = form.querySelector(".problem");
const { company, slug, industry } = form.elements;

const fail = (sentence) => {
  problem.textContent = sentence;
  problem.hidden = !sentence;
};

// An address from a name: "Söhne & Co. Plumbing" becomes sohne-and-co-plumbing.
const suggest = (name) =>
  name.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase().replaceAll("&", " and ").replaceAll(/['’.]/g, "")
    .replaceAll(/[^a-z0-9]+/g, "-").replace(/^[^a-z]+/, "").slice(0, 40).replace(/-+$/, "");

// The address follows the name until somebody writes one.
let own = false;
company.oninput = () => {
  if (!own) slug.value = suggest(company.value);
};
slug.oninput = () => {
  own = slug.value !== "";
  slug.value = slug.value.toLowerCase().replaceAll(" ", "-");
};

// The same form sent again is the same request: a lost answer makes no second company.
let sent = "", key = "";
const keyOf = (text) => {
  if (text !== sent) [sent, key] = [text, crypto.randomUUID?.() ?? [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("")];
  return key;
};

async function answer(path, body) {
  const text = JSON.stringify(body);
  const headers = { "content-type": "application/json", "idempotency-key": body && keyOf(text) };
  const response = await fetch(path, body && { method: "POST", headers, body: text })
    .catch(() => { throw new Error("Bulkhead could not be reached. Check your connection and try again."); });
  const value = await response.json().catch(() => ({}));
  if (response.ok) return value;
  throw Object.assign(new Error(value.detail ?? "That did not work. Try again in a moment."), { status: response.status });
}

// Addresses that are free, for whoever wanted one that is not.
async function others() {
  const asked = new URLSearchParams({ name: company.value, industry: industry.value });
  const { slugs } = await answer(`/v1/slugs?${asked}`).catch(() => ({ slugs: [] }));
  return slugs.length ? ` Free are: ${slugs.join(", ")}.` : "";
}

form.onsubmit = async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  fail("");
  try {
    const { company: { name, url } } = await answer("/v1/signup", Object.fromEntries(new FormData(form)));
    document.getElementById("made-name").textContent = name;
    document.getElementById("made-site").href = url;
    document.getElementById("made-dashboard").href = `${url}/dashboard`;
    form.hidden = true;
    made.hidden = false;
    made.focus();
  } catch (error) {
    fail(error.message + (error.status === 409 ? await others() : ""));
  }
  button.disabled = false;
};

form.hidden = false;
try {
  const { industries } = await answer("/v1/industries");
  for (const { slug, name } of industries) industry.append(new Option(name, slug));
  industry.onchange = () => {
    const chosen = industries.find((one) => one.slug === industry.value);
    document.getElementById("summary").textContent = chosen?.summary ?? "";
  };
} catch (error) {
  fail(error.message);
}
