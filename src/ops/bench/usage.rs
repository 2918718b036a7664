//! What processes have used, as `/proc` tells it: a process with all that it started. Where there is no `/proc` it knows nothing.

use std::time::Duration;

/// What a process and those that it started have used so far.
#[derive(Clone, Copy, Default)]
pub struct Usage {
    /// Processor time, in steps of a clock tick (10 ms on Linux).
    pub cpu: Duration,
    /// Memory that they hold now, megabytes; what they share is counted for each.
    pub memory_mb: f64,
}

/// Of this process; `None` when it is not there, or no `/proc` is.
pub fn of(process: u64) -> Option<Usage> {
    let all: Vec<Stat> = std::fs::read_dir("/proc").ok()?.filter_map(|entry| stat(&entry.ok()?)).collect();
    let mut wanted = vec![process];
    let mut used = Usage::default();
    let mut found = false;
    while let Some(next) = wanted.pop() {
        let Some(stat) = all.iter().find(|stat| stat.process == next) else { continue };
        found = true;
        let ticks_a_second = rustix::param::clock_ticks_per_second();
        used.cpu += Duration::from_millis(stat.ticks * 1_000 / ticks_a_second);
        #[expect(clippy::cast_precision_loss, reason = "a machine's memory is far below 2^52 bytes")]
        let bytes = (stat.pages * rustix::param::page_size() as u64) as f64;
        used.memory_mb += bytes / 1e6;
        wanted.extend(all.iter().filter(|stat| stat.parent == next).map(|stat| stat.process));
    }
    found.then_some(used)
}

/// Of proc_pid_stat(5).
struct Stat {
    process: u64,
    parent: u64,
    /// Of itself, and of children that it has waited for.
    ticks: u64,
    pages: u64,
}

fn stat(entry: &std::fs::DirEntry) -> Option<Stat> {
    let process = entry.file_name().to_str()?.parse().ok()?;
    let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
    // The name in front may hold anything, parentheses too.
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    let ticks = (11..15).filter_map(number).sum();
    Some(Stat { process, parent: number(1)?, ticks, pages: number(21)? })
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_very_process_uses_something() {
        let used = super::of(u64::from(std::process::id()));
        if std::path::Path::new("/proc/self/stat").exists() {
            assert!(used.unwrap().memory_mb > 1.0);
        }
        assert!(super::of(u64::MAX).is_none());
    }
}
