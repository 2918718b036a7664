// OpenAI's official client against a company's own address: its agents are the models, its keys the API keys.
// ROOT_URL says where the platform is.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import dns from "node:dns";
import { before, test } from "node:test";
import OpenAI from "openai";

const { ROOT_URL: root } = process.env;
const password = "a few words make a good one";

// Browsers know that every name under localhost is this machine (RFC 6761); Node asks the system, which may not.
const { lookup } = dns;
dns.lookup = (name, ...rest) => lookup(name.endsWith(".localhost") ? "localhost" : name, ...rest);

/** A request of a person's; status and JSON. */
async function call(url, method, path, token, body) {
  const headers = { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) };
  const response = await fetch(url + path, { method, headers, body: body && JSON.stringify(body) });
  return { status: response.status, ...(response.status === 204 ? {} : await response.json()) };
}

/** A new company: its address, its owner's token. */
async function company(industry) {
  const slug = `c${randomBytes(6).toString("hex")}`;
  const email = `owner@${slug}.example`;
  const made = await call(root, "POST", "/v1/signup", null, {
    company: `Company ${slug}`, slug, industry, name: "Olive Owner", email, password,
  });
  assert.equal(made.status, 201, JSON.stringify(made));
  const url = root.replace("://", `://${slug}.`);
  const { access_token: owner } = await call(url, "POST", "/v1/login", null, { email, password });
  return { slug, url, owner };
}

/** A key of a company's, and OpenAI's client with it. */
async function program({ url, owner }, scopes) {
  const made = await call(url, "POST", "/v1/api-keys", owner, { name: "A program", scopes });
  assert.equal(made.status, 201, JSON.stringify(made));
  return { ...made, client: client(url, made.key) };
}

const client = (url, apiKey) => new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });

let acme, bright;
before(async () => {
  [acme, bright] = [await company("plumbing"), await company("dental-practice")];
});

test("agents are listed as models", async () => {
  const { client } = await program(acme, ["models"]);
  const models = [];
  for await (const model of client.models.list()) models.push(model);
  const { agents } = await call(acme.url, "GET", "/v1/agents", acme.owner);
  assert.deepEqual(models.map((model) => model.id), agents.map((agent) => agent.slug));
  for (const model of models) {
    assert.equal(model.object, "model");
    assert.equal(model.owned_by, acme.slug);
    assert.ok(Number.isInteger(model.created) && model.created > 1_700_000_000, JSON.stringify(model));
  }
});

test("a key that is not good raises what the client calls an authentication error", async () => {
  const theirs = await program(bright, ["models"]);
  const revoked = await program(acme, ["models"]);
  const gone = await call(acme.url, "DELETE", `/v1/api-keys/${revoked.api_key_id}`, acme.owner);
  assert.equal(gone.status, 204);
  for (const key of [theirs.key, revoked.key, "bk_nothing", "sk-something", acme.owner]) {
    await assert.rejects(client(acme.url, key).models.list(), (error) => {
      assert.ok(error instanceof OpenAI.AuthenticationError, String(error));
      assert.equal(error.status, 401);
      assert.equal(error.code, "invalid_api_key");
      assert.match(error.message, /base_url/);
      assert.ok(error.requestID, "the request's id, to ask the operator about");
      return true;
    });
  }
});

test("a key without the scope raises what the client calls a permission error", async () => {
  const { client } = await program(acme, ["chat"]);
  await assert.rejects(client.models.list(), (error) => {
    assert.ok(error instanceof OpenAI.PermissionDeniedError, String(error));
    assert.match(error.message, /scope/);
    return true;
  });
});

test("what is not there raises what the client calls not found", async () => {
  const { client } = await program(acme, ["models", "chat"]);
  await assert.rejects(client.files.list(), (error) => error instanceof OpenAI.NotFoundError);
});

const ask = (agent, content, more = {}) => ({ model: agent, messages: [{ role: "user", content }], ...more });

test("an agent answers whole", async () => {
  const { client } = await program(acme, ["models", "chat"]);
  const [agent] = (await client.models.list()).data;
  const answer = await client.chat.completions.create({
    model: agent.id,
    messages: [
      { role: "system", content: "The customer is in a hurry." },
      { role: "user", content: "Hello?" },
      { role: "assistant", content: "Hello, how can I help?" },
      { role: "user", content: [{ type: "text", text: "Do you fix leaks?" }] },
    ],
    temperature: 0.2,
    max_completion_tokens: 100,
    user: "customer-7",
  });
  assert.match(answer.id, /^chatcmpl-/);
  assert.equal(answer.object, "chat.completion");
  assert.equal(answer.model, agent.id);
  const [choice] = answer.choices;
  assert.equal(choice.message.role, "assistant");
  assert.ok(choice.message.content.length > 20, JSON.stringify(answer));
  assert.equal(choice.finish_reason, "stop");
  assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
});

test("an agent's answer streams", async () => {
  const { client } = await program(acme, ["models", "chat"]);
  const [agent] = (await client.models.list()).data;
  const stream = await client.chat.completions.create(
    ask(agent.id, "Do you fix leaks?", { stream: true, stream_options: { include_usage: true } }),
  );
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  assert.equal(chunks[0].choices[0].delta.role, "assistant");
  const text = chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("");
  assert.ok(text.length > 20, text);
  assert.equal(chunks.at(-2).choices[0].finish_reason, "stop");
  assert.deepEqual(chunks.at(-1).choices, []);
  assert.ok(Number.isInteger(chunks.at(-1).usage.total_tokens));
  assert.ok(chunks.slice(0, -1).every((chunk) => chunk.usage === null), "asked for, and null until the end");
  // The client's own helper puts the chunks together again.
  const whole = await client.chat.completions.stream(ask(agent.id, "Do you fix leaks?")).finalChatCompletion();
  assert.equal(whole.choices[0].message.content, text);
});

test("what an agent does not do is refused in the client's own terms", async () => {
  const { client } = await program(acme, ["models", "chat"]);
  const refused = (body, kind, code, param) => assert.rejects(client.chat.completions.create(body), (error) => {
    assert.ok(error instanceof kind, String(error));
    assert.deepEqual([error.code, error.param], [code, param]);
    return true;
  });
  const [agent] = (await client.models.list()).data;
  await refused(ask("nobody", "Hello?"), OpenAI.NotFoundError, "model_not_found", "model");
  await refused(ask(agent.id, "Hello?", { n: 2 }), OpenAI.BadRequestError, "unsupported_parameter", "n");
  await refused(ask(agent.id, "Hello?", { tools: [{ type: "function", function: { name: "f" } }] }),
    OpenAI.BadRequestError, "unsupported_parameter", "tools");
  await refused({ model: agent.id, messages: [] }, OpenAI.BadRequestError, "missing_required_parameter", "messages");
  const { client: other } = await program(acme, ["models"]);
  await assert.rejects(other.chat.completions.create(ask(agent.id, "Hello?")), OpenAI.PermissionDeniedError);
});

test("the same request again is answered as it was", async () => {
  const { client } = await program(acme, ["models", "chat"]);
  const [agent] = (await client.models.list()).data;
  const headers = { "Idempotency-Key": randomBytes(16).toString("hex") };
  const first = await client.chat.completions.create(ask(agent.id, "Do you fix leaks?"), { headers });
  const again = await client.chat.completions.create(ask(agent.id, "Do you fix leaks?"), { headers });
  assert.equal(again.id, first.id);
  assert.equal(again.choices[0].message.content, first.choices[0].message.content);
});
