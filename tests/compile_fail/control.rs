//@ compiles
// The control: what is refused elsewhere is refused for the reason given, not because nothing compiles here.
use bulkhead::limiter::{Charge, Permit};
use bulkhead::llm::{LlmError, Prompt, Stream, start};
use bulkhead::smart_router::Choice;
use bulkhead::tenant::TenantScope;
use bulkhead::tenant::vault::LlmKey;

pub const LIST: bulkhead::tenant::TenantSql = bulkhead::sql!("select name from agents where company_id = $1");

pub fn once(permit: Permit) -> Charge {
    permit.release()
}

pub async fn call<'choice>(
    scope: &TenantScope,
    permit: Permit,
    choice: &'choice Choice,
    key: LlmKey,
    prompt: &Prompt,
) -> Result<Stream<'choice>, (LlmError, Charge)> {
    start(scope, permit, choice, key, prompt).await
}

pub fn parse(text: &str) -> Option<Vec<String>> {
    serde_json::from_str(text).ok()
}
