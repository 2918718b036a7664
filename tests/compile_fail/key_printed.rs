//@ error: `LlmKey` doesn't implement `Debug`
use bulkhead::tenant::vault::LlmKey;

pub fn print(key: &LlmKey) -> String {
    format!("{key:?}")
}
