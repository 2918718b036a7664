//@ error: expected `Permit`, found `()`
use bulkhead::llm::{Prompt, start};
use bulkhead::smart_router::Choice;
use bulkhead::tenant::TenantScope;
use bulkhead::tenant::vault::LlmKey;

pub async fn call(scope: &TenantScope, choice: &Choice, key: LlmKey, prompt: &Prompt) {
    let _ = start(scope, (), choice, key, prompt).await;
}
