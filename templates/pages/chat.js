// The chat of a company's page. What is said is put in as text, never as HTML: whatever a model or an entry says,
// it can load nothing, run nothing and link nowhere.

const byId = (id) => document.getElementById(id);
const [chat, messages, replies, form, question, send, stop, status] =
  ["chat", "messages", "replies", "ask", "question", "send", "stop", "status"].map(byId);
const company = chat.dataset.company;

// What outlasts a reload: the visitor's token and the conversation. It is in sessionStorage because that ends with
// the tab: on a shared computer nobody reads what the one before asked.
const kept = JSON.parse(sessionStorage.getItem("chat") ?? "{}");
const keep = (changes) => sessionStorage.setItem("chat", JSON.stringify(Object.assign(kept, changes)));

let running = null;
let asked = "";

async function ask(text) {
  if (running) return;
  running = new AbortController();
  asked = text;
  await ready;
  add("visitor", text);
  const item = add("agent");
  item.classList.add("waiting");
  item.firstChild.append(make("i"), make("i"), make("i"));
  busy(true);
  let told = "";
  let end = null;
  try {
    const response = await request("/v1/chat", { message: text }, running.signal);
    for await (const [name, data] of events(response.body)) {
      if (name === "start") keep({ conversation: data.conversation_id });
      if (name === "delta") write(item, (told += data.text));
      if (name === "citations") cite(item, data);
      if (name === "done") end = data;
      if (name === "error") throw new Problem(data.detail);
    }
    if (!end) throw new Problem("The connection was lost before the answer was complete.");
    say(told);
    if (end.source === "none") offer();
  } catch (error) {
    if (!told) item.remove();
    if (running.signal.aborted) note(told ? item : add("agent"), "You stopped this answer.");
    else trouble(error, () => ask(text));
  } finally {
    running = null;
    busy(false);
  }
}

// One request with the visitor's token. A token that has run out is replaced, once; what the visitor before it said
// is not the new one's, so a new conversation begins.
async function request(path, body, signal) {
  for (let tries = 1; ; tries++) {
    if (!kept.token) keep({ token: (await (await call("/v1/visitor", {})).json()).token });
    const sent = body && { ...body, conversation_id: kept.conversation };
    try {
      return await call(path, sent, signal);
    } catch (error) {
      if (tries > 1 || !(error.status === 401 || (error.status === 404 && kept.conversation))) throw error;
      keep({ conversation: undefined, token: error.status === 401 ? undefined : kept.token });
    }
  }
}

async function call(path, body, signal) {
  const headers = { "content-type": "application/json" };
  if (kept.token) headers.authorization = `Bearer ${kept.token}`;
  const response = await fetch(path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body), signal });
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  throw new Problem(problem.detail ?? "The chat is not available right now.", response.status);
}

// Something to tell the visitor, in a sentence.
class Problem extends Error {
  constructor(sentence, status) {
    super(sentence);
    this.status = status;
  }
}

// Server-sent events of a response, as [name, data].
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const whole = (rest + value).split("\n\n");
    rest = whole.pop();
    for (const event of whole) {
      const field = (name) => event.match(new RegExp(`^${name}: ?(.*)$`, "m"))?.[1];
      if (field("data")) yield [field("event"), JSON.parse(field("data"))];
    }
  }
}

// What was said before the page was loaded again.
async function resume() {
  if (!kept.conversation) return;
  try {
    const response = await request(`/v1/conversations/${kept.conversation}/messages`);
    const { messages: said } = await response.json();
    for (const message of said) {
      const item = add(message.author, message.body);
      if (message.author === "visitor") asked = message.body;
      else cite(item, message.citations ?? []);
      if (!message.complete) note(item, "This answer was not finished.");
    }
    if (said.at(-1)?.source === "none" && !kept.lead) offer();
  } catch (error) {
    if (error.status) keep({ conversation: undefined });
    else trouble(error, resume);
  }
}

