//! The week as customers read it: each day and when the company is there.
//!
//! It never says that a day is open which has no hours.

use serde::Deserialize;

use crate::tenant::TenantSql;

/// One stretch of opening hours, in minutes from midnight.
#[derive(Deserialize)]
pub struct Stretch {
    /// 1 is Monday, 7 is Sunday.
    pub weekday: u32,
    /// When it begins.
    pub opens: u32,
    /// When it ends.
    pub closes: u32,
}

/// A day of the week and when it is open.
pub struct Day {
    /// Its name.
    pub name: &'static str,
    /// `8 AM – 12 PM, 1 PM – 5 PM`, or `Closed`.
    pub open: String,
}

/// The days of the week.
pub const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// Monday to Sunday.
#[must_use]
pub fn week(stretches: &[Stretch]) -> Vec<Day> {
    let day = |(weekday, name)| {
        let stretches = stretches.iter().filter(|stretch| stretch.weekday == weekday);
        let open: Vec<_> =
            stretches.map(|it| format!("{} – {}", clock(it.opens), clock(it.closes))).collect();
        Day { name, open: if open.is_empty() { "Closed".into() } else { open.join(", ") } }
    };
    (1..).zip(DAYS).map(day).collect()
}

/// `7 AM`, `5:30 PM`.
fn clock(minutes: u32) -> String {
    let (hour, minutes) = (minutes / 60 % 24, minutes % 60);
    let half = if hour < 12 { "AM" } else { "PM" };
    let hour = if hour % 12 == 0 { 12 } else { hour % 12 };
    if minutes == 0 { format!("{hour} {half}") } else { format!("{hour}:{minutes:02} {half}") }
}

/// The week's stretches, in order.
pub(crate) const WEEK_READ: TenantSql = crate::sql!(
    "select weekday, (extract(epoch from opens) / 60)::int as opens, (extract(epoch from closes) / 60)::int as closes
     from opening_hours
     where company_id = $1
     order by weekday, opens"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks() {
        for (minutes, expected) in
            [(0, "12 AM"), (420, "7 AM"), (720, "12 PM"), (1_050, "5:30 PM"), (1_440, "12 AM")]
        {
            assert_eq!(clock(minutes), expected);
        }
    }

    #[test]
    fn a_day_without_hours_is_closed() {
        let stretches = [
            Stretch { weekday: 7, opens: 480, closes: 720 },
            Stretch { weekday: 7, opens: 780, closes: 1_020 },
        ];
        let week = week(&stretches);
        assert_eq!(week.len(), 7);
        assert_eq!(week[6].open, "8 AM – 12 PM, 1 PM – 5 PM");
        assert_eq!(week[0].open, "Closed");
    }
}
