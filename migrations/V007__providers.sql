-- Google's Gemini, OpenAI's responses, and what a provider charges for input that it has in its cache.

alter table models drop constraint models_kind_check;
alter table models add constraint models_kind_check check (kind in ('openai', 'anthropic', 'gemini'));
alter table models add column cached_input_microusd_per_mtok bigint check (cached_input_microusd_per_mtok >= 0);
comment on column models.cached_input_microusd_per_mtok is 'price of a million input tokens that the provider had in its cache, micro-dollars; null: as other input';

alter table providers drop constraint providers_kind_check;
alter table providers add constraint providers_kind_check
    check (kind in ('openai', 'anthropic', 'gemini', 'compatible'));
comment on column providers.kind is 'openai, anthropic, gemini, or compatible: speaks one of OpenAI''s formats elsewhere';
alter table providers add column api text not null default 'chat' check (api in ('chat', 'responses'));
alter table providers add constraint providers_api_fits_kind
    check (api = 'chat' or kind in ('openai', 'compatible'));
comment on column providers.api is 'which of OpenAI''s APIs is spoken: chat (completions) or responses; chat where neither is';

alter table provider_models add column cached_input_microusd_per_mtok bigint
    check (cached_input_microusd_per_mtok >= 0);
comment on column provider_models.cached_input_microusd_per_mtok is 'price of a million input tokens that the provider had in its cache, micro-dollars; null: as other input';
grant update (cached_input_microusd_per_mtok) on provider_models to bulkhead_runtime;

-- Prices as published; what is not published is null, so that no cost is told too low.
update models set cached_input_microusd_per_mtok = input_microusd_per_mtok / 10 where kind in ('openai', 'anthropic');
-- Gemini: https://ai.google.dev/gemini-api/docs/pricing, October 2026. 3.8 Flash as from January 2027, when its first
-- months' half price ends. 3.1 Pro doubles its prices above 200,000 tokens, so it is given no more.
insert into models (kind, model, tier, input_microusd_per_mtok, output_microusd_per_mtok, cached_input_microusd_per_mtok,
                    context_tokens) values
    ('gemini', 'gemini-3.5-flash-lite', 'fast', 300000, 2500000, null, 1048576),
    ('gemini', 'gemini-3.8-flash', 'balanced', 1500000, 7500000, 150000, 1048576),
    ('gemini', 'gemini-3.1-pro-preview', 'best', 2000000, 12000000, null, 200000);
