//! The machine that all of this is measured on, in words. It finds out nothing that `/proc` does not say.

/// For the head of a report: processors, memory, kernel.
pub fn describe() -> String {
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    let after = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let cpuinfo = read("/proc/cpuinfo");
    let model = after(&cpuinfo, "model name").unwrap_or_else(|| "processors of an unknown kind".to_owned());
    let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let memory = after(&read("/proc/meminfo"), "MemTotal")
        .and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok())
        .map_or("unknown memory".to_owned(), |kb| format!("{} GB", kb / 1_000_000));
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{count} × {model}, {memory}, {} {}", std::env::consts::OS, kernel.trim())
}

/// How many programs wanted a processor over the last minute.
pub fn load() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}