function offer() {
  messages.querySelector(".lead")?.parentNode.remove();
  const item = add("agent");
  item.replaceChildren(byId("lead").content.cloneNode(true));
  const lead = item.firstElementChild;
  const problem = lead.querySelector(".problem");
  const fail = (sentence) => {
    problem.textContent = sentence;
    problem.hidden = false;
  };
  lead.onsubmit = async (event) => {
    event.preventDefault();
    const given = Object.fromEntries([...new FormData(lead)].filter(([, value]) => value.trim()));
    if (!given.phone && !given.email) {
      lead.phone.focus();
      return fail("Give a phone number or an e-mail address, so that somebody can get back to you.");
    }
    const button = lead.querySelector("button");
    button.disabled = true;
    try {
      await request("/v1/leads", { ...given, message: asked || undefined });
      keep({ lead: true });
      const thanks = `Thank you, ${given.name}. ${company} will get back to you.`;
      item.replaceChildren(make("p", thanks));
      say(thanks);
      settle();
    } catch (error) {
      fail(words(error));
      button.disabled = false;
    }
  };
  // What led to it stays in sight above it.
  messages.scrollTop = item.previousElementSibling.offsetTop - messages.offsetTop - 16;
  return lead;
}

function add(author, text = "") {
  const item = make("li");
  item.className = `message ${author}`;
  item.append(make("p", text));
  messages.append(item);
  replies.hidden = true;
  byId("anew").hidden = false;
  scroll();
  return item;
}

function write(item, text) {
  const below = messages.scrollHeight - messages.scrollTop - messages.clientHeight;
  item.classList.remove("waiting");
  item.firstChild.textContent = text;
  // Whoever scrolled up to read is left there.
  if (below < 60) scroll();
}

function cite(item, citations) {
  if (!citations.length) return;
  const list = make("ul");
  list.className = "sources";
  list.setAttribute("aria-label", "Sources");
  list.append(...citations.slice(0, 3).map(({ question }) => make("li", question)));
  item.append(list);
  scroll();
}

function trouble(error, again) {
  const item = add("agent", words(error));
  item.classList.add("trouble");
  const button = make("button", "Try again");
  button.className = "chip";
  button.onclick = () => {
    item.remove();
    settle();
    again();
  };
  item.append(button);
  say(words(error));
  scroll();
}

const words = (error) =>
  error instanceof Problem ? error.message : "The chat could not be reached. Check your connection.";

function note(item, sentence) {
  item.classList.remove("waiting");
  if (!item.textContent) item.replaceChildren();
  item.append(make("small", sentence));
  say(sentence);
}

function make(tag, text) {
  const element = document.createElement(tag);
  if (text) element.textContent = text;
  return element;
}

// Told to screen readers: whole answers, not each word as it comes.
const say = (text) => (status.textContent = text);
const scroll = () => (messages.scrollTop = messages.scrollHeight);
// Where the focus goes when what had it is gone; on a phone not to the input, whose keyboard would cover the answer.
const settle = () => (matchMedia("(pointer: fine)").matches ? question : messages).focus({ preventScroll: true });

function busy(yes) {
  const focus = document.activeElement;
  send.hidden = yes;
  stop.hidden = !yes;
  messages.ariaBusy = String(yes);
  if (focus === send || focus === stop || focus === document.body) settle();
}

form.onsubmit = (event) => {
  event.preventDefault();
  const text = question.value.trim();
  if (!text || running) return;
  question.value = "";
  ask(text);
};
question.onkeydown = (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  if (question.value.trim()) form.requestSubmit();
};
replies.onclick = ({ target }) => {
  if (target.matches("button")) ask(target.textContent);
};
stop.onclick = () => running?.abort();
byId("call").onclick = () => offer().name.focus();
byId("anew").onclick = () => {
  running?.abort();
  keep({ conversation: undefined, lead: undefined });
  while (messages.children.length > 1) messages.lastChild.remove();
  asked = "";
  begin();
  settle();
};

function begin() {
  replies.hidden = !replies.childElementCount;
  byId("anew").hidden = true;
}

begin();
form.hidden = byId("call").hidden = false;
const ready = resume();
