// The built worker in Cloudflare's own simulator around workerd, on the stand that ROOT_URL, GATEWAY_URL, DATABASE_URL and
// GATEWAY_REDIS_TOKEN name; and companies to ask it for. It never changes what was built.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { Miniflare, convertV4MiniflareOptions } from "miniflare";

const { ROOT_URL, GATEWAY_URL, DATABASE_URL, GATEWAY_REDIS_TOKEN } = process.env;
const build = "src/edge/workers/build";

/** `wrangler.toml`, as text. */
export const wrangler = readFileSync("wrangler.toml", "utf8");

/** Works with a worker that has these further settings, or this module in front of it, and stops it. */
export async function within({ settings = {}, main }, work) {
  const worker = new Miniflare(convertV4MiniflareOptions({
    modules: [
      ...(main ? [{ type: "ESModule", path: `${build}/main.js`, contents: main }] : []),
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
    return await work(worker);
  } finally {
    await worker.dispose();
  }
}

/** A new company's slug and id. */
export async function company() {
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
