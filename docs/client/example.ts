// What the client is like in use. The gate checks its types; the lines marked so must not compile.

import { Problem, client } from "./client.ts";

export async function addAgent(base: string, email: string, password: string): Promise<string> {
  const { access_token } = await client(base)("POST /v1/login", { body: { email, password } });
  const call = client(base, access_token);
  const { agents } = await call("GET /v1/agents");
  if (agents.some((agent) => agent.slug === "night")) return "there already";
  try {
    const agent = await call("POST /v1/agents", {
      body: { slug: "night", name: "Nora", role: "answers at night", instructions: "Be brief.", tier: "fast" },
      key: crypto.randomUUID(),
    });
    await call("PATCH /v1/agents/{id}", { id: agent.agent_id, body: { greeting: "Good evening." } });
    return agent.agent_id;
  } catch (error) {
    if (error instanceof Problem) return error.detail;
    throw error;
  }
}

export async function refusals(): Promise<void> {
  const call = client("http://localhost");
  // @ts-expect-error: there is no such address
  await call("GET /v1/agent");
  // @ts-expect-error: the body lacks fields
  await call("POST /v1/agents", { body: { slug: "night" } });
  // @ts-expect-error: the id is missing
  await call("DELETE /v1/agents/{id}");
  // @ts-expect-error: there is no such tier
  await call("PATCH /v1/agents/{id}", { id: "1", body: { tier: "cheap" } });
  // @ts-expect-error: an agent has no such field
  (await call("GET /v1/agents/{id}", { id: "1" })).colour;
}
