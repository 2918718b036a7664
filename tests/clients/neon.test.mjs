// The official driver of Neon against the gateway: what works with Neon must work here.
// GATEWAY_URL, DATABASE_URL say where.

import assert from "node:assert/strict";
import { test } from "node:test";
import { neon, neonConfig } from "@neondatabase/serverless";

const { GATEWAY_URL, DATABASE_URL } = process.env;
neonConfig.fetchEndpoint = () => `${GATEWAY_URL}/sql`;
const sql = neon(DATABASE_URL);

test("a query's values come back with their JavaScript types", async () => {
  const rows = await sql`select ${1}::int as i, ${"x"} as t, ${true}::bool as b, ${[1, 2]}::int[] as a,
    ${{ k: [1] }}::jsonb as j, 9007199254740993::int8 as big, null as n, 1.5::float8 as f,
    '2024-01-02T03:04:05.678Z'::timestamptz as at, '\\x00ff'::bytea as bytes`;
  assert.deepEqual(rows, [{
    i: 1, t: "x", b: true, a: [1, 2], j: { k: [1] }, big: "9007199254740993", n: null, f: 1.5,
    at: new Date("2024-01-02T03:04:05.678Z"), bytes: Buffer.from([0, 255]),
  }]);
});

test("full results name fields, command and count", async () => {
  const result = await neon(DATABASE_URL, { fullResults: true, arrayMode: true }).query("select n from generate_series(1, 3) n");
  assert.equal(result.command, "SELECT");
  assert.equal(result.rowCount, 3);
  assert.deepEqual(result.rows, [[1], [2], [3]]);
  assert.equal(result.fields[0].name, "n");
  assert.equal(result.fields[0].dataTypeID, 23);
});

test("a transaction is one batch with its own settings", async () => {
  const results = await sql.transaction(
    [sql`show transaction_isolation`, sql`show transaction_read_only`, sql`select 1 as one`],
    { isolationLevel: "RepeatableRead", readOnly: true },
  );
  assert.deepEqual(results, [
    [{ transaction_isolation: "repeatable read" }], [{ transaction_read_only: "on" }], [{ one: 1 }],
  ]);
});

test("a read-only transaction does not write", async () => {
  await assert.rejects(
    sql.transaction([sql`create table written (a int)`], { readOnly: true }),
    (error) => error.code === "25006",
  );
});

test("errors carry what Postgres said", async () => {
  await assert.rejects(sql`select 1 / ${0}::int`, (error) => {
    assert.equal(error.name, "NeonDbError");
    assert.equal(error.code, "22012");
    assert.equal(error.severity, "ERROR");
    assert.match(error.message, /division by zero/);
    return true;
  });
  await assert.rejects(sql.query("selec 1"), (error) => error.code === "42601" && error.position === "1");
});

test("a wrong password is refused", async () => {
  const url = new URL(DATABASE_URL);
  url.password = "wrong";
  await assert.rejects(neon(url.href)`select 1`, /password authentication failed/);
});

test("an aborted query rejects and the next one works", async () => {
  const controller = new AbortController();
  const running = sql.query("select pg_sleep(9)", [], { fetchOptions: { signal: controller.signal } });
  setTimeout(() => controller.abort(), 100);
  await assert.rejects(running);
  assert.deepEqual(await sql`select 1 as one`, [{ one: 1 }]);
});

test("many at once each get their own rows", async () => {
  const numbers = Array.from({ length: 100 }, (_, n) => n);
  const rows = await Promise.all(numbers.map((n) => sql`select ${n}::int as n`));
  assert.deepEqual(rows.map(([row]) => row.n), numbers);
});
