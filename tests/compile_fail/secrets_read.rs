//@ error: field `secrets` of struct `Config` is private
use bulkhead::config::Config;

pub fn database_url(config: &Config) -> String {
    format!("{}", config.secrets.database)
}
