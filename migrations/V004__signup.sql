-- Signing up again with the same idempotency key is the same company.

alter table companies add column signup_seal bytea check (length(signup_seal) = 32);
comment on column companies.signup_seal is 'keyed digest of the sign-up that made it, to know a repeated request by; null when it came without an idempotency key';
