//! Offers: services as customers read them, on the company's page and from its agents.
//!
//! It never shows what is for staff alone, and converts no price: US cents become words, no other number.

use serde::Deserialize;

use crate::tenant::TenantSql;

/// A service with its price.
#[derive(Deserialize)]
pub struct Offer {
    /// What it is called.
    pub name: String,
    /// What it is.
    pub description: String,
    /// The least it costs, US cents; none when the price is given on request.
    pub price_from_cents: Option<u32>,
    /// The most it costs, US cents; none when there is no upper end.
    pub price_to_cents: Option<u32>,
    /// What the price is for.
    pub unit: String,
    /// How long it usually takes.
    pub duration_minutes: Option<u32>,
    /// What is in the price.
    pub includes: String,
}

impl Offer {
    /// The price as people say it; a price without an upper end is where prices begin.
    #[must_use]
    pub fn price(&self) -> String {
        match (self.price_from_cents, self.price_to_cents) {
            (None, _) => "On request".into(),
            (Some(0), Some(0)) => "Free".into(),
            (Some(from), None) => format!("from {}", dollars(from)),
            (Some(from), Some(to)) if from == to => dollars(from),
            (Some(from), Some(to)) => format!("{}–{}", dollars(from), dollars(to)),
        }
    }

    /// How long it usually takes, as people say it.
    #[must_use]
    pub fn duration(&self) -> Option<String> {
        let minutes = self.duration_minutes?;
        Some(match (minutes / 60, minutes % 60) {
            (0, minutes) => format!("{minutes} min"),
            (hours, 0) => format!("{hours} h"),
            (hours, minutes) => format!("{hours} h {minutes} min"),
        })
    }
}

/// `$1,250`, and cents only when there are some.
fn dollars(cents: u32) -> String {
    let (mut whole, cents) = (cents / 100, cents % 100);
    let mut groups = String::new();
    while whole >= 1_000 {
        groups = format!(",{:03}{groups}", whole % 1_000);
        whole /= 1_000;
    }
    if cents == 0 { format!("${whole}{groups}") } else { format!("${whole}{groups}.{cents:02}") }
}

/// What the company offers, in its own order.
pub(crate) const OFFER_LIST: TenantSql = crate::sql!(
    "select name, description, price_from_cents, price_to_cents, unit, duration_minutes, includes
     from services
     where company_id = $1
     order by position, slug
     limit 60"
);

/// What fits the words best (`$2`; in the company's own order when they are empty), ten at most.
pub(crate) const OFFER_SEARCH: TenantSql = crate::sql!(
    "with asked as (select replace(plainto_tsquery('english', $2)::text, ' & ', ' | ')::tsquery as words)
     select s.name, s.description, s.price_from_cents, s.price_to_cents, s.unit, s.duration_minutes, s.includes
     from services s
     cross join asked a
     cross join lateral (
         select setweight(to_tsvector('english', s.name), 'A')
             || setweight(to_tsvector('english', s.description || ' ' || s.includes), 'C') as text) t
     where s.company_id = $1 and ($2 = '' or t.text @@ a.words)
     order by ts_rank(t.text, a.words) desc, s.position, s.slug
     limit 10"
);

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(from: Option<u32>, to: Option<u32>) -> Offer {
        Offer {
            name: String::new(),
            description: String::new(),
            price_from_cents: from,
            price_to_cents: to,
            unit: String::new(),
            duration_minutes: None,
            includes: String::new(),
        }
    }

    #[test]
    fn prices() {
        for (from, to, expected) in [
            (None, None, "On request"),
            (Some(0), Some(0), "Free"),
            (Some(9_000), None, "from $90"),
            (Some(8_900), Some(8_900), "$89"),
            (Some(1_250), Some(1_250), "$12.50"),
            (Some(120_000), Some(240_000), "$1,200–$2,400"),
            (Some(100_500_000), Some(100_500_000), "$1,005,000"),
        ] {
            assert_eq!(offer(from, to).price(), expected);
        }
    }

    #[test]
    fn durations() {
        let duration = |minutes| Offer { duration_minutes: minutes, ..offer(None, None) }.duration();
        assert_eq!(duration(None), None);
        for (minutes, expected) in [(45, "45 min"), (120, "2 h"), (90, "1 h 30 min")] {
            assert_eq!(duration(Some(minutes)).unwrap(), expected);
        }
    }
}
