// Cloudflare's cron trigger: the built worker is woken as there, by Cloudflare's own simulator around workerd.
// ROOT_URL, GATEWAY_URL, DATABASE_URL and GATEWAY_REDIS_TOKEN say where the stand is.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { neon, neonConfig } from "@neondatabase/serverless";
import { Miniflare, convertV4MiniflareOptions } from "miniflare";

const { ROOT_URL, GATEWAY_URL, DATABASE_URL, GATEWAY_REDIS_TOKEN } = process.env;
neonConfig.fetchEndpoint = () => `${GATEWAY_URL}/sql`;
const sql = neon(DATABASE_URL);
const wrangler = readFileSync("wrangler.toml", "utf8");
const build = "src/edge/workers/build";

/** Wakes a worker with these further settings by its schedule; gives what the runtime says of it. */
async function wake(settings) {
  const worker = new Miniflare(convertV4MiniflareOptions({
    modules: [
      { type: "ESModule", path: `${build}/index.js` },
      { type: "CompiledWasm", path: `${build}/index_bg.wasm` },
    ],
    modulesRoot: build,
    compatibilityDate: /^compatibility_date = "(.+)"$/m.exec(wrangler)[1],
    bindings: {
      ROOT_URL,
      DATABASE_URL,
      SQL_URL: `${GATEWAY_URL}/sql`,
      UPSTASH_REDIS_REST_URL: GATEWAY_URL,
      UPSTASH_REDIS_REST_TOKEN: GATEWAY_REDIS_TOKEN,
      JWT_KEYS: `k1:${randomBytes(32).toString("base64url")}`,
      MASTER_KEYS: `1:${randomBytes(32).toString("base64url")}`,
      ...settings,
    },
  }));
  try {
    const fetcher = await worker.getWorker();
    return await fetcher.scheduled({ cron: /^crons = \["(.+)"\]$/m.exec(wrangler)[1] });
  } finally {
    await worker.dispose();
  }
}

/** A new company's id. */
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
  return (await made.json()).company.company_id;
}

/** One statement of this company's. */
async function within(company, statement) {
  const [, rows] = await sql.transaction([sql`select set_config('app.current_company_id', ${company}, true)`, statement]);
  return rows;
}

const remembered = async (company) => {
  const rows = await within(company, sql`select encode(key_hash, 'hex') as hash from idempotency_keys where company_id = ${company}`);
  return rows.map(({ hash }) => hash).sort();
};

test("the schedule goes round the companies, with the operator's token only", async () => {
  const id = await company();
  const [expired, good] = ["ee".repeat(32), "aa".repeat(32)];
  for (const [hash, seconds] of [[expired, -60], [good, 86_400]]) {
    await within(id, sql`insert into idempotency_keys (company_id, key_hash, request_digest, request_id, expires_at)
      values (${id}, decode(${hash}, 'hex'), decode(${hash}, 'hex'), gen_random_uuid(), now() + make_interval(secs => ${seconds}))`);
  }

  assert.equal((await wake({})).outcome, "ok");
  assert.deepEqual(await remembered(id), [good, expired], "it went round without a token");

  assert.equal((await wake({ CRON_TOKEN: "the operator's" })).outcome, "ok");
  assert.deepEqual(await remembered(id), [good]);
});
