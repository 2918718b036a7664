// Bulkhead's API: what each address takes, and what it answers by status. /openapi.json is drawn from this text and the route table,
// /docs/api shows it, and docs/client is typed by it. Tests hold every answer of the worker against it.
//
// What a request may leave out (`?`) may also be null there. Answers have all of their fields. Further fields may come with a
// later release: programs should pass over what they do not know.

/** A UUID. @format uuid */
export type Id = string;
/** A moment, as `2026-11-22 09:30:00.123456+00`. */
export type Time = string;
/** A day, `2026-11-22`. @format date */
export type Day = string;
/** A time of day, `09:30`, or empty. */
export type Clock = string;
/** @asType integer @minimum 0 */
export type Count = number;
/** @asType integer */
export type Int = number;
/** Millionths of a dollar. @asType integer @minimum 0 */
export type Microusd = number;
/** Server-sent events. @media text/event-stream */
export type Events = string;
/** Anything. */
export type Json = unknown;

export type Role = "member" | "admin" | "owner";
export type Tier = "fast" | "balanced" | "best";
export type Kind = "openai" | "anthropic" | "gemini" | "compatible";
export type WireApi = "chat" | "responses";
export type Scope = "chat" | "models";
export type Author = "visitor" | "agent" | "member";
export type Source = "model" | "knowledge" | "none";
export type Outcome = "open" | "won" | "lost";
export type Channel = "email" | "text" | "chat";
export type Side = "left" | "right";

