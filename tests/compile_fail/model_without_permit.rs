//@ error: expected `Permit`, found `()`
use bulkhead::llm::{Prompt, start};
use bulkhead::platform::Platform;
use bulkhead::smart_router::Choice;
use bulkhead::tenant::vault::LlmKey;

pub async fn call(platform: &dyn Platform, choice: Choice, key: LlmKey, prompt: &Prompt) {
    let _ = start(platform, (), choice, key, prompt).await;
}
