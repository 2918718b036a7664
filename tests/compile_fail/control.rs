//@ compiles
// The control: what is refused elsewhere is refused for the reason given, not because nothing compiles here.
use bulkhead::limiter::{Bill, Permit};
use bulkhead::llm::{Prompt, Stream, LlmError, start};
use bulkhead::platform::Platform;
use bulkhead::smart_router::Choice;
use bulkhead::tenant::vault::LlmKey;

pub const LIST: bulkhead::tenant::TenantSql = bulkhead::sql!("select name from agents where company_id = $1");

pub fn once(permit: Permit) -> Bill {
    permit.release()
}

pub async fn call(
    platform: &dyn Platform,
    permit: Permit,
    choice: Choice,
    key: LlmKey,
    prompt: &Prompt,
) -> Result<Stream, (LlmError, Bill)> {
    start(platform, permit, choice, key, prompt).await
}

pub fn parse(text: &str) -> Option<Vec<String>> {
    serde_json::from_str(text).ok()
}