export type Tokens = { access_token: string; token_type: "Bearer"; expires_in: Count; refresh_token: string };
export type Company = {
  company_id: Id; slug: string; name: string; industry: string; time_zone: string; plan: string; url: string;
  entries_to_confirm: Count; delete_after: Time | null; you: { user_id: Id; name: string; role: Role };
};
export type Message = {
  message_id: Id; author: Author; person: string | null; body: string; complete: boolean; source: Source | null;
  citations: Citation[]; created_at: Time;
};
export type Citation = { entry_id: Id; question: string };
export type Conversation = {
  conversation_id: Id; agent: string; visitor_id: Id; visitor: string | null; state: string; taken_over_by: string | null;
  labels: string[]; question: string; last: string; last_author: Author; messages: Count; created_at: Time; last_at: Time;
};
export type Thread = {
  conversation: Conversation;
  messages: Message[];
  tools: { message_id: Id; tool: string; arguments: Json; outcome: string; done: boolean }[];
  calls: {
    created_at: Time; provider: string | null; model: string; routing: string; input_tokens: Count; output_tokens: Count;
    cost_microusd: Microusd;
  }[];
  notes: { note_id: Id; person: string; body: string; created_at: Time }[];
};
export type Handoff = { agent: string; reason: string };
export type Agent = {
  agent_id: Id; slug: string; name: string; role: string; greeting: string; instructions: string; tier: Tier;
  is_default: boolean; enabled: boolean; scope: string[]; tools: string[]; starters: string[]; handoffs: Handoff[];
};
export type Entry = {
  entry_id: Id; category: string; question: string; answer: string; keywords: string; to_confirm: boolean; origin: string;
  source_url: string | null; updated_at: Time;
};
export type NewEntry = { category: string; question: string; answer: string; keywords?: string };
export type Draft = {
  draft_id: Id; category: string; source: string; source_url: string | null; question: string; answer: string; created_at: Time;
};
export type ProviderModel = {
  model: string; tier: Tier; input_microusd_per_mtok: Microusd; output_microusd_per_mtok: Microusd;
  cached_input_microusd_per_mtok: Microusd | null; context_tokens: Count;
};
export type NewProviderModel = {
  model: string; tier: Tier; input_microusd_per_mtok: Microusd; output_microusd_per_mtok: Microusd;
  cached_input_microusd_per_mtok?: Microusd; context_tokens: Count;
};
export type Provider = {
  provider_id: Id; kind: Kind; api: WireApi; name: string; base_url: string | null; last_four: string;
  fingerprint: string | null; enabled: boolean; position: Int; models: ProviderModel[];
};
export type Limits = {
  daily_limit_microusd: Microusd; monthly_tokens: Count; max_output_tokens: Count; visitor_turns_per_minute: Count;
  address_turns_per_minute: Count; company_turns_per_minute: Count; concurrent_turns: Count; conversation_questions: Count;
  cheaper_models: boolean; knowledge_answers: boolean; platform_models: boolean; day: Day; spent_microusd: Microusd;
  month_tokens: Count;
};
/** Days for which each kind is kept; null: for ever, or until it ends by itself. */
export type Retention = {
  conversations_days: Count | null; leads_days: Count | null; memories_days: Count | null; drafts_days: Count | null;
  deliveries_days: Count | null; audit_days: Count | null;
};
export type BudgetAlert = { period: string; starts: Day; percent: Count; used: Count; allowed: Count; created_at: Time };
export type Lead = {
  lead_id: Id; visitor_id: Id; name: string; email: string | null; phone: string | null; message: string; status: string;
  stage: string | null; stale: boolean; labels: string[]; conversation_id: Id | null; created_at: Time;
};
export type ApiKey = {
  api_key_id: Id; name: string; scopes: string[]; last_four: string; created_at: Time; expires_at: Time | null;
  last_used_at: Time | null; revoked_at: Time | null;
};
/** The key itself is shown this once. */
export type NewApiKey = ApiKey & { key: string };
export type Invitation = { link_id: Id; email: string; role: Role; created_at: Time; expires_at: Time; ended: boolean };
export type Settings = {
  accent_color: string; greeting: string; allowed_origins: string[]; side: Side; greet_after_s: Count | null;
  link_hosts: string[]; image_hosts: string[]; identity_secret_at: Time | null;
};
export type Hours = { weekday: Count; opens: Clock; closes: Clock };
export type Closure = { closure_id: Id; day: Day; name: string };
export type AppointmentType = {
  appointment_type_id: Id; service: string; name: string; duration_minutes: Count; buffer_minutes: Count; notice_hours: Count;
  bookable: boolean;
};
export type Service = {
  service_id: Id; slug: string; name: string; description: string; price_from_cents: Count | null; price_to_cents: Count | null;
  unit: string; duration_minutes: Count | null; includes: string; origin: string;
};
export type PaymentMethod = { method_id: Id; name: string; accepted: boolean; note: string };
export type Stage = {
  stage_id: Id; slug: string; name: string; outcome: Outcome; stale_days: Count | null; position: Count; leads: Count;
};
export type Label = { label_id: Id; name: string; color: string; words: string };
export type Reply = {
  message_template_id: Id; slug: string; channel: Channel; name: string; subject: string; body: string; origin: string;
  updated_at: Time;
};
export type FollowUp = {
  step_id: Id; sequence: string; after_hours: Count; message: string; name: string; channel: Channel; enabled: boolean;
};
export type Notification = { notification_id: Id; event: string; channel: string; role: Role; enabled: boolean };
export type Item = {
  item_id: Id; slug: string; kind: string; title: string; help: string; value: string; done_at: Time | null;
};
export type Term = { term_id: Id; term: string; meaning: string; synonyms: string; origin: string };
export type Context = { context_id: Id; kind: string; body: string; origin: string; updated_at: Time };
export type Page = {
  page_id: Id; slug: string; title: string; body: string; position: Count; shown: boolean; origin: string; updated_at: Time;
};
export type Question = { question_id: Id; question: string; position: Count };
export type QuickReply = { reply_id: Id; body: string; position: Count };
export type Permission = { role: Role; permission: string; allowed: boolean };
export type UpdateKind = "context" | "entry" | "message" | "page" | "service" | "term";
export type Update = { kind: UpdateKind; slug: string; state: string; yours: string | null; template: string | null };
export type Named = { kind: UpdateKind; slug?: string; slugs?: string[] };
export type WebhookEvent =
  "lead.new" | "conversation.handed_over" | "conversation.closed" | "budget.nearly_spent" | "budget.spent";
