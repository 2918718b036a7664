// The requests of Bulkhead's chat turn and nothing else, in plain JavaScript: the same bytes to Postgres, Redis and the provider, in
// the same two stages, and the answer handed on word by word, read as seldom. It checks no token, opens no key, decides nothing and
// puts nothing together. The least that a turn of these requests takes of a worker.
const encoder = new TextEncoder(), decoder = new TextDecoder();
const FRAME_MS = 20;
// Not checked here, but as long as a worker's.
const POSTGRES = { "content-type": "application/json", "neon-connection-string": "postgresql://worker:not-checked@127.0.0.1/bulkhead" };
const REDIS = { "content-type": "application/json", authorization: "Bearer not-checked" };

export default {
    async fetch(request, env, context) {
        await request.json();
        const post = (url, headers, body) => fetch(url, { method: "POST", headers, body });
        const both = (sql, script) => Promise.all([
            post(`${env.RELAY_URL}/sql`, POSTGRES, sql).then((answer) => answer.json()),
            post(env.RELAY_URL, REDIS, script).then((answer) => answer.json()),
        ]);
        await both(env.STORED, env.RESERVED);
        const { readable, writable } = new IdentityTransformStream();
        context.waitUntil((async () => {
            const writer = writable.getWriter();
            const answer = await post(`${env.PROVIDER_URL}/chat/completions`, { "content-type": "application/json" }, env.PROMPT);
            for await (const words of deltas(answer.body)) await writer.write(encoder.encode(words));
            await both(env.KEPT, env.SETTLED);
            await writer.write(encoder.encode('event: done\ndata: {"source":"model"}\n\n'));
            await writer.close();
        })());
        return new Response(readable, { headers: { "content-type": "text/event-stream" } });
    },
};

// As src/edge/workers/runtime.js reads a stream: drained by the runtime, looked at once in a while.
async function* deltas(body) {
    const [ours, other] = body.tee(), drain = new IdentityTransformStream();
    other.pipeTo(drain.writable);
    new Response(drain.readable).arrayBuffer();
    const reader = ours.getReader();
    let rest = "";
    for (let readAt = 0; ;) {
        const early = FRAME_MS - (Date.now() - readAt);
        if (early > 0) await new Promise((resolve) => setTimeout(resolve, early));
        const { done, value } = await reader.read();
        if (done) return;
        readAt = Date.now();
        const events = (rest + decoder.decode(value, { stream: true })).split("\n\n");
        rest = events.pop();
        const texts = events.filter((event) => event !== "data: [DONE]").map((event) => JSON.parse(event.slice(6)).choices[0]?.delta.content);
        const words = texts.filter(Boolean).map((text) => `event: delta\ndata: ${JSON.stringify({ text })}\n\n`);
        if (words.length) yield words.join("");
    }
}
