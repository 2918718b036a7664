//! Prices and hours as people write them in a template. It never rounds or converts a currency.

/// A price in US cents for one unit.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub struct Price {
    /// Lowest price; 0 is free.
    pub from_cents: i64,
    /// Highest usual price, equal to `from_cents` for a fixed price; none for "from".
    pub to_cents: Option<i64>,
}

impl Price {
    /// Reads `free`, `$89`, `$1,200-$2,400` or `from $90`; none for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "free" {
            return Some(Self { from_cents: 0, to_cents: Some(0) });
        }
        if let Some(lowest) = text.strip_prefix("from ") {
            return Some(Self { from_cents: cents(lowest)?, to_cents: None });
        }
        let (lowest, highest) = text.split_once('-').unwrap_or((text, text));
        let (from_cents, to_cents) = (cents(lowest)?, cents(highest)?);
        (from_cents <= to_cents).then_some(Self { from_cents, to_cents: Some(to_cents) })
    }
}

/// `$1,234` or `$12.50` in cents.
fn cents(text: &str) -> Option<i64> {
    let amount = text.strip_prefix('$')?;
    let (dollars, cents) = amount.split_once('.').unwrap_or((amount, "00"));
    let groups: Vec<&str> = dollars.split(',').collect();
    let (first, rest) = groups.split_first()?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let well_grouped = digits(first)
        && (rest.is_empty() || first.len() <= 3)
        && rest.iter().all(|group| digits(group) && group.len() == 3);
    if !well_grouped || !digits(cents) || cents.len() != 2 {
        return None;
    }
    groups.concat().parse::<i64>().ok()?.checked_mul(100)?.checked_add(cents.parse().ok()?)
}

/// Whether it is one amount in dollars, as `$1,234` or `$12.50`.
pub fn is_amount(text: &str) -> bool {
    cents(text).is_some()
}

/// Opening times of one day: `08:00-17:00` or, with a break, `08:00-12:00, 13:00-17:00`; none for anything else.
pub fn hours(text: &str) -> Option<Vec<(&str, &str)>> {
    let spans = text.split(", ").map(|span| span.split_once('-')).collect::<Option<Vec<_>>>()?;
    let times: Vec<&str> = spans.iter().flat_map(|(opens, closes)| [*opens, *closes]).collect();
    // Times of equal length sort as text, so one comparison also catches overlapping spans.
    (times.iter().all(|time| is_time(time)) && times.is_sorted_by(|a, b| a < b)).then_some(spans)
}

fn is_time(text: &str) -> bool {
    let Some((hour, minute)) = text.split_once(':') else { return false };
    let number = |part: &str| {
        (part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| part.parse::<u8>().ok())
            .flatten()
    };
    matches!((number(hour), number(minute)), (Some(0..=23), Some(0..=59)) | (Some(24), Some(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(i64, Option<i64>)>) {
        let price = Price::parse(text).map(|price| (price.from_cents, price.to_cents));
        assert_eq!(price, expected, "{text}");
    }

    #[test]
    fn prices() {
        check("free", Some((0, Some(0))));
        check("$89", Some((8_900, Some(8_900))));
        check("$12.50", Some((1_250, Some(1_250))));
        check("$1,200-$2,400", Some((120_000, Some(240_000))));
        check("$12000", Some((1_200_000, Some(1_200_000))));
        check("from $90", Some((9_000, None)));
        for wrong in
            ["", "$", "89", "$8.5", "$1,20", "$1200,000", "$300-$200", "$1-", "$-5", "about $80", "$１"]
        {
            check(wrong, None);
        }
    }

    #[test]
    fn opening_hours() {
        assert_eq!(hours("08:00-17:00"), Some(vec![("08:00", "17:00")]));
        assert_eq!(hours("00:00-24:00"), Some(vec![("00:00", "24:00")]));
        assert_eq!(hours("08:00-12:00, 13:00-17:00"), Some(vec![("08:00", "12:00"), ("13:00", "17:00")]));
        for wrong in [
            "",
            "8:00-17:00",
            "17:00-08:00",
            "08:00",
            "08:00-25:00",
            "08:00-12:00, 11:00-13:00",
            "+8:00-17:00",
        ] {
            assert_eq!(hours(wrong), None, "{wrong}");
        }
    }
}
