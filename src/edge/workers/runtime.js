// What the worker asks of the runtime: one call for a request, its headers and its whole answer. Piece by piece they were hundreds
// of crossings between wasm and JavaScript in a chat turn, each as dear as what was done beyond it.
//
// Headers cross as lines, a name and its value by turns: HTTP allows no line break in either.

// Each step of a future is a microtask. The runtime's own queueMicrotask makes several objects of C++ for each.
globalThis.queueMicrotask = (work) => void Promise.resolve().then(work);

export function linesOf(headers) {
    let lines = "";
    for (const [name, value] of headers) lines += `${name}\n${value}\n`;
    return lines;
}

export function headersOf(lines) {
    const headers = new Headers(), parts = lines.split("\n");
    for (let at = 0; at + 1 < parts.length; at += 2) headers.append(parts[at], parts[at + 1]);
    return headers;
}

// A quick stream is read once in so many milliseconds, so that its words come a handful at a time. The core waits a little less,
// and so not once more.
const FRAME_MS = 20;
// As much as the runtime hands out at once: behind so much there may be more.
const FULL = 4096;

// A body that says it is no longer is read in one step; not one that is packed, which may unpack to anything. Bytes.
const WHOLE = 256 * 1024;

// To be woken for each chunk costs more than all that is done with it: 55 to 60 of 80 µs. So the runtime itself drains a second
// branch, which makes it keep what comes meanwhile for ours. It may keep a whole answer, since nothing slows the sender down.
function gathered(body) {
    const [ours, other] = body.tee(), drain = new IdentityTransformStream(), nothing = () => {};
    other.pipeTo(drain.writable).catch(nothing);
    new Response(drain.readable).arrayBuffer().catch(nothing);
    return ours;
}

// One line for the operator. What a request's says of its figures goes to the dataset METRICS too, where the deployment has one
// (Workers Analytics Engine): nothing that is not in the line.
export function log(env, level, line) {
    console[level](line);
    if (!env.METRICS || !line.includes('"event":"request"')) return;
    try {
        env.METRICS.writeDataPoint(pointOf(JSON.parse(line)));
    } catch {
        // No request fails because it is not counted.
    }
}

// docs/OPERATIONS.md says which column is what: more may come, none may change its place.
function pointOf(line) {
    const { company_id, route, method, status, fault, ms, head_ms, postgres, redis, model } = line;
    const parts = [postgres, redis, model];
    return {
        indexes: [company_id ?? ""],
        blobs: [route, method, `${Math.floor(status / 100)}xx`, fault ?? ""],
        doubles: [status, ms, head_ms, ...parts.map((part) => part?.ms ?? 0), ...parts.map((part) => part?.failed ?? 0)],
    };
}

// A request to somewhere else and its answer. Bytes from wasm are copied at once, since its memory moves.
export class Exchange {
    #controller = new AbortController();
    #deadline = 0;
    #timer;
    #timerAt;
    #idleMs;
    #response;
    #reader;
    #gathers = false;
    // When something was read last, and whether it had been waiting to be.
    #readAt = 0;
    #quick = false;

    // Brings the answer's headers. Afterwards `status` is there.
    async send(method, url, lines, body, headMs, idleMs) {
        this.#idleMs = idleMs;
        this.#within(headMs);
        try {
            const response = await fetch(url, {
                method,
                headers: headersOf(lines),
                body: body.length ? body.slice() : undefined,
                // A redirect could carry a company's key to another host.
                redirect: "manual",
                signal: this.#controller.signal,
            });
            this.status = response.status;
            this.#deadline = Infinity;
            const headers = response.headers, length = headers.get("content-length");
            if (response.body === null) {
                this.#end();
            } else if (length !== null && length <= WHOLE && !headers.has("content-encoding")) {
                this.#response = response;
            } else {
                this.#gathers = headers.get("content-type")?.startsWith("text/event-stream") ?? false;
                this.#reader = (this.#gathers ? gathered(response.body) : response.body).getReader();
            }
            return linesOf(headers);
        } catch (error) {
            this.#end();
            throw error;
        }
    }

    // The next chunk of the body, or all of a short one; undefined at its end.
    async read() {
        if (this.#response) {
            this.#within(this.#idleMs);
            const whole = await this.#response.arrayBuffer();
            this.#end();
            return new Uint8Array(whole);
        }
        const early = FRAME_MS - (Date.now() - this.#readAt);
        if (this.#quick && early > 0) await new Promise((resolve) => setTimeout(resolve, early));
        const asked = Date.now();
        this.#within(this.#idleMs);
        const { done, value } = await this.#reader.read();
        // Nothing is waited for until the next call: a slow reader is not the sender's fault.
        this.#deadline = Infinity;
        this.#readAt = Date.now();
        this.#quick = this.#gathers && this.#readAt - asked < FRAME_MS && value?.length < FULL;
        if (done) this.#end();
        return value;
    }

    // Whether there is nothing more to read.
    get over() {
        return this.#deadline === 0;
    }

    // Whether what was waited for did not come in time.
    get late() {
        return this.#controller.signal.aborted;
    }

    // Ends the exchange wherever it is; after its end nothing happens.
    abort() {
        if (this.#deadline) this.#controller.abort();
        this.#end();
    }

    // From now on the next thing may take so long. One timer follows a deadline that moves away: a new one for each chunk would cost
    // as much as the chunk.
    #within(ms) {
        this.#deadline = Date.now() + ms;
        if (this.#timer === undefined || this.#timerAt > this.#deadline) this.#wake(ms);
    }

    #wake(ms) {
        clearTimeout(this.#timer);
        this.#timerAt = Date.now() + ms;
        this.#timer = setTimeout(() => this.#look(), ms);
    }

    #look() {
        this.#timer = undefined;
        const left = this.#deadline - Date.now();
        if (left <= 0) this.#controller.abort();
        else if (left < Infinity) this.#wake(left);
    }

    #end() {
        this.#deadline = 0;
        clearTimeout(this.#timer);
        this.#timer = undefined;
    }
}
