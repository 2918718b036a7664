//! Dates, times and intervals as Postgres writes them (ISO style, UTC). It asks no clock.

use std::fmt::Write as _;

const DAY_US: i64 = 86_400_000_000;
/// Days from 1970-01-01 to 2000-01-01, where Postgres counts from.
const EPOCH_DAYS: i64 = 10_957;

/// `date_out`: `days` since 2000-01-01.
pub fn write_date(days: i32, out: &mut String) {
    match days {
        i32::MAX => out.push_str("infinity"),
        i32::MIN => out.push_str("-infinity"),
        _ => {
            let before_christ = write_day(i64::from(days), out);
            if before_christ {
                out.push_str(" BC");
            }
        }
    }
}

/// `timestamp_out` and `timestamptz_out`: microseconds since 2000-01-01 00:00 (UTC, if it has a zone).
pub fn write_timestamp(us: i64, zone: bool, out: &mut String) {
    match us {
        i64::MAX => return out.push_str("infinity"),
        i64::MIN => return out.push_str("-infinity"),
        _ => {}
    }
    let before_christ = write_day(us.div_euclid(DAY_US), out);
    out.push(' ');
    write_time(us.rem_euclid(DAY_US), out);
    if zone {
        out.push_str("+00");
    }
    if before_christ {
        out.push_str(" BC");
    }
}

/// `time_out`: microseconds since midnight, 24:00:00 among them.
pub fn write_time(us: i64, out: &mut String) {
    let seconds = us / 1_000_000;
    let _ = write!(out, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    let fraction = us % 1_000_000;
    if fraction != 0 {
        let digits = format!("{fraction:06}");
        out.push('.');
        out.push_str(digits.trim_end_matches('0'));
    }
}

/// `timetz_out`: `west` counts seconds west of UTC.
pub fn write_timetz(us: i64, west: i32, out: &mut String) {
    write_time(us, out);
    let away = west.unsigned_abs();
    let _ = write!(out, "{}{:02}", if west > 0 { '-' } else { '+' }, away / 3600);
    let (minutes, seconds) = (away / 60 % 60, away % 60);
    if minutes != 0 || seconds != 0 {
        let _ = write!(out, ":{minutes:02}");
    }
    if seconds != 0 {
        let _ = write!(out, ":{seconds:02}");
    }
}

/// `interval_out` in style `postgres`: each part has its own sign, and a plus is only written after a minus.
pub fn write_interval(us: i64, days: i32, months: i32, out: &mut String) {
    match (us, days, months) {
        (i64::MAX, i32::MAX, i32::MAX) => return out.push_str("infinity"),
        (i64::MIN, i32::MIN, i32::MIN) => return out.push_str("-infinity"),
        _ => {}
    }
    let mut parts = 0;
    let mut after_minus = false;
    for (value, unit) in [(months / 12, "year"), (months % 12, "mon"), (days, "day")] {
        if value == 0 {
            continue;
        }
        let space = if parts > 0 { " " } else { "" };
        let plus = if after_minus && value > 0 { "+" } else { "" };
        let plural = if value == 1 { "" } else { "s" };
        let _ = write!(out, "{space}{plus}{value} {unit}{plural}");
        after_minus = value < 0;
        parts += 1;
    }
    if parts == 0 || us != 0 {
        if parts > 0 {
            out.push(' ');
        }
        if us < 0 {
            out.push('-');
        } else if after_minus {
            out.push('+');
        }
        write_unsigned_time(us.unsigned_abs(), out);
    }
}

/// Hours may be many here, and the smallest interval has no positive twin.
fn write_unsigned_time(us: u64, out: &mut String) {
    let _ = write!(out, "{:02}", us / 3_600_000_000);
    let mut rest = String::new();
    write_time((us % 3_600_000_000) as i64, &mut rest);
    out.push_str(rest.strip_prefix("00").unwrap_or(&rest));
}

/// Writes `yyyy-mm-dd` for a day counted from 2000-01-01; true if it lies before the year 1.
fn write_day(days: i64, out: &mut String) -> bool {
    let (year, month, day) = civil(days + EPOCH_DAYS);
    let shown = if year > 0 { year } else { 1 - year };
    let _ = write!(out, "{shown:04}-{month:02}-{day:02}");
    year <= 0
}

/// Year, month and day of a day counted from 1970-01-01.
/// <https://howardhinnant.github.io/date_algorithms.html#civil_from_days>
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut String)) -> String {
        let mut out = String::new();
        write(&mut out);
        out
    }

    #[test]
    fn days_and_times() {
        assert_eq!(text(|out| write_date(0, out)), "2000-01-01");
        assert_eq!(text(|out| write_date(-1, out)), "1999-12-31");
        assert_eq!(text(|out| write_date(8825, out)), "2024-02-29");
        assert_eq!(text(|out| write_date(-730_120, out)), "0001-12-31 BC");
        assert_eq!(text(|out| write_timestamp(-1, true, out)), "1999-12-31 23:59:59.999999+00");
        assert_eq!(text(|out| write_timestamp(1_500_000, false, out)), "2000-01-01 00:00:01.5");
        assert_eq!(text(|out| write_timestamp(i64::MAX, true, out)), "infinity");
        assert_eq!(text(|out| write_time(DAY_US, out)), "24:00:00");
        assert_eq!(text(|out| write_timetz(0, -19_800, out)), "00:00:00+05:30");
    }

    #[test]
    fn intervals() {
        assert_eq!(text(|out| write_interval(0, 0, 0, out)), "00:00:00");
        assert_eq!(
            text(|out| write_interval(14_706_789_000, 3, 14, out)),
            "1 year 2 mons 3 days 04:05:06.789"
        );
        assert_eq!(text(|out| write_interval(-1, 3, -14, out)), "-1 years -2 mons +3 days -00:00:00.000001");
        assert_eq!(text(|out| write_interval(1, -1, 0, out)), "-1 days +00:00:00.000001");
        assert_eq!(text(|out| write_interval(i64::MIN, 0, 0, out)), "-2562047788:00:54.775808");
    }
}
