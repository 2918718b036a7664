//! One month's bill: each line a product that is shown with its factors. It knows no file and prints nothing.

use super::{Assumed, Measured, Neon, Prices, Upstash};

/// Hours of a month, as sellers count.
const HOURS: f64 = 730.0;
/// Days of a month.
const DAYS: f64 = 30.4;
const GB: f64 = 1e9;
/// The busiest hour's load beside the average, for what is limited by the second.
const PEAK: f64 = 10.0;

/// What a month costs.
pub struct Bill {
    companies: u32,
    /// In the order in which they are added up.
    pub lines: Vec<Line>,
    /// Limits that would be passed.
    pub warnings: Vec<String>,
}

/// A product and its factors.
pub struct Line {
    /// US dollars.
    pub usd: f64,
    /// What it is for.
    pub what: &'static str,
    /// How it comes about.
    pub how: String,
}

/// Rounds a month that only visit companies with something due, one a minute: a request of the worker's each, and no Redis command.
const MINUTES: f64 = HOURS * 60.0;
/// Redis commands of a visit by the full round, which has two days to bring in line: a script, and the one command in it.
const ROUND_COMMANDS: f64 = 4.0;

impl Bill {
    /// For so many companies.
    pub fn new(measured: &Measured, prices: &Prices, assumed: &Assumed, companies: u32) -> Self {
        let turns = f64::from(companies) * assumed.turns;
        let mut bill = Self { companies, lines: Vec::new(), warnings: Vec::new() };
        bill.workers(measured, prices, assumed, turns);
        bill.neon(measured, prices, assumed, turns);
        bill.upstash(measured, prices, assumed, turns);
        bill
    }

    /// All lines.
    pub fn usd(&self) -> f64 {
        self.lines.iter().map(|line| line.usd).sum()
    }

    /// A company's share.
    pub fn company_usd(&self) -> f64 {
        self.usd() / f64::from(self.companies.max(1))
    }

    fn add(&mut self, what: &'static str, usd: f64, how: String) {
        self.lines.push(Line { usd, what, how });
    }

    fn workers(&mut self, measured: &Measured, prices: &Prices, assumed: &Assumed, turns: f64) {
        let price = &prices.workers;
        self.add("Workers, the plan", price.month_usd, "a month".to_owned());
        let requests = turns * (1.0 + assumed.other_requests) + MINUTES;
        let beyond = (requests - price.included_requests).max(0.0);
        self.add(
            "Workers, requests",
            beyond / 1e6 * price.million_requests_usd,
            format!(
                "{turns:.0} turns × (1 + {} other requests) + {MINUTES} rounds = {requests:.0}, {:.0} included, {beyond:.0} × ${} a million",
                assumed.other_requests, price.included_requests, price.million_requests_usd
            ),
        );
        let each = measured.worker_cpu_ms + assumed.other_requests * assumed.other_request_ms;
        let used = turns * each + MINUTES * assumed.other_request_ms;
        let beyond = (used - price.included_cpu_ms).max(0.0);
        self.add(
            "Workers, processor time",
            beyond / 1e6 * price.million_cpu_ms_usd,
            format!(
                "{turns:.0} turns × ({:.2} ms + {} × {} ms) + {MINUTES} rounds = {used:.0} ms, {:.0} included, {beyond:.0} × ${} a million",
                measured.worker_cpu_ms,
                assumed.other_requests,
                assumed.other_request_ms,
                price.included_cpu_ms,
                price.million_cpu_ms_usd
            ),
        );
    }

