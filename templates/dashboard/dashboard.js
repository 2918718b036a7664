// The dashboard's niceties. Every page works without them: forms send, links open.

// Times as and where their reader has them.
function localize(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    time.textContent = new Date(time.dateTime).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  }
}
localize(document);

// The tab that is open is in sight.
const here = document.querySelector(".side [aria-current]");
if (here) here.parentNode.scrollTop = here.offsetTop - 200;

// A text says how much of it is written.
addEventListener("input", ({ target }) => {
  const count = target.parentNode?.querySelector("[data-count]");
  if (count) count.textContent = `${[...target.value].length} of ${target.maxLength} characters`;
});

// A text to be copied is copied with a press.
for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = !navigator.clipboard;
  button.onclick = async () => {
    await navigator.clipboard.writeText(button.parentNode.querySelector("code").textContent);
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 3_000);
  };
}

// What becomes of a form is shown anew a moment after it was changed. Each preview is a frame of its own, so that going back
// leads to the page before and not through them; it takes the old one's place once it is there, where one had scrolled to.
const preview = document.querySelector("[formtarget]");
let moment;
function show() {
  const old = document.querySelector("iframe.preview:not([hidden])");
  // One that has not come yet is not waited for any more.
  document.querySelector("iframe.preview[hidden]")?.remove();
  const next = old.cloneNode();
  old.name = "";
  next.name = "preview";
  next.hidden = true;
  old.before(next);
  next.addEventListener("load", () => {
    const top = old.contentWindow?.scrollY ?? 0;
    old.remove();
    next.hidden = false;
    next.contentWindow.scrollTo(0, top);
  }, { once: true });
  preview.form.requestSubmit(preview);
}
if (preview) {
  preview.form.addEventListener("input", () => {
    clearTimeout(moment);
    moment = setTimeout(show, 600);
  });
  preview.onclick = (event) => {
    event.preventDefault();
    show();
  };
  if (preview.form.querySelector("[name=title], [name=side]")?.value) show();
}

// A message about what was done goes after a while, and does not come again with a reload.
const toast = document.querySelector(".toast");
if (toast) {
  const address = new URL(location.href);
  address.searchParams.delete("done");
  history.replaceState(null, "", address);
  setTimeout(() => toast.remove(), 5_000);
}

// A document that is chosen is read here and put into the form, so that its sender sees what is sent.
for (const chooser of document.querySelectorAll("input[type=file][data-into]")) {
  chooser.parentNode.hidden = false;
  chooser.addEventListener("change", async () => {
    const into = chooser.form.elements[chooser.dataset.into];
    const file = chooser.files[0];
    if (!file) return;
    const text = file.size > 600_000 ? "" : await file.text();
    chooser.value = "";
    if (!text || text.length > into.maxLength) {
      fail(chooser.form, `The file is longer than ${into.maxLength.toLocaleString()} characters, or empty. Import it in parts.`);
      return;
    }
    into.value = text;
  });
}

// A form is sent in the page, so that what is wrong with it is said beside its button and what was typed stays.
addEventListener("submit", async (event) => {
  const form = event.target;
  if (form.method !== "post" || event.submitter?.formTarget || event.defaultPrevented) return;
  const plain = "plain" in form.dataset;
  const refused = form.dataset.ask && !confirm(form.dataset.ask);
  if (!plain || refused) event.preventDefault();
  if (plain || refused) return;
  const button = event.submitter ?? form.querySelector("button");
  button.disabled = true;
  try {
    const response = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
    if (response.ok) {
      // The page is drawn anew also where it is the same one.
      if (response.url === location.href) location.reload();
      else location.assign(response.url);
      return;
    }
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    fail(form, page.querySelector(".problem")?.textContent ?? "That did not work. Try again in a moment.");
  } catch {
    fail(form, "The dashboard could not be reached. Check your connection and try again.");
  }
  button.disabled = false;
});

function fail(form, sentence) {
  form.querySelector(".problem")?.remove();
  const problem = document.createElement("p");
  problem.className = "problem";
  problem.role = "alert";
  problem.textContent = sentence;
  form.querySelector("button").before(problem);
}

// A conversation that is open shows what is said as it is said, while somebody looks.
const thread = document.getElementById("thread");
async function look() {
  if (document.hidden) return;
  const response = await fetch(location.pathname).catch(() => null);
  if (!response?.ok || response.redirected) return;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const id of ["thread", "state"]) {
    const [now, next] = [document.getElementById(id), page.getElementById(id)];
    localize(next);
    if (now.innerHTML === next.innerHTML) continue;
    const more = next.childElementCount - now.childElementCount;
    now.replaceChildren(...next.childNodes);
    if (id === "thread" && more > 0) document.getElementById("news").textContent = `${more} new`;
  }
}
if (thread) setInterval(look, 4_000);
