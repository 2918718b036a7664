// Hands a request on and reads the answer before it hands that on, chunk by chunk, changing nothing: the least that a worker can do
// which has to know what was said. Reading takes the answer out of workerd's own hands and through JavaScript's streams.
export default {
    async fetch(request, env) {
        const { pathname } = new URL(request.url);
        const { method, headers, body } = request;
        const answer = await fetch(env.PROVIDER_URL + pathname.replace("/v1", ""), { method, headers, body });
        const reader = answer.body.getReader();
        const read = new ReadableStream({
            async pull(controller) {
                const { done, value } = await reader.read();
                if (done) controller.close();
                else controller.enqueue(value);
            },
        }, { highWaterMark: 0 });
        return new Response(read, { status: answer.status, headers: answer.headers });
    },
};
