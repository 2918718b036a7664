// Workers Analytics Engine: what the built worker writes to the dataset METRICS, in Cloudflare's own simulator around workerd. The
// dataset is a double, because the simulator's own keeps nothing. ROOT_URL, GATEWAY_URL, DATABASE_URL and GATEWAY_REDIS_TOKEN say
// where the stand is.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Miniflare, convertV4MiniflareOptions } from "miniflare";

const { ROOT_URL, GATEWAY_URL, DATABASE_URL, GATEWAY_REDIS_TOKEN } = process.env;
const build = "src/edge/workers/build";
const [, date] = /^compatibility_date = "(.+)"$/m.exec(readFileSync("wrangler.toml", "utf8"));

/** The worker with a dataset that behaves like this; `/points` has what was written to it. */
const measured = (write) => `
  import Worker from "./index.js";
  const points = [];
  export default class extends Worker {
    constructor(context, env) {
      super(context, { ...env, METRICS: { writeDataPoint(point) { ${write} } } });
    }
    fetch(request) {
      return new URL(request.url).pathname === "/points" ? Response.json(points) : super.fetch(request);
    }
  }`;

/** Calls with the worker, and stops it. */
async function within(main, work) {
  const worker = new Miniflare(convertV4MiniflareOptions({
    modules: [
      { type: "ESModule", path: `${build}/main.js`, contents: main },
      { type: "ESModule", path: `${build}/index.js` },
      { type: "CompiledWasm", path: `${build}/index_bg.wasm` },
    ],
    modulesRoot: build,
    compatibilityDate: date,
    bindings: {
      ROOT_URL,
      DATABASE_URL,
      SQL_URL: `${GATEWAY_URL}/sql`,
      UPSTASH_REDIS_REST_URL: GATEWAY_URL,
      UPSTASH_REDIS_REST_TOKEN: GATEWAY_REDIS_TOKEN,
      JWT_KEYS: `k1:${randomBytes(32).toString("base64url")}`,
      MASTER_KEYS: `1:${randomBytes(32).toString("base64url")}`,
    },
  }));
  try {
    return await work((url, init) => worker.dispatchFetch(url, init));
  } finally {
    await worker.dispose();
  }
}

/** A new company's slug and id. */
async function company() {
  const slug = `c${randomBytes(6).toString("hex")}`;
  const made = await fetch(`${ROOT_URL}/v1/signup`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      company: `Company ${slug}`, slug, industry: "plumbing", name: "Olive Owner", email: `owner@${slug}.example`,
      password: "a few words make a good one",
    }),
  });
  assert.equal(made.status, 201);
  return { slug, id: (await made.json()).company.company_id };
}

test("each request is one data point: what it was, whose, and how long it took", async () => {
  const { slug, id } = await company();
  const url = ROOT_URL.replace("://", `://${slug}.`);
  const points = await within(measured("points.push(point);"), async (call) => {
    assert.equal((await call(`${url}/v1/visitor`, { method: "POST" })).status, 201);
    assert.equal((await call(`${url}/v1/agents?secret=in-the-query`)).status, 401);
    assert.equal((await call(`${ROOT_URL}/nothing/is/here`)).status, 404);
    // A request is written when its answer has been sent.
    for (let tries = 0; tries < 200; tries += 1) {
      const points = await (await call(`${ROOT_URL}/points`)).json();
      if (points.length >= 3) return points;
      await sleep(50);
    }
  });
  assert.equal(points.length, 3);
  assert.deepEqual(points.map(({ indexes }) => indexes), [[id], [""], [""]], "whoever is not let in is nobody's");
  assert.deepEqual(points.map(({ blobs }) => blobs), [
    ["/v1/visitor", "POST", "2xx", ""],
    ["/v1/agents", "GET", "4xx", "client"],
    ["-", "GET", "4xx", "client"],
  ]);
  for (const { doubles } of points) {
    assert.equal(doubles.length, 9);
    assert.ok(doubles.every((number) => Number.isFinite(number) && number >= 0), JSON.stringify(doubles));
  }
  assert.deepEqual(points.map(({ doubles: [status] }) => status), [201, 401, 404]);
  // The limits of Analytics Engine: one index of 96 bytes, and nothing of the address's query.
  assert.ok(points.every(({ indexes: [index] }) => index.length <= 96));
  assert.ok(!JSON.stringify(points).includes("secret"));
});

test("a dataset that refuses, or is not there, fails no request", async () => {
  for (const main of [measured("throw new Error('no');"), 'export { default } from "./index.js";']) {
    await within(main, async (call) => assert.equal((await call(`${ROOT_URL}/healthz`)).status, 200));
  }
});
