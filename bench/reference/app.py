"""One chat turn of one company, the usual way: FastAPI, asyncpg, redis-py, aiohttp.

It uses Bulkhead's own Postgres schema as Bulkhead's own role, under row-level security, and does what a turn there does: token,
company filter, `set_config`, question, agent, contexts, knowledge search (the very statement), history, memories, models, budget,
stream, answer, ledger, memory. It does less in these: the provider's key is a setting and not sealed for each company; the budget
is INCRBY and not an atomic reservation, so a crash leaves it wrong and many at once may pass it together; one provider, no tools,
no fallbacks, no alerts, no limits but questions a minute.
"""

import asyncio
import os
import time
from contextlib import asynccontextmanager
from datetime import datetime, timezone
from uuid import UUID, uuid4

import aiohttp
import asyncpg
import jwt
import orjson
import redis.asyncio as redis
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, StreamingResponse

JWT_KEY = os.environ["REFERENCE_JWT_KEY"]
PROVIDER = os.environ["PROVIDER_URL"] + "/chat/completions"
SEARCH = open(os.environ["SEARCH_SQL"]).read()
ESTIMATE_MICROUSD = 20_000
TURNS_A_MINUTE = 60_000


@asynccontextmanager
async def lifespan(app: FastAPI):
    """Everything that is made once: pools of connections to Postgres, Redis and the provider."""
    app.state.postgres = await asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=4, max_size=16)
    app.state.redis = redis.from_url(os.environ["REDIS_URL"], max_connections=64, decode_responses=True)
    app.state.provider = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    yield
    await app.state.provider.close()
    await app.state.redis.aclose()
    await app.state.postgres.close()