    fn neon(&mut self, measured: &Measured, prices: &Prices, assumed: &Assumed, turns: f64) {
        let price = &prices.neon;
        let companies = f64::from(self.companies);
        let set_up = companies * measured.company_bytes / GB;
        let a_month = turns * measured.postgres_bytes / GB;
        let stored = set_up + a_month * assumed.months_kept;
        let hot = set_up + a_month / DAYS * assumed.hot_days;
        let busy = turns * measured.postgres_cpu_ms / 1_000.0 / (HOURS * 3_600.0);
        let (by_load, by_memory) = (busy * assumed.headroom, hot / price.cu_memory_gb);
        let units = by_load.max(by_memory).max(price.smallest_cu);
        let hour_usd = match assumed.plan {
            Neon::Launch => price.launch_cu_hour_usd,
            Neon::Scale => price.scale_cu_hour_usd,
        };
        self.add(
            "Neon, compute",
            units * HOURS * hour_usd,
            format!(
                "the most of {} CU (the smallest), {by_load:.2} for {} × the average load of {:.1} ms a turn, and {by_memory:.2} \
                 for {hot:.2} GB in memory ({} days) = {units:.2} CU × {HOURS} h × ${hour_usd}",
                price.smallest_cu, assumed.headroom, measured.postgres_cpu_ms, assumed.hot_days
            ),
        );
        self.add(
            "Neon, storage",
            stored * price.storage_gb_month_usd,
            format!(
                "{companies} companies × {:.0} bytes + {turns:.0} turns × {} months × {:.0} bytes = {stored:.2} GB × ${}",
                measured.company_bytes, assumed.months_kept, measured.postgres_bytes, price.storage_gb_month_usd
            ),
        );
        let history = turns * measured.wal_bytes * assumed.restore_days / DAYS / GB;
        self.add(
            "Neon, history to restore from",
            history * price.history_gb_month_usd,
            format!(
                "{turns:.0} turns × {:.0} bytes of log × {} of {DAYS} days = {history:.2} GB × ${}",
                measured.wal_bytes, assumed.restore_days, price.history_gb_month_usd
            ),
        );
        let sent = turns * measured.sql_answer_bytes / GB;
        let beyond = (sent - price.included_transfer_gb).max(0.0);
        self.add(
            "Neon, transfer",
            beyond * price.transfer_gb_usd,
            format!(
                "{turns:.0} turns × {:.0} bytes = {sent:.2} GB, {} included, {beyond:.2} GB × ${}",
                measured.sql_answer_bytes, price.included_transfer_gb, price.transfer_gb_usd
            ),
        );
    }

