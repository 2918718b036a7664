// The chat for a page, from one script element: draws the button, and loads the panel when somebody wants it.
// It sets no cookie, asks no host but the company's, and writes nothing into the page but one element.
//
//   <script src="https://slug.example.com/widget.js" async></script>
//   data-mode    bubble (default): a button in the corner; popup: a dialog, no button; inline: a part of the page
//   data-target  a CSS selector: what the inline chat fills, or whose clicks open the popup
//   data-theme   light or dark; by default as the visitor's system
//   data-lang    the language of the surface; by default that of the page
//
//   window.bulkhead ||= function () { (bulkhead.q ||= []).push(arguments) };   // calls before it is there
//   bulkhead("open"), ("close"), ("send", text), ("identify", jwt), ("on", event, listener), ("destroy")
//   events: ready, open, close, message, answer, lead, person, rating, error
(() => {
  const script = document.currentScript;
  if (!script || window.bulkhead?.loaded) return;
  const base = new URL(script.src).origin;
  const { mode = "bubble", target, theme } = script.dataset;
  const lang = script.dataset.lang || document.documentElement.lang || navigator.language || "en";
  const host = document.createElement("div");
  host.dataset.bulkhead = mode;
  const root = host.attachShadow({ mode: "open" });
  const listeners = {};
  const ending = new AbortController();
  const { signal } = ending;
  let config, panel, button, note, greetTimer, identity;

  const STYLE = `
:host { all: initial; display: contents; color-scheme: light dark;
  --page: light-dark(#f6f8fa, #0f1419); --surface: light-dark(#fff, #181e25); --tint: light-dark(#eef1f4, #232b33);
  --ink: light-dark(#151b22, #e9edf1); --muted: light-dark(#515c69, #a5b0bc); --line: light-dark(#dce1e7, #2c353f);
  --edge: light-dark(#78838f, #6f7c89); --good: light-dark(#17703c, #6fd29a); --bad: light-dark(#b3261e, #ff9a90);
  --shadow: 0 1px 3px rgb(0 0 0 / .12), 0 14px 44px -10px rgb(0 0 0 / .32); }
:host([data-bulkhead="inline"]) { display: block; height: 100%; }
:host([data-theme="light"]) { color-scheme: light; }
:host([data-theme="dark"]) { color-scheme: dark; }
*, ::before, ::after { box-sizing: border-box; }
[hidden] { display: none !important; }
button { font: inherit; color: inherit; cursor: pointer; }
svg { display: block; width: 1.5em; height: 1.5em; fill: none; stroke: currentColor; stroke-width: 2; stroke-linecap: round; stroke-linejoin: round; }
:focus-visible { outline: 3px solid var(--accent-ink); outline-offset: 2px; }
.corner { position: fixed; z-index: 2147483000; bottom: max(20px, env(safe-area-inset-bottom)); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; color: var(--ink); }
.corner.right { right: max(20px, env(safe-area-inset-right)); }
.corner.left { left: max(20px, env(safe-area-inset-left)); }
.bubble { display: grid; place-items: center; width: 60px; height: 60px; padding: 0; border: 0; border-radius: 50%; background: var(--accent); color: var(--on-accent); box-shadow: var(--shadow); transition: transform .15s; }
.bubble svg { width: 28px; height: 28px; }
.bubble:hover { transform: scale(1.06); }
.greeting { position: absolute; bottom: 74px; display: flex; width: min(19rem, 100vw - 40px); border: 1px solid var(--line); border-radius: 16px; background: var(--surface); box-shadow: var(--shadow); }
.right .greeting { right: 0; }
.left .greeting { left: 0; }
.greeting button { min-height: 44px; border: 0; border-radius: 16px; background: none; text-align: start; padding: .8rem 0 .8rem 1rem; overflow-wrap: anywhere; flex: 1; }
.greeting button + button { flex: none; width: 44px; padding: 12px; align-self: start; color: var(--muted); }
.greeting svg { width: 20px; height: 20px; }
@media (prefers-reduced-motion: reduce) { *, ::before, ::after { animation: none !important; transition: none !important; } }
@media print { .corner { display: none; } }`;
  const CHAT = "M4 5.5h16v11H11l-4.5 4v-4H4z";
  const CROSS = "M6 6l12 12M18 6L6 18";

  const commands = {
    open: () => want((panel) => panel.open()),
    close: () => panel?.then((panel) => panel.close()),
    send: (text) => want((panel) => panel.send(String(text))),
    identify(jwt) {
      identity = jwt;
      panel?.then((panel) => panel.identify(jwt));
    },
    on(event, listener) {
      (listeners[event] ??= new Set()).add(listener);
      return () => listeners[event].delete(listener);
    },
    destroy() {
      ending.abort();
      clearTimeout(greetTimer);
      panel?.then((panel) => panel.destroy());
      host.remove();
      delete window.bulkhead;
    },
  };

  // What a listener gets wrong is the page's to see, and stops nobody else.
  function emit(event, detail) {
    for (const listener of listeners[event] ?? []) {
      try {
        listener(detail);
      } catch (error) {
        reportError(error);
      }
    }
  }

  // The panel, loaded when it is wanted for the first time.
  async function want(use) {
    try {
      await ready;
      if (!config || signal.aborted) return;
      hush();
      panel ??= import(`${base}/widget/app.js?v=${config.version}`).then(({ mount }) =>
        mount({ root, base, mode, lang, config, identity, emit, shown }));
      use(await panel);
    } catch (error) {
      panel = undefined;
      emit("error", error);
    }
  }

  function shown(open) {
    button?.setAttribute("aria-expanded", String(open));
    button?.firstChild.replaceWith(icon(open ? CROSS : CHAT));
    if (!open) button?.focus();
    emit(open ? "open" : "close");
  }

  async function start() {
    for (let pause = 2000; ; pause *= 3) {
      const response = await fetch(`${base}/v1/widget?lang=${encodeURIComponent(lang)}`, { credentials: "omit", signal }).catch(() => null);
      if (response?.ok) config = await response.json().catch(() => null);
      if (config || signal.aborted) break;
      if (response?.status === 403) console.warn(`Bulkhead: pages of ${location.origin} may not use this chat. Add the origin to the chat's settings.`);
      if (pause > 20000 || (response && response.status < 500 && response.status !== 429)) return emit("error", response);
      await new Promise((done) => setTimeout(done, pause));
    }
    if (!config) return;
    const [accent, onAccent, light, dark] = config.accent;
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(`${STYLE}\n:host { --accent: ${accent}; --on-accent: ${onAccent}; --accent-ink: light-dark(${light}, ${dark}); }`);
    root.adoptedStyleSheets = [sheet];
    if (theme) host.dataset.theme = theme;
    const place = mode === "inline" ? document.querySelector(target) : document.body;
    if (!place) return console.warn(`Bulkhead: nothing on this page is ${target}.`);
    if (mode === "bubble") bubble();
    place.append(host);
    if (mode === "popup" && target) {
      document.addEventListener("click", (event) => {
        if (!event.target.closest?.(target)) return;
        event.preventDefault();
        commands.open();
      }, { signal });
    }
    emit("ready");
  }

  function bubble() {
    button = make("button", "bubble", config.strings.chat.replace("{c}", config.company));
    button.setAttribute("aria-haspopup", "dialog");
    button.setAttribute("aria-expanded", "false");
    button.append(icon(CHAT));
    button.onclick = () => want((panel) => panel.toggle());
    const corner = make("div", `corner ${config.side}`);
    corner.lang = config.lang;
    corner.dir = ["ar", "he"].includes(config.lang) ? "rtl" : "ltr";
    corner.append(button);
    root.append(corner);
    if (config.greet_after_s !== null && !seen()) greetTimer = setTimeout(greet, config.greet_after_s * 1000, corner);
  }

  // The greeting beside the button: once a visit, and only while nobody has opened the chat.
  function greet(corner) {
    if (panel || seen(true)) return;
    note = make("div", "greeting");
    const say = make("button");
    say.textContent = config.greeting;
    say.onclick = commands.open;
    const cross = make("button", "", config.strings.close);
    cross.append(icon(CROSS));
    cross.onclick = hush;
    note.append(say, cross);
    corner.prepend(note);
  }

  function hush() {
    clearTimeout(greetTimer);
    note?.remove();
    note = undefined;
  }

  function seen(now) {
    try {
      const before = sessionStorage.getItem(`bulkhead greeted ${base}`);
      if (now) sessionStorage.setItem(`bulkhead greeted ${base}`, "yes");
      return before;
    } catch {
      return false;
    }
  }

  function make(tag, name, label) {
    const element = document.createElement(tag);
    if (name) element.className = name;
    if (tag === "button") element.type = "button";
    if (label) element.setAttribute("aria-label", label);
    return element;
  }

  function icon(path) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 24 24");
    svg.setAttribute("aria-hidden", "true");
    svg.append(document.createElementNS(svg.namespaceURI, "path"));
    svg.firstChild.setAttribute("d", path);
    return svg;
  }

  const early = window.bulkhead?.q ?? [];
  window.bulkhead = (command, ...given) => commands[command]?.(...given);
  window.bulkhead.loaded = true;
  const ready = (document.body ? Promise.resolve() : new Promise((done) => addEventListener("DOMContentLoaded", done))).then(start);
  if (mode === "inline") want(() => {});
  for (const [command, ...given] of early) window.bulkhead(command, ...given);
})();