class Tokens:
    """Who asks, and for which company: a middleware of plain ASGI, since Starlette's own would buffer what streams."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http" or scope["path"] == "/healthz":
            return await self.app(scope, receive, send)
        token = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        try:
            options = {"require": ["exp", "aud", "sub"], "verify_aud": False}
            claims = jwt.decode(token.removeprefix(b"Bearer "), JWT_KEY, algorithms=["HS256"], options=options)
            state = scope.setdefault("state", {})
            state["company"], state["visitor"] = UUID(claims["aud"]), UUID(claims["sub"])
        except (jwt.InvalidTokenError, ValueError):
            return await JSONResponse({"detail": "sign in"}, 401)(scope, receive, send)
        return await self.app(scope, receive, send)


app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
app.add_middleware(Tokens)


@app.get("/healthz")
async def healthz():
    return JSONResponse({"status": "ok"})


@app.post("/v1/chat")
async def chat(request: Request):
    """One turn: reserve and read at the same time, then stream, then keep."""
    asked = orjson.loads(await request.body())
    question = asked.get("message", "").strip()
    if not question or len(question) > 4_000:
        raise HTTPException(400, "a message of 1 to 4,000 characters")
    company, visitor = request.state.company, request.state.visitor
    begins = "conversation_id" not in asked
    turn = Turn(app.state, company, visitor, uuid4() if begins else UUID(asked["conversation_id"]), question)
    (spent, turns, remembered), read = await asyncio.gather(turn.reserve(), turn.store(begins))
    if turns > TURNS_A_MINUTE:
        await turn.settle(0, None)
        raise HTTPException(429, "too many questions")
    if spent > read["budget"]["daily_limit_microusd"]:
        await turn.settle(0, None)
        raise HTTPException(402, "the budget is used up")
    return StreamingResponse(turn.answer(read, remembered), media_type="text/event-stream")


class Turn:
    """A question and what becomes of it."""

    def __init__(self, state, company: UUID, visitor: UUID, conversation: UUID, question: str):
        self.state, self.company, self.visitor = state, company, visitor
        self.conversation, self.question, self.message = conversation, question, uuid4()
        self.day = datetime.now(timezone.utc).date()
        self.spend_key = f"reference:spend:{{{company}}}:{self.day}"
        self.memory_key = f"reference:memory:{{{company}}}:{conversation}"

    async def reserve(self):
        """Takes an estimate out of the day's budget, counts the question, reads what was said of late: one round trip."""
        minute_key = f"reference:turns:{{{self.company}}}:{int(time.time()) // 60}"
        async with self.state.redis.pipeline(transaction=False) as pipe:
            pipe.incrby(self.spend_key, ESTIMATE_MICROUSD)
            pipe.incr(minute_key)
            pipe.expire(minute_key, 120)
            pipe.lrange(self.memory_key, -12, -1)
            spent, turns, _, memory = await pipe.execute()
        return spent, turns, [orjson.loads(value) for value in memory]

    async def settle(self, cost_microusd: int, answer: str | None):
        """Puts the real cost in the estimate's place and remembers what was said."""
        async with self.state.redis.pipeline(transaction=False) as pipe:
            pipe.incrby(self.spend_key, cost_microusd - ESTIMATE_MICROUSD)
            pipe.expire(self.spend_key, 259_200)
            if answer is not None:
                pipe.rpush(self.memory_key, orjson.dumps({"question": self.question, "answer": answer}))
                pipe.ltrim(self.memory_key, -12, -1)
                pipe.expire(self.memory_key, 86_400)
            await pipe.execute()

    @asynccontextmanager
    async def transaction(self):
        """A transaction for this company: row-level security sees no other's rows in it."""
        async with self.state.postgres.acquire() as db, db.transaction():
            await db.execute("select set_config('app.current_company_id', $1, true)", str(self.company))
            yield db

    async def store(self, begins: bool):
        """Stores the question and reads what its answer needs."""
        company, conversation, visitor = self.company, self.conversation, self.visitor
        async with self.transaction() as db:
            if begins:
                await db.execute(CONVERSATION_BEGIN, company, conversation, visitor)
            stored = await db.execute(QUESTION_ADD, company, self.message, conversation, self.question, visitor)
            if stored != "INSERT 0 1":
                raise HTTPException(404, "no such conversation")
            return {
                "agent": await db.fetchrow(AGENT_READ, company, conversation),
                "contexts": await db.fetch(CONTEXT_LIST, company),
                "hits": await db.fetch(SEARCH, company, self.question, conversation, visitor, None),
                "history": [] if begins else await db.fetch(HISTORY_LIST, company, conversation, self.message),
                "memories": await db.fetch(MEMORY_LIST, company, conversation, visitor),
                "models": await db.fetch(MODEL_LIST, company),
                "budget": await db.fetchrow(BUDGET_READ, company, self.day),
            }

    async def answer(self, read, remembered):
        """Streams what the model says, then keeps it."""
        yield event("start", {"conversation_id": str(self.conversation), "agent": read["agent"]["name"]})
        model = read["models"][0]
        prompt = {
            "model": model["model"],
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": read["budget"]["max_output_tokens"],
            "messages": self.messages(read, remembered),
        }
        said, usage = [], {"prompt_tokens": 0, "completion_tokens": 0}
        headers = {"authorization": "Bearer bench-no-real-key", "content-type": "application/json"}
        async with self.state.provider.post(PROVIDER, data=orjson.dumps(prompt), headers=headers) as response:
            response.raise_for_status()
            async for line in response.content:
                if not line.startswith(b"data: ") or line.startswith(b"data: [DONE]"):
                    continue
                chunk = orjson.loads(line[6:])
                if chunk["choices"] and (text := chunk["choices"][0]["delta"].get("content")):
                    said.append(text)
                    yield event("delta", {"text": text})
                usage = chunk.get("usage") or usage
        answer = "".join(said)
        cost = (
            usage["prompt_tokens"] * model["input_microusd_per_mtok"]
            + usage["completion_tokens"] * model["output_microusd_per_mtok"]
        ) // 1_000_000
        await asyncio.gather(self.keep(read, model, usage, cost, answer), self.settle(cost, answer))
        yield event("done", {"source": "model", "input_tokens": usage["prompt_tokens"]})

    def messages(self, read, remembered):
        """The prompt: the agent, the company's contexts, what is known, what was said."""
        agent = read["agent"]
        system = [f"You are {agent['name']}, {agent['role']}.", agent["instructions"]]
        system += [f"## {context['kind']}\n{context['body']}" for context in read["contexts"]]
        system += [f"Q: {hit['question']}\nA: {hit['answer']}" for hit in read["hits"]]
        system += [f"This visitor asked earlier: {memory['body']}" for memory in read["memories"]]
        messages = [{"role": "system", "content": "\n".join(system)[:20_000]}]
        if remembered:
            for turn in remembered:
                messages.append({"role": "user", "content": turn["question"]})
                messages.append({"role": "assistant", "content": turn["answer"]})
        else:
            roles = {"visitor": "user", "agent": "assistant", "member": "assistant"}
            messages += [{"role": roles[said["author"]], "content": said["body"]} for said in read["history"]]
        return messages + [{"role": "user", "content": self.question}]

    async def keep(self, read, model, usage, cost_microusd: int, answer: str):
        """Keeps the answer, what the conversation was about, and what it cost."""
        company, conversation, agent = self.company, self.conversation, read["agent"]["agent_id"]
        cited = [{"entry_id": str(hit["entry_id"]), "question": hit["question"]} for hit in read["hits"][:3]]
        async with self.transaction() as db:
            cited = orjson.dumps(cited).decode()
            await db.execute(ANSWER_ADD, company, uuid4(), conversation, answer, cited, self.message)
            await db.execute(MEMORY_ADD, company, conversation, agent, self.visitor, self.question[:300])
            spend = (usage["prompt_tokens"], usage["completion_tokens"], cost_microusd)
            provider, name = model["provider_id"], model["model"]
            await db.execute(LEDGER_ADD, company, uuid4(), self.day, conversation, agent, provider, name, *spend)
            await db.execute(DAY_ADD, company, self.day, cost_microusd, sum(spend[:2]))


