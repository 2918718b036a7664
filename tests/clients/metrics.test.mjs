// Workers Analytics Engine: what the built worker writes to the dataset METRICS, in Cloudflare's own simulator around workerd. The
// dataset is a double, because the simulator's own keeps nothing. worker.mjs says
// where the stand is.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { company, within } from "./worker.mjs";

const { ROOT_URL } = process.env;

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

/** Calls with the worker that has this module in front of it. */
const calls = (main, work) => within({ main }, (worker) => work((url, init) => worker.dispatchFetch(url, init)));

test("each request is one data point: what it was, whose, and how long it took", async () => {
  const { slug, id } = await company();
  const url = ROOT_URL.replace("://", `://${slug}.`);
  const points = await calls(measured("points.push(point);"), async (call) => {
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
    await calls(main, async (call) => assert.equal((await call(`${ROOT_URL}/healthz`)).status, 200));
  }
});
