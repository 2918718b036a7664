//! The limiter's two scripts. Each is one request, atomic in Redis, and all or nothing.
//!
//! They never read a key that they were not given, and believe no value that names another company.
//!
//! Hosted Redis bills commands inside scripts too, so each reads its hashes whole and writes each of them once.

/// Reserves, counts questions, reads memory and health.
///
/// Keys: the day, the conversation's memory. Arguments: company, reservation, now and hold in
/// milliseconds, visitor, address (or nothing); to seed also limits ([`Budget::limits`](crate::budget::Budget::limits)), bounds
/// ([`Bounds`](crate::smart_router::Bounds)), micro-dollars and tokens of the ledger; for an agent with a limit of its own
/// also agent, limit, its micro-dollars of the ledger.
///
/// Answers {verdict, micro-dollars, tokens, limits, bounds, micro-dollars and tokens spent or held by others, memory,
/// health}. Verdicts: held, refused, busy, rate (of the visitor or address), crowd (all of them
/// together), unseeded, foreign. Health is provider, state, provider, state, …
pub const OPEN: &str = "
local key, memory_key = KEYS[1], KEYS[2]
local company, id, now, hold_ms, visitor, address =
    ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5], ARGV[6]
local seeds, agent = #ARGV > 6, ARGV[11]
local function number(text) return tonumber(text or 0) end
local function whole(value) return string.format('%.0f', value) end
local function numbers(text)
    local list = {}
    for one in string.gmatch(text, '%d+') do list[#list + 1] = tonumber(one) end
    return list
end

local day, flat = {}, redis.call('HGETALL', key)
for i = 1, #flat, 2 do day[flat[i]] = flat[i + 1] end
if day.company and day.company ~= company then return {'foreign'} end
local memory = redis.call('LRANGE', memory_key, -12, -1)
local puts, drops = {}, {}
local function put(field, value)
    day[field] = value
    puts[#puts + 1] = field
    puts[#puts + 1] = value
end

-- Questions of this minute: of all visitors, of this one, of this address. Telling the limits is no question of its own.
local minute, asked = math.floor(now / 60000), {}
local fields = {'q:', 'q:v:' .. visitor, 'q:a:' .. address}
for i = 1, 3 do
    local at, count = string.match(day[fields[i]] or '0:0', '^(%d+):(%d+)$')
    asked[i] = (tonumber(at) >= minute and tonumber(count) or 0) + (seeds and 0 or 1)
end
local function tally(i)
    if i < 3 or address ~= '' then put(fields[i], whole(minute) .. ':' .. asked[i]) end
end

if seeds then
    put('company', company)
    put('limits', ARGV[7])
    put('bounds', ARGV[8])
    put('spent', whole(math.max(number(day.spent), tonumber(ARGV[9]))))
    put('tokens', whole(math.max(number(day.tokens), tonumber(ARGV[10]))))
    if agent then put('s:' .. agent, whole(math.max(number(day['s:' .. agent]), tonumber(ARGV[13])))) end
    -- What was held under the old limits is held anew, unless it was settled meanwhile.
    local mine = day['h:' .. id]
    if mine and string.sub(mine, 1, 2) ~= 's:' then
        drops[#drops + 1] = 'h:' .. id
        day['h:' .. id] = nil
    end
elseif not day.limits then
    for i = 1, 3 do tally(i) end
    redis.call('HSET', key, unpack(puts))
    redis.call('EXPIRE', key, 259200)
    return {'unseeded', '0', '0', '', '', '0', '0', memory, {}}
end
local limits, bounds = numbers(day.limits), numbers(day.bounds)

local held, held_tokens, held_agent, turns = 0, 0, 0, 0
local health, old = {}, {}
for field, value in pairs(day) do
    local kind = string.sub(field, 1, 2)
    if kind == 'h:' then
        local amount, tokens, void_at, whose = string.match(value, '^(%w+):(%d+):(%d+):(.*)$')
        if tonumber(void_at) <= now then
            drops[#drops + 1] = field
            if field == 'h:' .. id then day[field] = nil end
        elseif amount ~= 's' and field ~= 'h:' .. id then
            held, held_tokens, turns = held + tonumber(amount), held_tokens + tonumber(tokens), turns + 1
            if whose == agent then held_agent = held_agent + tonumber(amount) end
        end
    elseif kind == 'q:' then
        if tonumber(string.match(value, '^%d+')) < minute then old[#old + 1] = field end
    elseif kind == 'p:' then
        local failures, retry_at = string.match(value, '^(%d+):(%d+)$')
        if tonumber(retry_at) > now then
            health[#health + 1] = string.sub(field, 3)
            health[#health + 1] = 'open'
        elseif tonumber(retry_at) > 0 then
            -- One turn tries; the others wait for what it finds.
            health[#health + 1] = string.sub(field, 3)
            health[#health + 1] = 'probe'
            puts[#puts + 1] = field
            puts[#puts + 1] = failures .. ':' .. whole(now + 15000)
        end
    end
end

local spent, tokens = number(day.spent), number(day.tokens)
local verdict, amount, amount_tokens = 'held', 0, 0
local mine = day['h:' .. id]
if mine and string.sub(mine, 1, 2) == 's:' then
    verdict = 'refused'
elseif asked[1] > limits[5] then
    verdict = 'crowd'
elseif asked[2] > limits[3] or (address ~= '' and asked[3] > limits[4]) then
    verdict = 'rate'
elseif mine then
    local a, t = string.match(mine, '^(%d+):(%d+):')
    amount, amount_tokens = tonumber(a), tonumber(t)
elseif turns >= limits[6] then
    verdict = 'busy'
else
    local left, left_tokens = limits[1] - spent - held, limits[2] - tokens - held_tokens
    if agent then left = math.min(left, tonumber(ARGV[12]) - number(day['s:' .. agent]) - held_agent) end
    if left < bounds[2] or left_tokens < bounds[4] or left <= 0 or left_tokens <= 0 then
        verdict = 'refused'
    else
        amount, amount_tokens = math.min(bounds[1], left), math.min(bounds[3], left_tokens)
        put('h:' .. id, whole(amount) .. ':' .. whole(amount_tokens) .. ':' .. whole(now + hold_ms) .. ':' .. (agent or ''))
    end
end
if not seeds then
    tally(1)
    -- Over the limit of all, nobody is counted singly: the hash holds no more of them in a minute than may ask in it.
    if asked[1] <= limits[5] then
        tally(2)
        tally(3)
    end
    -- Those of past minutes go many at a time, and before what is counted now.
    if #old > 50 then redis.call('HDEL', key, unpack(old, 1, math.min(5000, #old))) end
end
-- Lua passes only some thousands of arguments at once.
for i = 1, #drops, 5000 do redis.call('HDEL', key, unpack(drops, i, math.min(i + 4999, #drops))) end
if #puts > 0 then redis.call('HSET', key, unpack(puts)) end
if seeds then redis.call('EXPIRE', key, 259200) end
return {verdict, whole(amount), whole(amount_tokens), day.limits, day.bounds, whole(spent + held),
    whole(tokens + held_tokens), memory, health}
";

/// Settles a reservation once, keeps what was said and how providers behaved.
///
/// Keys: the day, the conversation's memory. Arguments: company, reservation or nothing, now and for how long the settled
/// mark stays in milliseconds, cost, tokens, agent with a limit of its own or nothing, seconds to keep the memory, how many
/// providers, for each `id=ok` or `id=fail:<milliseconds to leave it alone>`, then values for the memory.
pub const SETTLE: &str = "
local key, memory_key = KEYS[1], KEYS[2]
local company, id, now, mark_ms, cost, tokens, agent, memory_s =
    ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local providers = tonumber(ARGV[9])
local function number(text) return tonumber(text or 0) end
local function whole(value) return string.format('%.0f', value) end
if id ~= '' or providers > 0 then
    local fields = {'company', 'h:' .. id, 'spent', 'tokens', 's:' .. agent}
    for i = 1, providers do fields[#fields + 1] = 'p:' .. string.match(ARGV[9 + i], '^[^=]+') end
    local had = redis.call('HMGET', key, unpack(fields))
    if had[1] and had[1] ~= company then return 'foreign' end
    local puts, drops = {'company', company}, {}
    local function put(field, value)
        puts[#puts + 1] = field
        puts[#puts + 1] = value
    end
    if id ~= '' and not (had[2] and string.sub(had[2], 1, 2) == 's:') then
        put('spent', whole(number(had[3]) + tonumber(cost)))
        put('tokens', whole(number(had[4]) + tonumber(tokens)))
        if agent ~= '' then put('s:' .. agent, whole(number(had[5]) + tonumber(cost))) end
        put('h:' .. id, 's:0:' .. whole(now + mark_ms) .. ':')
    end
    for i = 1, providers do
        local field, rest_ms = fields[5 + i], string.match(ARGV[9 + i], '=fail:(%d+)$')
        if rest_ms then
            local failures = number(string.match(had[5 + i] or '0', '^%d+')) + 1
            -- Three in a row are no accident; each one after that doubles the rest, up to a minute.
            local rest = tonumber(rest_ms)
            if failures >= 3 then rest = math.max(rest, math.min(60000, 5000 * 2 ^ (failures - 3))) end
            put(field, failures .. ':' .. (rest > 0 and whole(now + rest) or '0'))
        elseif had[5 + i] then
            drops[#drops + 1] = field
        end
    end
    redis.call('HSET', key, unpack(puts))
    if #drops > 0 then redis.call('HDEL', key, unpack(drops)) end
    if not had[1] then redis.call('EXPIRE', key, 259200) end
end
local values = {}
for i = 10 + providers, #ARGV do values[#values + 1] = ARGV[i] end
if #values > 0 then
    local length = redis.call('RPUSH', memory_key, unpack(values))
    if length > 24 then redis.call('LTRIM', memory_key, -12, -1) end
    -- With every fourth it lives on: Postgres remembers what it might forget a little early.
    if length % 4 == 1 then redis.call('EXPIRE', memory_key, memory_s) end
end
return 'ok'
";

/// Brings a day in line with the ledger. Keys: the day. Arguments: company, micro-dollars and tokens of the ledger, now in
/// milliseconds. What Redis has spent beyond the ledger stays: it is a settlement whose ledger row is still on its way, or
/// was lost; it is told. Answers {what it was: unknown, foreign or known, micro-dollars and tokens before, how many
/// reservations are held}.
pub const RECONCILE: &str = "
local key = KEYS[1]
local company, spent, tokens, now = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local day, flat = {}, redis.call('HGETALL', key)
for i = 1, #flat, 2 do day[flat[i]] = flat[i + 1] end
if day.company and day.company ~= company then return {'foreign', '0', '0', '0'} end
if not day.limits then return {'unknown', '0', '0', '0'} end
local had, had_tokens, held, drops = tonumber(day.spent), tonumber(day.tokens), 0, {}
for field, value in pairs(day) do
    if string.sub(field, 1, 2) == 'h:' then
        local amount, void_at = string.match(value, '^(%w+):%d+:(%d+):')
        if tonumber(void_at) <= now then drops[#drops + 1] = field
        elseif amount ~= 's' then held = held + 1 end
    end
end
for i = 1, #drops, 5000 do redis.call('HDEL', key, unpack(drops, i, math.min(i + 4999, #drops))) end
if spent > had or tokens > had_tokens then
    redis.call('HSET', key, 'spent', string.format('%.0f', math.max(had, spent)),
        'tokens', string.format('%.0f', math.max(had_tokens, tokens)))
end
return {'known', day.spent, day.tokens, tostring(held)}
";