def event(name: str, data) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(data) + b"\n\n"


CONVERSATION_BEGIN = """
    insert into conversations (company_id, conversation_id, agent_id, visitor_id)
    select $1, $2, agent_id, $3 from agents where company_id = $1 and is_default and enabled"""
QUESTION_ADD = """
    insert into messages (company_id, message_id, conversation_id, author, body)
    select $1, $2, conversation_id, 'visitor', $4 from conversations
    where company_id = $1 and conversation_id = $3 and visitor_id = $5"""
AGENT_READ = """
    select a.agent_id, a.name, a.role, a.instructions from conversations c
    join agents a on a.company_id = c.company_id and a.agent_id = c.agent_id
    where c.company_id = $1 and c.conversation_id = $2"""
CONTEXT_LIST = "select kind, body from gpt_contexts where company_id = $1 order by position, kind"
HISTORY_LIST = """
    select author, body from (
        select author, body, message_id from messages
        where company_id = $1 and conversation_id = $2 and message_id <> $3 order by message_id desc limit 24) recent
    order by message_id"""
MEMORY_LIST = """
    select m.body from conversations c
    join memories m on m.company_id = c.company_id and m.agent_id = c.agent_id and m.visitor_id = c.visitor_id
    where c.company_id = $1 and c.conversation_id = $2 and c.visitor_id = $3 and m.memory_id <> c.conversation_id
      and m.expires_at > now()
    order by m.memory_id desc limit 5"""
MODEL_LIST = """
    select p.provider_id, m.model, m.input_microusd_per_mtok, m.output_microusd_per_mtok from providers p
    join provider_models m on m.company_id = p.company_id and m.provider_id = p.provider_id
    where p.company_id = $1 and p.enabled order by p.position, p.provider_id, m.input_microusd_per_mtok"""
BUDGET_READ = """
    select b.daily_limit_microusd, b.max_output_tokens, coalesce(d.spent_microusd, 0) as spent_microusd from budgets b
    left join ledger_days d on d.company_id = b.company_id and d.day = $2
    where b.company_id = $1"""
ANSWER_ADD = """
    insert into messages (company_id, message_id, conversation_id, author, body, source, citations, answers)
    values ($1, $2, $3, 'agent', $4, 'model', $5::text::jsonb, $6)"""
MEMORY_ADD = """
    insert into memories (company_id, memory_id, agent_id, visitor_id, body, expires_at)
    values ($1, $2, $3, $4, $5, now() + interval '30 days') on conflict (company_id, memory_id) do nothing"""
LEDGER_ADD = """
    insert into usage_ledger (company_id, reservation_id, call, day, conversation_id, agent_id, provider_id, model, routing,
                              input_tokens, output_tokens, cost_microusd, estimated)
    values ($1, $2, 1, $3, $4, $5, $6, $7, 'best', $8, $9, $10, false)"""
DAY_ADD = """
    insert into ledger_days (company_id, day, spent_microusd, tokens, turns) values ($1, $2, $3, $4, 1)
    on conflict (company_id, day) do update
    set spent_microusd = ledger_days.spent_microusd + excluded.spent_microusd,
        tokens = ledger_days.tokens + excluded.tokens, turns = ledger_days.turns + 1"""