    fn upstash(&mut self, measured: &Measured, prices: &Prices, assumed: &Assumed, turns: f64) {
        let price = &prices.upstash;
        let rounds = f64::from(self.companies) * assumed.rounds;
        let commands = turns * measured.redis_commands + rounds * ROUND_COMMANDS;
        // What a turn leaves is gone after a day.
        let held = turns / DAYS * measured.redis_bytes / GB;
        let moved = turns * measured.redis_moved_bytes / GB;
        let by_command = commands / 1e5 * price.hundred_thousand_commands_usd
            + (held - price.included_gb).max(0.0) * price.gb_month_usd
            + (moved - price.included_transfer_gb).max(0.0) * price.transfer_gb_usd;
        let used = format!(
            "{turns:.0} turns: {:.1} commands each, {rounds:.0} visits by the full round: {ROUND_COMMANDS} each = {commands:.0}; {held:.2} GB held for a day; {moved:.2} GB moved",
            measured.redis_commands
        );
        let pay = (
            "Upstash, pay as you go",
            by_command,
            format!(
                "{used}; ${} for 100,000 commands, {} GB and {} GB moved included",
                price.hundred_thousand_commands_usd, price.included_gb, price.included_transfer_gb
            ),
        );
        // Twice the room: a full Redis refuses, and no budget can be reserved then.
        let fits = price.fixed.iter().find(|plan| plan.gb >= held * 2.0 && plan.transfer_gb >= moved);
        let fixed = fits.map(|plan| {
            let how = format!("{used}; {} GB with {} GB moved", plan.gb, plan.transfer_gb);
            ("Upstash, fixed", plan.month_usd, how)
        });
        let chosen = match (assumed.redis, fixed) {
            (Upstash::Fixed, Some(fixed)) => fixed,
            (Upstash::Cheapest, Some(fixed)) if fixed.1 < pay.1 => fixed,
            _ => pay,
        };
        self.add(chosen.0, chosen.1, chosen.2);
        let peak = commands / (HOURS * 3_600.0) * PEAK;
        if peak > price.commands_a_second {
            self.warnings.push(format!(
                "An hour {PEAK} times as busy as the average would send {peak:.0} Redis commands a second, and Upstash takes {} for \
                 one database: more than one is needed, or a plan that is not published.",
                price.commands_a_second
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured() -> Measured {
        Measured {
            date: String::new(),
            machine: String::new(),
            run: String::new(),
            worker_cpu_ms: 4.0,
            postgres_cpu_ms: 10.0,
            sql_answer_bytes: 10_000.0,
            redis_commands: 12.0,
            redis_moved_bytes: 20_000.0,
            redis_bytes: 1_000.0,
            postgres_bytes: 5_000.0,
            wal_bytes: 10_000.0,
            company_bytes: 500_000.0,
        }
    }

    fn line(bill: &Bill, what: &str) -> f64 {
        bill.lines.iter().find(|line| line.what == what).map(|line| line.usd).unwrap()
    }

    #[track_caller]
    fn close(here: f64, expected: f64) {
        assert!((here - expected).abs() < 1e-6, "{here} is not {expected}");
    }

    #[test]
    fn a_thousand_companies_by_hand() {
        let prices = Prices::published().unwrap();
        let assumed = Assumed { redis: Upstash::PayAsYouGo, ..Assumed::usual() };
        let bill = Bill::new(&measured(), &prices, &assumed, 1_000);
        // A million turns: 4 million requests and 7 million ms, with 43,800 rounds, are within what the plan includes.
        close(line(&bill, "Workers, the plan"), 5.0);
        close(line(&bill, "Workers, requests"), 0.0);
        close(line(&bill, "Workers, processor time"), 0.0);
        // 10,000 s of 2,628,000 are no load; what companies set up and a week's conversations take 1.65 GB.
        close(line(&bill, "Neon, compute"), (0.5 + 5.0 / 30.4 * 7.0) / 4.0 * 730.0 * 0.106);
        close(line(&bill, "Neon, storage"), 60.5 * 0.35);
        close(line(&bill, "Neon, history to restore from"), 10.0 / 30.4 * 0.2);
        close(line(&bill, "Neon, transfer"), 0.0);
        // 12 million commands of turns, 2.92 million of 730 rounds.
        close(line(&bill, "Upstash, pay as you go"), (12.0 + 2.92) * 2.0);
        close(bill.company_usd(), bill.usd() / 1_000.0);
        assert!(bill.warnings.is_empty());
    }

    #[test]
    fn what_is_beyond_what_is_included() {
        let prices = Prices::published().unwrap();
        let bill = Bill::new(&measured(), &prices, &Assumed::usual(), 100_000);
        // 100 million turns, and a round each minute.
        close(line(&bill, "Workers, requests"), (400.0438 - 10.0) * 0.3);
        close(line(&bill, "Workers, processor time"), (700.0438 - 30.0) * 0.02);
        close(line(&bill, "Neon, transfer"), (1_000.0 - 100.0) * 0.1);
        // 1,492 million commands cost $2,984; 3.3 GB held fit twice in 10 GB, but 2,000 GB moved need the plan of 50 GB.
        close(line(&bill, "Upstash, fixed"), 400.0);
        assert!(bill.warnings.is_empty(), "5,677 commands a second at peak");
        assert_eq!(Bill::new(&measured(), &prices, &Assumed::usual(), 250_000).warnings.len(), 1);
    }

    #[test]
    fn one_company_pays_for_the_smallest_of_everything() {
        let prices = Prices::published().unwrap();
        let assumed = Assumed { plan: Neon::Scale, redis: Upstash::Fixed, ..Assumed::usual() };
        let bill = Bill::new(&measured(), &prices, &assumed, 1);
        close(line(&bill, "Neon, compute"), 0.25 * 730.0 * 0.222);
        close(line(&bill, "Upstash, fixed"), 10.0);
    }
}
