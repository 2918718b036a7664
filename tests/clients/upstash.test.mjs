// The official client of Upstash against the gateway: what works with Upstash must work here.
// GATEWAY_URL, GATEWAY_REDIS_TOKEN say where.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { Redis } from "@upstash/redis";

const { GATEWAY_URL: url, GATEWAY_REDIS_TOKEN: token } = process.env;
const redis = new Redis({ url, token, enableTelemetry: false });
const key = (name) => `client_test:${process.pid}:${name}`;
const names = ["text", "json", "hash", "list", "set", "zset", "count", "wrong", "many", "auto"];
after(() => redis.del(...names.map(key)));

test("values of each type come back as they were", async () => {
  assert.equal(await redis.set(key("text"), "grüße \u{1f600}", { ex: 60 }), "OK");
  assert.equal(await redis.get(key("text")), "grüße \u{1f600}");
  await redis.set(key("json"), { a: [1, null], b: "OK" });
  assert.deepEqual(await redis.get(key("json")), { a: [1, null], b: "OK" });
  await redis.set(key("text"), "OK");
  assert.equal(await redis.get(key("text")), "OK");
  assert.equal(await redis.get(key("none")), null);
  await redis.hset(key("hash"), { a: 1, b: "x" });
  assert.deepEqual(await redis.hgetall(key("hash")), { a: 1, b: "x" });
  await redis.rpush(key("list"), "a", "b");
  assert.deepEqual(await redis.lrange(key("list"), 0, -1), ["a", "b"]);
  await redis.sadd(key("set"), "m");
  assert.deepEqual(await redis.smembers(key("set")), ["m"]);
  await redis.zadd(key("zset"), { score: 1.5, member: "m" });
  assert.deepEqual(await redis.zrange(key("zset"), 0, -1, { withScores: true }), ["m", 1.5]);
  assert.equal(await redis.ttl(key("none")), -2);
  assert.equal(await redis.type(key("set")), "set");
});

test("plain encoding answers the same", async () => {
  const plain = new Redis({ url, token, responseEncoding: false, enableTelemetry: false });
  assert.equal(await plain.ping(), "PONG");
  await plain.set(key("text"), "ä");
  assert.equal(await plain.get(key("text")), "ä");
});

test("a pipeline answers each command in order", async () => {
  const answers = await redis.pipeline().set(key("count"), 1).incr(key("count")).get(key("count")).exec();
  assert.deepEqual(answers, ["OK", 2, 2]);
  const kept = await redis.pipeline().set(key("wrong"), "x").lpush(key("wrong"), "y").exec({ keepErrors: true });
  assert.equal(kept[0].result, "OK");
  assert.match(kept[1].error, /^WRONGTYPE/);
});

test("a transaction runs as one", async () => {
  assert.deepEqual(await redis.multi().set(key("count"), 5).incrby(key("count"), 2).exec(), ["OK", 7]);
});

test("scripts run by text and by digest", async () => {
  const script = redis.createScript("return {KEYS[1], ARGV[1], 3}");
  assert.deepEqual(await script.exec([key("count")], ["a"]), [key("count"), "a", 3]);
  const digest = await redis.scriptLoad("return redis.call('incrby', KEYS[1], ARGV[1])");
  assert.equal(await redis.evalsha(digest, [key("count")], [3]), 10);
  await assert.rejects(redis.evalsha("0".repeat(40), [], []), /NOSCRIPT/);
});

test("errors carry what Redis said", async () => {
  await assert.rejects(redis.lpush(key("text"), "x"), /WRONGTYPE/);
  await assert.rejects(redis.keys("*"), /not available through the gateway/);
  const stranger = new Redis({ url, token: "wrong", retry: false, enableTelemetry: false });
  await assert.rejects(stranger.get("x"), /Unauthorized/);
});

test("many at once each get their own answer", async () => {
  const single = new Redis({ url, token, enableAutoPipelining: false, enableTelemetry: false });
  const words = Array.from({ length: 100 }, (_, n) => `word ${n}`);
  assert.deepEqual(await Promise.all(words.map((word) => single.echo(word))), words);
  const pipelined = new Redis({ url, token, enableAutoPipelining: true, enableTelemetry: false });
  assert.deepEqual(await Promise.all(words.map((word) => pipelined.echo(word))), words);
});

test("one command in the path", async () => {
  const headers = { Authorization: `Bearer ${token}` };
  const name = encodeURIComponent(key("text"));
  const set = await fetch(`${url}/set/${name}?EX=60`, { method: "POST", headers, body: "a/b c" });
  assert.deepEqual(await set.json(), { result: "OK" });
  const get = await fetch(`${url}/get/${name}?_token=${token}`);
  assert.deepEqual(await get.json(), { result: "a/b c" });
});