export type Webhook = {
  webhook_id: Id; url: string; events: WebhookEvent[]; enabled: boolean; created_at: Time; failing_since: Time | null;
};
/** The payload is null where it is nothing for whoever asks. */
export type Delivery = {
  delivery_id: Id; webhook_id: Id; event_id: Id; event: WebhookEvent | "webhook.test"; payload: Json; attempts: Count;
  created_at: Time; next_at: Time | null; delivered_at: Time | null; dead_at: Time | null; last_status: Count | null;
  last_error: string | null; state: "waiting" | "delivered" | "dead";
};
/** The name answers once its TXT record is found, and until ends_at once the record is missing. */
export type Domain = {
  domain_id: Id; host: string; answers: boolean; txt_name: string; txt_value: string; created_at: Time; checked_at: Time | null;
  proved_at: Time | null; missing_since: Time | null; ends_at: Time | null;
};
/** A request as OpenAI's clients send it; what only tunes a model is passed over. */
export type ChatRequest = {
  model: string; messages: { role: string; content: Json; [further: string]: Json }[]; stream?: boolean;
  [further: string]: Json;
};
/** An answer as OpenAI's clients read it. */
export type Completion = {
  id: string; object: "chat.completion"; created: Count; model: string; choices: Json[]; usage: Json; system_fingerprint: null;
};
export type Model = { id: string; object: "model"; created: Count; owned_by: string };

