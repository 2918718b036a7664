// Cloudflare's cron trigger: the built worker is woken as there, by Cloudflare's own simulator around workerd.
// worker.mjs says where the stand is.

import assert from "node:assert/strict";
import { test } from "node:test";
import { neon, neonConfig } from "@neondatabase/serverless";
import { company, within, wrangler } from "./worker.mjs";

const { GATEWAY_URL, DATABASE_URL } = process.env;
neonConfig.fetchEndpoint = () => `${GATEWAY_URL}/sql`;
const sql = neon(DATABASE_URL);
const [hourly, minutely] = JSON.parse(/^crons = (\[.+\])$/m.exec(wrangler)[1]);

/** Wakes a worker with these further settings by this schedule; gives what the runtime says of it. */
const wake = (cron, settings) =>
  within({ settings }, async (worker) => (await worker.getWorker()).scheduled({ cron }));

/** One statement of this company's. */
async function asked(company, statement) {
  const [, rows] = await sql.transaction([sql`select set_config('app.current_company_id', ${company}, true)`, statement]);
  return rows;
}

const remembered = async (company) => {
  const rows = await asked(company, sql`select encode(key_hash, 'hex') as hash from idempotency_keys where company_id = ${company}`);
  return rows.map(({ hash }) => hash).sort();
};

test("the schedule goes round the companies, with the operator's token only", async () => {
  const { id } = await company();
  const [expired, good] = ["ee".repeat(32), "aa".repeat(32)];
  for (const [hash, seconds] of [[expired, -60], [good, 86_400]]) {
    await asked(id, sql`insert into idempotency_keys (company_id, key_hash, request_digest, request_id, expires_at)
      values (${id}, decode(${hash}, 'hex'), decode(${hash}, 'hex'), gen_random_uuid(), now() + make_interval(secs => ${seconds}))`);
  }

  assert.equal((await wake(hourly, {})).outcome, "ok");
  assert.deepEqual(await remembered(id), [good, expired], "it went round without a token");

  const operators = { CRON_TOKEN: "the operator's" };
  assert.equal((await wake(minutely, operators)).outcome, "ok");
  assert.deepEqual(await remembered(id), [good, expired], "each minute it visits only those with something due");

  assert.equal((await wake(hourly, operators)).outcome, "ok");
  assert.deepEqual(await remembered(id), [good]);
});
