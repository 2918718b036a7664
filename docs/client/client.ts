// A typed client in forty lines: addresses, bodies and answers are those of api.ts (GET /docs/api.ts of any deployment).
//
//   const acme = client("https://acme-plumbing.example.com");
//   const { access_token } = await acme("POST /v1/login", { body: { email, password } });
//   const mine = client("https://acme-plumbing.example.com", access_token);
//   const { agents } = await mine("GET /v1/agents");

import type { Api } from "../../src/openapi/api.ts";

/** What a request carries: only what its address takes, and all of it that must be there. */
type Carried<Operation, Address> = (Operation extends { takes: infer Body } ? { body: Body } : unknown) &
  (Operation extends { query: infer Query } ? { query: Query } : unknown) &
  (Address extends `${string}{id}${string}` ? { id: string } : unknown) & { key?: string };

/** What it brings: the body of whichever status says that it is done. */
type Brought<Operation> = Operation[keyof Operation & (200 | 201 | 202 | 204)];

/** A problem document (RFC 9457). `detail` says what to do; `request_id` is what to tell the operator. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly detail: string,
    readonly requestId: string | null,
  ) {
    super(detail);
  }
}

export function client(base: string, token?: string) {
  return async <Address extends keyof Api>(
    address: Address,
    ...given: {} extends Carried<Api[Address], Address> ? [Carried<Api[Address], Address>?] : [Carried<Api[Address], Address>]
  ): Promise<Brought<Api[Address]>> => {
    const { body, query, id, key } = (given[0] ?? {}) as { body?: unknown; query?: Record<string, string>; id?: string; key?: string };
    const [method, path] = address.split(" ") as [string, string];
    const url = new URL(path.replace("{id}", encodeURIComponent(id ?? "")), base);
    for (const [name, value] of Object.entries(query ?? {})) url.searchParams.set(name, value);
    const headers: Record<string, string> = { "content-type": "application/json" };
    if (token) headers["authorization"] = `Bearer ${token}`;
    if (key) headers["idempotency-key"] = key;
    const answer = await fetch(url, { method, headers, body: body === undefined ? null : JSON.stringify(body) });
    const text = await answer.text();
    const json = answer.headers.get("content-type")?.includes("json") ?? false;
    const brought = text === "" ? null : json ? JSON.parse(text) : text;
    if (!answer.ok) throw new Problem(answer.status, brought?.detail ?? answer.statusText, answer.headers.get("x-request-id"));
    return brought;
  };
}