export type Api = {
  "GET /healthz": { 200: { status: "ok" } };
  "GET /readyz": { 200: { status: "ready" } };
  "GET /openapi.json": { 200: Json };
  "GET /v1/industries": { 200: { industries: { slug: string; name: string; summary: string }[] } };
  "GET /v1/slugs": { query: { name: string; industry?: string }; 200: { slugs: string[] } };
  "POST /v1/signup": {
    takes: { company: string; slug: string; industry: string; name: string; email: string; password: string };
    201: { company: { company_id: Id; slug: string; name: string; url: string }; user_id: Id };
  };
  "POST /v1/cron": {
    takes: { after?: Id; due?: boolean };
    200: { companies: Count; failed: Count; drifts: Json[]; next: Id | null };
  };

  "POST /v1/visitor": { 201: { token: string; visitor_id: Id; expires_in: Count } };
  "POST /v1/chat": { takes: { message: string; conversation_id?: string; agent?: string }; 200: Events };
  "GET /v1/conversations/{id}/messages": { 200: { conversation_id: Id; messages: Message[] } };
  "POST /v1/leads": {
    takes: { name: string; email?: string; phone?: string; message?: string; conversation_id?: string };
    201: { lead_id: Id };
  };
  "GET /v1/widget": {
    query: { lang?: string };
    200: {
      company: string; version: Count; accent: string[]; side: Side; greeting: string; greet_after_s: Count | null;
      quick_replies: string[];
      hours: { known: boolean; until: string | null; weekday: Count | null; opens: string | null };
      link_hosts: string[]; image_hosts: string[]; lang: string; strings: Json;
    };
  };
  "POST /v1/conversations/{id}/hand-over": { 200: { conversation_id: Id; open: boolean } };
  "PUT /v1/messages/{id}/rating": { takes: { good: boolean; remark?: string }; 200: { good: boolean; remark: string } };
  "POST /v1/identity": { takes: { token: string }; 200: { sub: string; name: string | null; email: string | null } };

  "POST /v1/login": { takes: { email: string; password: string; code?: string }; 200: Tokens };
  "POST /v1/token/refresh": { takes: { refresh_token: string }; 200: Tokens };
  "POST /v1/logout": { 204: null };
  "POST /v1/sign-in/reset": { takes: { email: string }; 202: { asked: boolean } };
  "POST /v1/sign-in/password": { takes: { token: string; password: string }; 204: null };
  "POST /v1/sign-in/email": { takes: { token: string }; 204: null };
  "POST /v1/sign-in/invitation": { takes: { token: string; name: string; password: string }; 204: null };
  "GET /v1/account": {
    200: { name: string; email: string; email_verified: boolean; new_email: string | null; two_step: boolean; recovery_codes: Count };
  };
  "POST /v1/account/verification": { 202: { mailed: boolean } };
  "POST /v1/account/email": { takes: { email: string; password: string }; 202: { mailed: boolean } };
  "POST /v1/account/totp": { takes: { password: string }; 201: { secret: string; uri: string } };
  "POST /v1/account/totp/confirm": { takes: { code: string }; 200: { recovery_codes: string[] } };
  "POST /v1/account/totp/end": { takes: { password: string; code: string }; 204: null };
  "GET /v1/sessions": {
    200: { sessions: { session_id: Id; this: boolean; created_at: Time; refreshed_at: Time; expires_at: Time }[] };
  };
  "DELETE /v1/sessions/{id}": { 204: null };

  "GET /v1/company": { 200: Company };
  "PATCH /v1/company": { takes: { name?: string; slug?: string; time_zone?: string }; 200: { name: string; slug: string; time_zone: string; url: string } };
  "POST /v1/company/deletion": { takes: { password: string; days?: Count }; 200: { delete_after: Time } };
  "DELETE /v1/company/deletion": { 204: null };
  "GET /v1/retention": { 200: Retention };
  "PUT /v1/retention": {
    takes: {
      conversations_days?: Count; leads_days?: Count; memories_days?: Count; drafts_days?: Count; deliveries_days?: Count;
      audit_days?: Count;
    };
    200: Retention;
  };
  "GET /v1/support": {
    200: {
      allowed: boolean;
      accesses: {
        access_id: Id; operator: string; reason: string; minutes: Count; created_at: Time; used_at: Time | null; ends_at: Time;
        ended_at: Time | null; open: boolean;
      }[];
    };
  };
  "PUT /v1/support": { takes: { allowed: boolean }; 200: { allowed: boolean } };
  "POST /v1/support/{id}/end": { 204: null };
  "GET /v1/visitors/{id}": {
    query: { after?: string };
    200: {
      contact: { contact_id: Id; name: string; email: string | null; phone: string | null; created_at: Time }[];
      identity: { subject: string; name: string | null; email: string | null; verified_at: Time }[];
      leads: { lead_id: Id; message: string; status: string; conversation_id: Id | null; created_at: Time }[];
      conversations: { conversation_id: Id; agent: string; created_at: Time; closed_at: Time | null }[];
      notes: { note_id: Id; conversation_id: Id; body: string; created_at: Time }[];
      memories: { body: string; created_at: Time; expires_at: Time }[];
      messages: {
        message_id: Id; conversation_id: Id; author: Author; body: string; created_at: Time; good: boolean | null;
        remark: string | null;
      }[];
      more: boolean;
    };
  };
  "DELETE /v1/visitors/{id}": { 204: null };
  "GET /v1/plan": {
    200: {
      plan: string; name: string; monthly_price_cents: Count; monthly_tokens: Count; month_tokens: Count;
      daily_limit_microusd: Microusd; platform_models: boolean; started_at: Time; ends_at: Time | null;
    };
  };
  "GET /v1/team": {
    200: {
      people: {
        user_id: Id; name: string; email: string; role: Role; two_step: boolean; email_verified: boolean; created_at: Time;
        ended_at: Time | null;
      }[];
    };
  };
  "GET /v1/invitations": { 200: { invitations: Invitation[] } };
  "POST /v1/invitations": { takes: { email: string; role: Role }; 201: Invitation };
  "POST /v1/invitations/{id}/resend": { 200: Invitation };
  "DELETE /v1/invitations/{id}": { 204: null };
  "GET /v1/roles": { 200: { permissions: Permission[] } };
  "PATCH /v1/roles": { takes: Permission; 200: { permissions: Permission[] } };
  "GET /v1/audit": {
    200: {
      events: { event_id: Id; actor: string; person: string | null; action: string; target: string; created_at: Time }[];
    };
  };
  "GET /v1/notices": {
    200: {
      notices: {
        notice_id: Id; kind: string; conversation_id: Id | null; body: string; created_at: Time; seen_at: Time | null;
      }[];
    };
  };
  "POST /v1/notices/{id}/seen": { 204: null };
  "GET /v1/notifications": { 200: { notifications: Notification[] } };
  "PATCH /v1/notifications/{id}": { takes: { role?: Role; enabled?: boolean }; 200: Notification };
  "GET /v1/checklist": { 200: { items: Item[] } };
  "PATCH /v1/checklist/{id}": { takes: { value?: string; done?: boolean }; 200: Item };
  "GET /v1/templates/updates": { 200: { updates: Update[] } };
  "POST /v1/templates/updates": {
    takes: { accept?: Named[]; keep?: Named[] };
    200: { applied: Count; updates: Update[] };
  };

  "GET /v1/agents": { 200: { agents: Agent[] } };
  "POST /v1/agents": {
    takes: {
      slug: string; name: string; role: string; greeting?: string; instructions: string; tier: Tier; scope?: string[];
      tools?: string[]; starters?: string[]; handoffs?: Handoff[];
    };
    201: Agent;
  };
  "GET /v1/agents/{id}": { 200: Agent };
  "PATCH /v1/agents/{id}": {
    takes: {
      name?: string; role?: string; greeting?: string; instructions?: string; tier?: Tier; enabled?: boolean; scope?: string[];
      tools?: string[]; starters?: string[]; handoffs?: Handoff[];
    };
    200: Agent;
  };
  "DELETE /v1/agents/{id}": { 204: null };
  "POST /v1/agents/{id}/try": { takes: { message: string; conversation_id?: string }; 200: Events };

  "GET /v1/knowledge/search": {
    query: { q?: string; agent?: string };
    200: {
      q: string; agent: string; without_model: string | null; knowledge_answers: boolean;
      hits: {
        rank: Count; entry_id: Id; question: string; answer: string; score: number; layer: "company" | "template" | "platform";
        cited: boolean; answers: boolean;
      }[];
    };
  };
  "GET /v1/knowledge/categories": { 200: { categories: { category_id: Id; slug: string; name: string; entries: Count }[] } };
  "GET /v1/knowledge": {
    query: { q?: string; category?: string; confirm?: string; limit?: string; from?: string };
    200: { entries: Entry[]; total: Count };
  };
  "POST /v1/knowledge": { takes: NewEntry; 201: Entry };
  "GET /v1/knowledge/{id}": { 200: Entry };
  "PATCH /v1/knowledge/{id}": {
    takes: { question?: string; answer?: string; keywords?: string; to_confirm?: boolean };
    200: Entry;
  };
  "DELETE /v1/knowledge/{id}": { 204: null };
  "GET /v1/knowledge/drafts": { query: { from?: string }; 200: { drafts: Draft[]; total: Count } };
  "POST /v1/knowledge/drafts/approve": { takes: { drafts: string[] }; 200: { approved: Count } };
  "POST /v1/knowledge/drafts/discard": { takes: { drafts: string[] }; 200: { discarded: Count } };
  "GET /v1/knowledge/drafts/{id}": { 200: Draft };
  "PATCH /v1/knowledge/drafts/{id}": { takes: { category?: string; question?: string; answer?: string }; 200: Draft };
  "DELETE /v1/knowledge/drafts/{id}": { 204: null };
  "POST /v1/knowledge/drafts/{id}/approve": { 200: { entry_id: Id } };
  "POST /v1/knowledge/import": {
    takes: { text: string; category?: string };
    200: { found: Count; added: Count; short: Count };
  };
  "POST /v1/knowledge/import/website": {
    takes: { url: string; category?: string };
    200: {
      pages: { url: string; sections: Count }[]; skipped: { url: string; why: string }[]; found: Count; added: Count;
      short: Count;
    };
  };
  "GET /v1/unanswered": {
    200: {
      questions: { unanswered_id: Id; question: string; times: Count; asked_at: Time; conversation_id: Id; drafted: boolean }[];
    };
  };
  "GET /v1/unanswered/{id}": { 200: { unanswered_id: Id; question: string; conversation_id: Id; agent_id: Id } };
  "POST /v1/unanswered/{id}/answer": { takes: NewEntry; 201: Entry };
  "POST /v1/unanswered/{id}/draft": { 200: Draft; 201: Draft };
  "DELETE /v1/unanswered/{id}": { 204: null };
  "GET /v1/contexts": { 200: { contexts: Context[] } };
  "PATCH /v1/contexts/{id}": { takes: { body: string }; 200: Context };
  "GET /v1/terms": { 200: { terms: Term[] } };
  "POST /v1/terms": { takes: { term: string; meaning: string; synonyms?: string }; 201: Term };
  "PATCH /v1/terms/{id}": { takes: { meaning?: string; synonyms?: string }; 200: Term };
  "DELETE /v1/terms/{id}": { 204: null };

  "GET /v1/providers": { 200: { providers: Provider[] } };
  "POST /v1/providers": {
    takes: { kind: Kind; api?: WireApi; name: string; api_key: string; base_url?: string; models?: NewProviderModel[] };
    201: Provider;
  };
  "GET /v1/providers/presets": {
    200: {
      presets: {
        preset: string; title: string; api: WireApi; base_url: string; fill_in: string | null; note: string; allowed: boolean;
      }[];
    };
  };
  "GET /v1/providers/{id}": { 200: Provider };
  "PATCH /v1/providers/{id}": { takes: { name?: string; api_key?: string; enabled?: boolean; position?: Int }; 200: Provider };
  "DELETE /v1/providers/{id}": { 204: null };
  "POST /v1/providers/{id}/test": { 200: { ok: boolean; problem: string | null; models: string[]; latency_ms: Count } };
  "GET /v1/budget": { 200: Limits & { alerts: BudgetAlert[] } };
  "PATCH /v1/budget": {
    takes: {
      daily_limit_microusd?: Microusd; monthly_tokens?: Count; max_output_tokens?: Count; visitor_turns_per_minute?: Count;
      address_turns_per_minute?: Count; company_turns_per_minute?: Count; concurrent_turns?: Count;
      conversation_questions?: Count; cheaper_models?: boolean; knowledge_answers?: boolean; platform_models?: boolean;
    };
    200: Limits;
  };
  "GET /v1/usage": {
    200: {
      calls: {
        created_at: Time; day: Day; conversation_id: Id; agent: string | null; provider_id: Id; provider: string | null;
        model: string; routing: string; call: Count; input_tokens: Count; output_tokens: Count; cost_microusd: Microusd;
        estimated: boolean;
      }[];
      days: { day: Day; spent_microusd: Microusd; tokens: Count; turns: Count }[];
    };
  };

  "GET /v1/conversations": {
    query: { before?: string; q?: string; state?: string; label?: string };
    200: { conversations: Conversation[]; before: Id | null };
  };
  "GET /v1/conversations/{id}": { 200: Thread };
  "PATCH /v1/conversations/{id}": { takes: { taken_over?: boolean; closed?: boolean }; 200: Conversation };
  "POST /v1/conversations/{id}/replies": { takes: { body: string }; 201: { message_id: Id } };
  "POST /v1/conversations/{id}/notes": { takes: { body: string }; 201: { note_id: Id } };
  "GET /v1/leads": { 200: { leads: Lead[] } };
  "GET /v1/leads/{id}": { 200: Lead };
  "PATCH /v1/leads/{id}": { takes: { stage: string }; 200: Lead };
  "GET /v1/contacts": {
    200: {
      contacts: {
        contact_id: Id; visitor_id: Id; name: string; email: string | null; phone: string | null; created_at: Time; leads: Count;
      }[];
    };
  };
  "GET /v1/pipeline": { 200: { stages: Stage[] } };
  "POST /v1/pipeline": { takes: { slug: string; name: string; outcome: Outcome; stale_days?: Count }; 201: Stage };
  "PATCH /v1/pipeline/{id}": { takes: { name?: string; outcome?: Outcome; stale_days?: Count; position?: Count }; 200: Stage };
  "DELETE /v1/pipeline/{id}": { 204: null };
  "GET /v1/labels": { 200: { labels: Label[] } };
  "POST /v1/labels": { takes: { name: string; color: string; words: string }; 201: Label };
  "PATCH /v1/labels/{id}": { takes: { name?: string; color?: string; words?: string }; 200: Label };
  "DELETE /v1/labels/{id}": { 204: null };
  "GET /v1/replies": { 200: { replies: Reply[] } };
  "POST /v1/replies": {
    takes: { slug: string; channel: Channel; name: string; subject?: string; body: string };
    201: Reply;
  };
  "PATCH /v1/replies/{id}": { takes: { name?: string; subject?: string; body?: string }; 200: Reply };
  "DELETE /v1/replies/{id}": { 204: null };
  "GET /v1/follow-ups": { 200: { steps: FollowUp[] } };
  "PATCH /v1/follow-ups/{id}": { takes: { after_hours?: Count; enabled?: boolean }; 200: FollowUp };

  "GET /v1/widget-settings": { 200: Settings };
  "PATCH /v1/widget-settings": {
    takes: {
      accent_color?: string; greeting?: string; allowed_origins?: string[]; side?: string; greet_after_s?: Count | null;
      link_hosts?: string[]; image_hosts?: string[];
    };
    200: Settings;
  };
  "POST /v1/widget-settings/secret": { 201: { identity_secret: string } };
  "GET /v1/pages": { 200: { pages: Page[] } };
  "POST /v1/pages": { takes: { slug: string; title: string; body: string }; 201: Page };
  "PATCH /v1/pages/{id}": { takes: { title?: string; body?: string; place?: Count; shown?: boolean }; 200: Page };
  "DELETE /v1/pages/{id}": { 204: null };
  "GET /v1/lead-questions": { 200: { questions: Question[] } };
  "POST /v1/lead-questions": { takes: { question: string }; 201: Question };
  "PATCH /v1/lead-questions/{id}": { takes: { question?: string; position?: Count }; 200: Question };
  "DELETE /v1/lead-questions/{id}": { 204: null };
  "GET /v1/quick-replies": { 200: { quick_replies: QuickReply[] } };
  "POST /v1/quick-replies": { takes: { body: string }; 201: QuickReply };
  "PATCH /v1/quick-replies/{id}": { takes: { body?: string; position?: Count }; 200: QuickReply };
  "DELETE /v1/quick-replies/{id}": { 204: null };
  "GET /v1/hours": { 200: { hours: Hours[]; closures: Closure[] } };
  "PATCH /v1/hours": {
    takes: { hours: { weekday: Count; opens?: Clock; closes?: Clock }[] };
    200: { hours: Hours[]; closures: Closure[] };
  };
  "POST /v1/closures": { takes: { day: Day; name: string }; 201: Closure };
  "DELETE /v1/closures/{id}": { 204: null };
  "GET /v1/appointment-types": { 200: { appointment_types: AppointmentType[] } };
  "PATCH /v1/appointment-types/{id}": {
    takes: { name?: string; duration_minutes?: Count; buffer_minutes?: Count; notice_hours?: Count; bookable?: boolean };
    200: AppointmentType;
  };
  "GET /v1/services": { 200: { services: Service[] } };
  "POST /v1/services": {
    takes: {
      slug: string; name: string; description: string; price_from_cents?: Count; price_to_cents?: Count; unit?: string;
      duration_minutes?: Count; includes?: string;
    };
    201: Service;
  };
  "PATCH /v1/services/{id}": {
    takes: {
      name?: string; description?: string; price_from_cents?: Count; price_to_cents?: Count; unit?: string;
      duration_minutes?: Count; includes?: string;
    };
    200: Service;
  };
  "DELETE /v1/services/{id}": { 204: null };
  "GET /v1/payment-methods": { 200: { payment_methods: PaymentMethod[] } };
  "PATCH /v1/payment-methods/{id}": { takes: { accepted?: boolean; note?: string }; 200: PaymentMethod };

  "GET /v1/api-keys": { 200: { api_keys: ApiKey[] } };
  "POST /v1/api-keys": { takes: { name: string; scopes: Scope[]; expires_in_days?: Count }; 201: NewApiKey };
  "DELETE /v1/api-keys/{id}": { 204: null };
  "GET /v1/webhooks": { 200: { webhooks: Webhook[] } };
  "POST /v1/webhooks": { takes: { url: string; events: WebhookEvent[] }; 201: { secret: string; webhook: Webhook } };
  "GET /v1/webhooks/{id}": { 200: Webhook };
  "PATCH /v1/webhooks/{id}": { takes: { url?: string; events?: WebhookEvent[]; enabled?: boolean }; 200: Webhook };
  "DELETE /v1/webhooks/{id}": { 204: null };
  "POST /v1/webhooks/{id}/secret": { 201: { secret: string } };
  "POST /v1/webhooks/{id}/test": { 200: Delivery };
  "GET /v1/webhooks/{id}/deliveries": { query: { state?: string; event?: string }; 200: { deliveries: Delivery[] } };
  "POST /v1/deliveries/{id}/replay": { 202: Delivery };
  "GET /v1/domains": { 200: { cname: string; domains: Domain[] } };
  "POST /v1/domains": { takes: { host: string }; 201: Domain };
  "POST /v1/domains/{id}/verify": { 200: Domain };
  "DELETE /v1/domains/{id}": { 204: null };
  "GET /v1/models": { 200: { object: "list"; data: Model[] } };
  "POST /v1/chat/completions": { takes: ChatRequest; 200: Completion | Events };
};
