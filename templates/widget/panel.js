// The panel: messages, the question's form, and what else a visitor can do. One function, since all of it is one state.

const SEND = "M4 12h14M12 5l7 7-7 7";
const STOP = "M8 8h8v8H8z";
const CROSS = "M6 6l12 12M18 6L6 18";
/** Milliseconds until the first look for what a person says; each one that finds nothing makes the next one later. */
const LOOK_MS = 4000;

/** Puts the panel into the shadow root. It is made when somebody wants it, and shows nothing before `open`. */
export async function mount({ root, base, mode, lang, config, identity, emit, shown }) {
  const { company, strings } = config;
  const say = (name, given = {}) => strings[name].replace(/\{(\w)\}/g, (_, gap) => ({ c: company, ...given })[gap]);
  const host = talk(base, config.lang, strings);
  const { kept, keep } = host;
  const rules = { base, links: config.link_hosts, images: config.image_hosts };
  const known = new Set();
  let running, looking, pause = LOOK_MS, last = "";

  const sheet = new CSSStyleSheet();
  sheet.replaceSync(CSS);
  root.adoptedStyleSheets = [...root.adoptedStyleSheets, sheet];

  // What is there.
  const inline = mode === "inline";
  const title = say("title");
  const status = h("p", { class: "unseen", id: "status", role: "status" });
  const hours = h("p");
  const anew = button("plain", say("anew"), restart, { id: "anew", hidden: true });
  const messages = h("ol", { class: "messages", id: "messages", tabindex: 0, "aria-label": say("messages") });
  const replies = h("div", { class: "chips", id: "replies", role: "group", "aria-label": say("starters"), hidden: true },
    ...config.quick_replies.map((text) => button("chip", text, () => send(text))));
  const question = h("textarea", {
    id: "question", rows: 1, maxlength: 1500, placeholder: say("placeholder"), autocomplete: "off", enterkeyhint: "send", required: true,
    onkeydown(event) {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      submit();
    },
  });
  const go = h("button", { type: "submit", class: "round", id: "send", "aria-label": say("send") }, icon(SEND));
  const stop = h("button", { type: "button", class: "round", id: "stop", "aria-label": say("stop"), hidden: true, onclick: () => running?.abort() }, icon(STOP));
  const form = h("form", { class: "ask", onsubmit: (event) => (event.preventDefault(), submit()) },
    h("label", { class: "unseen", for: "question" }, say("question")), question, go, stop);
  const person = button("plain", say("person"), askPerson, { id: "person", hidden: true });
  const panel = h("section", {
    class: "panel", lang: config.lang, dir: ["ar", "he"].includes(config.lang) ? "rtl" : "ltr",
    "aria-label": inline ? say("chat") : undefined,
    onkeydown: (event) => event.key === "Escape" && !inline && (event.preventDefault(), close()),
  },
    h("header", {}, h("span", { class: "badge", "aria-hidden": "true" }, [...company].find((c) => /\p{L}|\p{N}/u.test(c))?.toUpperCase() ?? "•"),
      h("div", {}, h("h2", {}, title), hours), anew, inline ? undefined : h("button", { type: "button", class: "icon", "aria-label": say("close"), onclick: close }, icon(CROSS))),
    messages, replies, form,
    h("div", { class: "foot" }, h("span", {}, say("auto")), person, button("plain", say("call"), () => leave().elements.name.focus(), { id: "call" })), status);
  const frame = inline ? panel : h("dialog", { class: `in-${mode}`, "aria-label": say("chat"), onclose: closed, onclick: (event) => event.target === frame && close() }, panel);
  (root.querySelector(".corner") ?? root).append(frame);

  const online = () => {
    const { known, until, weekday, opens } = config.hours;
    hours.hidden = navigator.onLine && !known;
    hours.className = navigator.onLine && until ? "open" : "";
    hours.textContent = !navigator.onLine ? say("offline") : until ? say("until", { t: clock(until) }) :
      weekday ? say("opens", { d: day(weekday), t: clock(opens) }) : say("closed");
  };
  addEventListener("online", online);
  addEventListener("offline", online);
  online();
  const greeting = add("agent", config.greeting);
  begin();
  const resumed = host.identify(identity).then(resume);

  // Opening and closing. A dialog over the whole window, or a popup, keeps the focus in; the one in the corner does not.
  function open() {
    if (inline) return settle();
    if (frame.open) return;
    if (mode === "popup" || matchMedia("(max-width: 30rem), (max-height: 30rem)").matches) frame.showModal();
    else frame.show();
    shown(true);
    settle();
    scroll();
    look();
  }

  function close() {
    if (!inline && frame.open) frame.close();
  }

  function closed() {
    clearTimeout(looking);
    shown(false);
  }

  function submit() {
    const text = question.value.trim();
    if (!text || running) return;
    question.value = "";
    send(text);
  }

  function send(text) {
    if (!text.trim() || running) return;
    last = text;
    pause = LOOK_MS;
    answer({ text, key: unique() });
  }

  // One question, once or again: under its key it is asked once, until the host has said that its answer broke off.
  async function answer(turn) {
    running = new AbortController();
    await resumed;
    turn.item ??= add("visitor", turn.text);
    const item = add("agent");
    item.classList.add("waiting");
    item.firstChild.append(h("i"), h("i"), h("i"));
    scroll();
    busy(true);
    emit("message", { text: turn.text });
    let told = "", asked, end, sources = [];
    try {
      try {
        for await (const [name, data] of host.ask(turn.text, turn.key, running.signal)) {
          if (name === "start") known.add((asked = data.message_id));
          if (name === "delta") write(item, (told += data.text));
          if (name === "citations") sources = data;
          if (name === "done") end = data;
          if (name === "error") {
            turn.key = unique();
            throw new Problem(data.detail, 502);
          }
        }
        if (!end) throw new Problem(say("lost"));
      } catch (error) {
        // The stream was lost and not the answer: the host has it.
        if (!asked || error.status || running.signal.aborted) throw error;
        const found = await host.recover(asked);
        if (!found.complete) turn.key = unique();
        write(item, (told = found.body));
        sources = found.citations ?? [];
        end = found;
        if (!found.complete) throw new Problem(say("lost"));
      }
      draw(item);
      cite(item, sources);
      if (told) finish(item, end.message_id, told);
      else passed(item);
      if (end.source === "none") leave();
    } catch (error) {
      draw(item);
      if (!told) item.remove();
      if (running.signal.aborted) note(told ? item : add("agent"), say("stopped"));
      else trouble(error, () => answer(turn));
    } finally {
      running = undefined;
      busy(false);
      look();
    }
  }

  function finish(item, id, text) {
    known.add(id);
    rate(item, id);
    tell(item.querySelector(".said").innerText);
    emit("answer", { text });
  }

  // A person answers from now on.
  function passed(item) {
    item.remove();
    keep({ person: true });
    note(add("agent"), say("passed"));
  }

  // What was said before the page was loaded again.
  async function resume() {
    try {
      const said = await host.messages();
      for (const message of said) show(message);
      if (said.at(-1)?.source === "none" && !kept.lead) leave();
    } catch (error) {
      if (error.status) keep({ conversation: undefined });
      else trouble(error, resume);
    }
    person.hidden = !kept.conversation;
    look();
  }

  function show(message) {
    known.add(message.message_id);
    const mine = message.author === "visitor";
    const item = add(mine ? "visitor" : "agent", message.body);
    if (mine) last = message.body;
    else if (message.author === "agent") rate(item, message.message_id, cite(item, message.citations ?? []));
    else {
      item.prepend(h("small", { class: "who" }, message.person ?? say("who")));
      keep({ person: true });
    }
    if (!message.complete) note(item, say("unfinished"));
    return item;
  }

  // What a person says, asked for or not, as long as somebody could see it: soon while one answers, else seldom.
  function look() {
    clearTimeout(looking);
    if (!kept.conversation || !(inline || frame.open)) return;
    looking = setTimeout(async () => {
      const said = running || document.hidden ? [] : await host.messages().catch(() => []);
      const fresh = running ? [] : said.filter((message) => !known.has(message.message_id));
      pause = fresh.length ? LOOK_MS : Math.min(pause * 1.5, kept.person ? 2 * LOOK_MS : 15 * LOOK_MS);
      for (const message of fresh) {
        const item = show(message);
        if (message.author === "visitor") continue;
        tell(item.querySelector(".said").innerText);
        emit("answer", { text: message.body });
      }
      look();
    }, pause);
  }

  async function askPerson() {
    person.disabled = true;
    try {
      const path = `/v1/conversations/${kept.conversation}/hand-over`;
      const { open } = await (await host.request("POST", path)).json();
      keep({ person: true });
      const words = say(open ? "asked" : "asked_closed");
      add("agent", words);
      tell(words);
      emit("person", { open });
      if (!open && !kept.lead) leave();
      look();
    } catch (error) {
      trouble(error, askPerson);
    }
    person.disabled = false;
  }

  // How to be reached.
  function leave() {
    messages.querySelector(".lead")?.closest("li").remove();
    const item = add("agent");
    const lead = leadForm({
      say, words,
      send: (given) => host.request("POST", "/v1/leads", () => ({ ...given, message: last || undefined, conversation_id: kept.conversation })),
      sent({ name }) {
        keep({ lead: true });
        const thanks = say("thanks", { n: name });
        item.replaceChildren(h("div", { class: "said" }, thanks));
        tell(thanks);
        settle();
        emit("lead", {});
      },
    });
    item.replaceChildren(lead);
    // What led to it stays in sight above it.
    messages.scrollTop = item.previousElementSibling.offsetTop - messages.offsetTop - 16;
    return lead;
  }

  // Whether an answer helped.
  function rate(item, id) {
    if (!id) return;
    item.append(rating({
      say, settle, rated: kept.rated?.[id],
      async send(good, remark) {
        keep({ rated: { ...kept.rated, [id]: good } });
        try {
          await host.request("PUT", `/v1/messages/${id}/rating`, { good, remark });
          tell(say("rated"));
          emit("rating", { good, remark });
        } catch (error) {
          tell(words(error));
        }
      },
    }));
    scroll();
  }

  function add(author, text = "") {
    const said = h("div", { class: "said" });
    const item = h("li", { class: `message ${author}` }, said);
    // Whose words they are, for those who do not see the sides.
    if (author === "visitor") said.append(h("span", { class: "unseen" }, `${say("you")}: `), text);
    else said.append(...markdown(text, rules));
    messages.append(item);
    if (item !== messages.firstChild) replies.hidden = !(anew.hidden = false);
    scroll();
    return item;
  }

  // As often as the screen shows something, and no oftener.
  function write(item, text) {
    if (item.text === undefined) requestAnimationFrame(() => draw(item));
    item.text = text;
  }

  function draw(item) {
    if (item.text === undefined) return;
    const below = messages.scrollHeight - messages.scrollTop - messages.clientHeight;
    item.classList.remove("waiting");
    item.firstChild.replaceChildren(...markdown(item.text, rules));
    item.text = undefined;
    // Whoever scrolled up to read is left there.
    if (below < 60) scroll();
  }

  function cite(item, citations) {
    if (!citations.length) return;
    item.append(h("ul", { class: "sources", "aria-label": say("sources") }, ...citations.slice(0, 3).map(({ question }) => h("li", {}, question))));
    scroll();
  }

  function trouble(error, again) {
    const item = add("agent", words(error));
    item.classList.add("trouble");
    item.append(button("chip", say("again"), () => {
      item.remove();
      settle();
      again();
    }));
    tell(words(error));
    emit("error", error);
    scroll();
  }

  function note(item, sentence) {
    item.classList.remove("waiting");
    if (!item.textContent) item.replaceChildren();
    item.append(h("small", {}, sentence));
    tell(sentence);
  }

  function restart() {
    running?.abort();
    clearTimeout(looking);
    keep({ conversation: undefined, lead: undefined, person: undefined, rated: undefined });
    messages.replaceChildren(greeting);
    known.clear();
    last = "";
    begin();
    settle();
  }

  function begin() {
    replies.hidden = !replies.childElementCount;
    anew.hidden = true;
    person.hidden = !kept.conversation;
  }

  function busy(yes) {
    const focus = root.activeElement;
    go.hidden = yes;
    stop.hidden = !yes;
    messages.ariaBusy = String(yes);
    person.hidden = !kept.conversation;
    // A focus that is gone with its button comes back; one that is elsewhere on the page is left there.
    if (focus === go || focus === stop || (!focus && frame.contains(document.activeElement)) || (!focus && document.activeElement === document.body && !inline)) settle();
  }

  // Where the focus goes when what had it is gone; on a phone not to the input, whose keyboard would cover the answer.
  function settle() {
    (matchMedia("(pointer: fine)").matches ? question : messages).focus({ preventScroll: true });
  }

  // Told to screen readers: whole answers, not each word as it comes.
  function tell(text) {
    status.textContent = text;
  }

  function scroll() {
    messages.scrollTop = messages.scrollHeight;
  }

  function words(error) {
    return error instanceof Problem ? error.message : say("unreachable");
  }

  function clock(time) {
    const [hour, minute] = time.split(":");
    const options = { hour: "numeric", minute: minute === "00" && lang.startsWith("en") ? undefined : "2-digit" };
    return new Date(2024, 0, 1, hour, minute).toLocaleTimeString(locale(), options);
  }

  // The first of January 2024 was a Monday.
  function day(weekday) {
    return new Date(2024, 0, weekday).toLocaleDateString(locale(), { weekday: "long" });
  }

  function locale() {
    return lang.toLowerCase().startsWith(config.lang) ? lang : config.lang;
  }

  function destroy() {
    running?.abort();
    clearTimeout(looking);
    removeEventListener("online", online);
    removeEventListener("offline", online);
  }

  const identify = async (jwt) => (await host.identify(jwt)) && restart();
  return { open, close, destroy, identify, send: (text) => (open(), send(text)), toggle: () => (inline || !frame.open ? open() : close()) };
}
