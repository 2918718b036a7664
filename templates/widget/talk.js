// Talking to the company's host: the visitor's token, requests, the answer's stream, and what outlasts a reload.
// It never sends a cookie, and keeps nothing longer than the tab: on a shared computer nobody reads what the one before
// asked.

// Something to tell the visitor, in a sentence.
class Problem extends Error {
  constructor(sentence, status) {
    super(sentence);
    this.status = status;
  }
}

function talk(base, lang, strings) {
  const name = `bulkhead ${base}`;
  let kept = {};
  try {
    kept = JSON.parse(sessionStorage.getItem(name) ?? "{}");
  } catch {
    // A page that may not store anything has a chat that ends with it.
  }
  const keep = (changes) => {
    Object.assign(kept, changes);
    try {
      sessionStorage.setItem(name, JSON.stringify(kept));
    } catch {
      // As above.
    }
  };

  // A token for this visitor; while the old one is good, the same visitor's.
  let minting;
  async function token() {
    minting ??= call("POST", "/v1/visitor").then((response) => response.json()).finally(() => (minting = undefined));
    const { token, visitor_id, expires_in } = await minting;
    keep({ token, visitor: visitor_id, renew: Date.now() + expires_in * 500 });
  }

  // Who the visitor is, as the page's own server says it: told once for each visitor. Whoever was somebody else before is a
  // new visitor, who sees nothing of what that one said.
  let identity, told;
  async function introduce() {
    if (!identity || told === kept.visitor + identity) return;
    told = kept.visitor + identity;
    try {
      await (await call("POST", "/v1/identity", { token: identity })).text();
    } catch (error) {
      if (error.status !== 409) return;
      keep({ conversation: undefined, token: undefined, lead: undefined, person: undefined, rated: undefined });
      await token();
      await introduce();
    }
  }

  /** Says who the visitor is, by a token of the page's server; whether what was said so far is another's. */
  async function identify(jwt) {
    identity = jwt;
    const before = kept.conversation;
    if (kept.token) await introduce();
    return before !== kept.conversation;
  }

  // One request with the visitor's token. A token that has run out is replaced, once; what the visitor before it said is
  // not the new one's, so a new conversation begins.
  async function request(method, path, body, { signal, key } = {}) {
    for (let tries = 1; ; tries++) {
      if (!kept.token || Date.now() > kept.renew) await token();
      await introduce();
      try {
        return await call(method, path, typeof body === "function" ? body() : body, signal, key);
      } catch (error) {
        if (tries > 1 || !(error.status === 401 || (error.status === 404 && kept.conversation && path === "/v1/chat"))) throw error;
        keep({ conversation: undefined, token: error.status === 401 ? undefined : kept.token });
      }
    }
  }

  async function call(method, path, body, signal, key) {
    const headers = { "content-type": "application/json" };
    if (kept.token) headers.authorization = `Bearer ${kept.token}`;
    if (key) headers["idempotency-key"] = key;
    const response = await fetch(base + path, {
      method, headers, signal, credentials: "omit", body: method === "GET" ? undefined : JSON.stringify(body ?? {}),
    });
    if (response.ok) return response;
    const { detail } = await response.json().catch(() => ({}));
    // The host's own sentences are English.
    const sentence = lang === "en" ? detail : response.status === 429 ? strings.busy : undefined;
    throw new Problem(sentence ?? strings.away, response.status);
  }

  /** What was said so far; none before the first question. */
  async function messages() {
    if (!kept.conversation) return [];
    const response = await request("GET", `/v1/conversations/${kept.conversation}/messages`);
    return (await response.json()).messages;
  }

  /** Asks; events come as [name, data]. A question sent again under its key is not asked twice. */
  async function* ask(text, key, signal) {
    const body = () => ({ message: text, conversation_id: kept.conversation });
    const response = await request("POST", "/v1/chat", body, { signal, key });
    for await (const event of events(response.body)) {
      if (event[0] === "start") keep({ conversation: event[1].conversation_id });
      yield event;
    }
  }

  /** The answer to a question whose stream was lost: what the host has of it, as soon as it has. */
  async function recover(question) {
    for (const pause of [300, 1200, 2500, 4000]) {
      await new Promise((done) => setTimeout(done, pause));
      const said = await messages().catch(() => []);
      const at = said.findIndex((message) => message.message_id === question);
      const found = at >= 0 && said.slice(at + 1).find((message) => message.author !== "visitor");
      if (found) return found;
    }
    throw new Problem(strings.lost);
  }

  return { kept, keep, request, messages, ask, recover, identify };
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

// What a question is called, so that it may be sent again; also on pages without a secure context.
function unique() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
