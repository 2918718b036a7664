//! Which Redis commands the gateway does not pass on. It knows nothing of what the others do.

/// Refused by name, in sorted order.
///
/// Connections are used by turns, so a command must neither block its connection nor change it for the next
/// borrower. The gateway serves applications, so it has no door to the server's own affairs. And no command
/// may walk the key space: a company's keys are known by name. A script can still do what Redis lets scripts
/// do; it comes from the same trusted caller.
const REFUSED: [&str; 70] = [
    "ACL",
    "ASKING",
    "AUTH",
    "BGREWRITEAOF",
    "BGSAVE",
    "BLMOVE",
    "BLMPOP",
    "BLPOP",
    "BRPOP",
    "BRPOPLPUSH",
    "BZMPOP",
    "BZPOPMAX",
    "BZPOPMIN",
    "CLIENT",
    "CLUSTER",
    "CONFIG",
    "DBSIZE",
    "DEBUG",
    "DISCARD",
    "DUMP",
    "EXEC",
    "FAILOVER",
    "FLUSHALL",
    "FLUSHDB",
    "FUNCTION",
    "HELLO",
    "INFO",
    "KEYS",
    "LASTSAVE",
    "LATENCY",
    "MEMORY",
    "MIGRATE",
    "MODULE",
    "MONITOR",
    "MOVE",
    "MULTI",
    "OBJECT",
    "PFDEBUG",
    "PFSELFTEST",
    "PSUBSCRIBE",
    "PSYNC",
    "PUNSUBSCRIBE",
    "QUIT",
    "RANDOMKEY",
    "READONLY",
    "READWRITE",
    "REPLCONF",
    "REPLICAOF",
    "RESET",
    "RESTORE",
    "RESTORE-ASKING",
    "ROLE",
    "SAVE",
    "SCAN",
    "SELECT",
    "SHUTDOWN",
    "SLAVEOF",
    "SLOWLOG",
    "SORT",
    "SORT_RO",
    "SSUBSCRIBE",
    "SUBSCRIBE",
    "SUNSUBSCRIBE",
    "SWAPDB",
    "SYNC",
    "UNSUBSCRIBE",
    "UNWATCH",
    "WAIT",
    "WAITAOF",
    "WATCH",
];

/// The error for a command that is not passed on, none for one that is.
pub fn refused(args: &[Vec<u8>]) -> Option<String> {
    let (name, rest) = args.split_first()?;
    let name = String::from_utf8_lossy(name).to_ascii_uppercase();
    let has = |word: &str| rest.iter().any(|arg| arg.eq_ignore_ascii_case(word.as_bytes()));
    let is_refused = match name.as_str() {
        // Of the script commands, only these two leave other callers' scripts alone.
        "SCRIPT" => !rest.first().is_some_and(|first| {
            [&b"LOAD"[..], b"EXISTS"].iter().any(|allowed| first.eq_ignore_ascii_case(allowed))
        }),
        "XREAD" | "XREADGROUP" => has("BLOCK"),
        name => REFUSED.binary_search(&name).is_ok(),
    };
    is_refused.then(|| format!("ERR command is not available through the gateway: {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_blocks_or_changes_a_connection_is_refused_in_any_case() {
        assert!(REFUSED.is_sorted());
        for (command, expected) in [
            ("get a", false),
            ("eval return 0", false),
            ("script load x", false),
            ("script flush", true),
            ("script", true),
            ("Subscribe a", true),
            ("blpop a 0", true),
            ("SELECT 1", true),
            ("keys *", true),
            ("xread count 1 streams a 0", false),
            ("xread block 0 streams a $", true),
        ] {
            let args: Vec<Vec<u8>> = command.split(' ').map(|word| word.as_bytes().to_vec()).collect();
            assert_eq!(refused(&args).is_some(), expected, "{command}");
        }
    }
}
